import type { EventEmitter } from 'node:events';
import { Socket } from 'node:net';

export interface VitalSigns {
  readonly residentBytes: number;
  /** After a collection; with what buffers hold outside of the heap. */
  readonly heapBytes: number;
  /** Connections that clients have opened to it. */
  readonly clients: number;
  /** All others: to the database, to the broker, and whatever else holds the event loop. */
  readonly handles: number;
  /** The most that one event of one of them has: connections come and go, but none may gather listeners. */
  readonly listeners: number;
}

/** Tells the campaign, each time it asks, what would grow if something leaked. */
export function answerVitals(): void {
  process.on('message', (message: { vitals?: true }) => {
    if (message.vitals) process.send?.({ vitals: look() });
  });
}

function look(): VitalSigns {
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  // Undocumented, but nothing else names what holds the event loop.
  const active = process as unknown as { _getActiveHandles(): EventEmitter[] };
  const handles = active._getActiveHandles();
  const listeners = Math.max(...[process, ...handles].map(mostListeners));
  const clients = handles.filter(isOfClient).length;
  return {
    residentBytes: rss,
    heapBytes: heapUsed + external,
    clients,
    handles: handles.length - clients,
    listeners,
  };
}

/** Node tells of a connection which server accepted it, if any; only its types do not. */
function isOfClient(handle: unknown): boolean {
  return handle instanceof Socket && 'server' in handle && Boolean(handle.server);
}

function mostListeners(emitter: EventEmitter): number {
  // Some handles are no emitters.
  if (typeof emitter.eventNames !== 'function') return 0;
  return Math.max(0, ...emitter.eventNames().map((name) => emitter.listenerCount(name)));
}
