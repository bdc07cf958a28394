import type { EventEmitter } from 'node:events';

export interface VitalSigns {
  readonly residentBytes: number;
  /** After a collection. */
  readonly heapBytes: number;
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
  const { rss, heapUsed } = process.memoryUsage();
  // Undocumented, but nothing else names what holds the event loop.
  const active = process as unknown as { _getActiveHandles(): EventEmitter[] };
  const handles = active._getActiveHandles();
  const listeners = Math.max(...[process, ...handles].map(mostListeners));
  return { residentBytes: rss, heapBytes: heapUsed, handles: handles.length, listeners };
}

function mostListeners(emitter: EventEmitter): number {
  // Some handles are no emitters.
  if (typeof emitter.eventNames !== 'function') return 0;
  return Math.max(0, ...emitter.eventNames().map((name) => emitter.listenerCount(name)));
}
