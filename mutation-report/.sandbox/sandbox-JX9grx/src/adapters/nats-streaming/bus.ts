import type { Bus, Cancel, Clock, Log, Message, Receive, Subscriptions } from '../../application/ports';
import { PublishFailed } from '../../application/ports';
import { backoff } from '../../application/schedule';
import { openGeneration } from './generation';
import type { Generation, GenerationSettings } from './generation';

const RECONNECT = { firstMs: 100, longestMs: 5_000 };

interface Watch {
  readonly subject: string;
  readonly sinceMs: number;
  readonly hear: (message: Message) => void;
  readonly observe: Subscriptions;
}

/**
 * NATS Streaming behind the ports. One supervisor keeps one generation of connection and subscriptions alive; when it
 * ends, the next one is opened, with growing pauses, until `close`.
 */
export function createNatsStreamingBus(
  deps: GenerationSettings & {
    clock: Pick<Clock, 'after' | 'random'>;
    log: Log;
    onConnectionChange?: (up: boolean) => void;
    /** A connection is tried once more. */
    onRetry?: () => void;
  },
): Bus {
  const { clock, log } = deps;
  if (!Number.isInteger(deps.redeliveryWaitSeconds) || deps.redeliveryWaitSeconds < 1) {
    throw new RangeError(
      `redeliveryWaitSeconds must be a whole number from 1: ${deps.redeliveryWaitSeconds}`,
    );
  }

  let generation: Generation | undefined;
  let connected = false;
  let closing = false;
  let failures = 0;
  let lastReason = '';
  let cancelReopening: Cancel = () => {};
  let subscribed: { subjects: readonly string[]; receive: Receive; observe: Subscriptions } | undefined;
  let watched: (Watch & { isUp: boolean })[] = [];
  const up = new Set<string>();
  const listeners: (() => void)[] = [];

  function open(): void {
    if (closing) return;
    const opened = openGeneration(
      deps,
      {
        connected: onConnected,
        ended: (reason) => onEnded(opened, reason),
        subscribed(subject) {
          up.add(subject);
          subscribed?.observe.up(subject);
          if (up.size === subscribed?.subjects.length) worksAgain();
        },
        watching(subject) {
          for (const watch of watched.filter((one) => one.subject === subject)) {
            watch.isUp = true;
            watch.observe.up(subject);
          }
        },
        receive: (message) => subscribed?.receive(message) ?? Promise.resolve('retry' as const),
      },
      { clock, log },
    );
    generation = opened;
  }

  /** Only what can be used is over its failures: the broker may take a connection and refuse each subscription. */
  function worksAgain(): void {
    failures = 0;
    lastReason = '';
  }

  function onConnected(): void {
    connected = true;
    if (!subscribed) worksAgain();
    log.info({ url: withoutPassword(deps.url), clientId: deps.clientId }, 'connected to the broker');
    deps.onConnectionChange?.(true);
    if (subscribed) generation?.subscribe(subscribed.subjects);
    for (const { subject, sinceMs, hear } of watched) generation?.watch(subject, sinceMs, hear);
    for (const listener of listeners) listener();
  }

  function onEnded(ended: Generation, reason: string): void {
    if (connected) {
      connected = false;
      deps.onConnectionChange?.(false);
    }
    for (const subject of up) subscribed?.observe.down(subject);
    up.clear();
    watchesAreDown();
    if (closing) return;
    failures += 1;
    const delayMs = backoff(clock, failures, RECONNECT);
    // Once per cause: a broker may be away for long.
    if (reason !== lastReason) log.warn({ reason }, 'the connection to the broker ended; trying again');
    lastReason = reason;
    void ended.closed.then(() => {
      if (closing) return;
      deps.onRetry?.();
      cancelReopening = clock.after(delayMs, open);
    });
  }

  function watchesAreDown(): void {
    for (const watch of watched) {
      if (watch.isUp) watch.observe.down(watch.subject);
      watch.isUp = false;
    }
  }

  return {
    start: open,
    available: () => connected,
    onAvailable: (listener) => void listeners.push(listener),
    publish: (subject, data) =>
      generation?.publish(subject, data) ??
      Promise.reject(new PublishFailed('disconnected', 'not connected yet')),
    subscribe(subjects, receive, observe) {
      subscribed = { subjects, receive, observe };
      if (connected) generation?.subscribe(subjects);
    },
    watch(subject, sinceMs, hear, observe) {
      watched.push({ subject, sinceMs, hear, observe, isUp: false });
      if (connected) generation?.watch(subject, sinceMs, hear);
    },
    async stopReceiving() {
      const { observe } = subscribed ?? {};
      subscribed = undefined;
      await generation?.stopReceiving();
      for (const subject of up) observe?.down(subject);
      up.clear();
      watchesAreDown();
      watched = [];
    },
    async close() {
      closing = true;
      cancelReopening();
      generation?.end('closing');
      await generation?.closed;
    },
  };
}

function withoutPassword(url: string): string {
  // Up to the last one: a password may hold the sign itself.
  return url.replace(/\/\/[^/]*@/, '//');
}
