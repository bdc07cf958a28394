import { PublishFailed, type Bus, type Subscription } from '../../application/bus';
import type { Cancel, Clock, Log } from '../../application/ports';
import { backoff } from '../../application/schedule';
import {
  isNotAuthorized,
  openGeneration,
  type BrokerServer,
  type Generation,
  type GenerationSettings,
} from './generation';

/** Pauses before reconnecting to an unavailable broker: until then nothing is published. */
const UNAVAILABLE = { firstMs: 100, longestMs: 500 };
/** Pauses after a refusal by an available broker: longer and longer. */
const REFUSED = { firstMs: 100, longestMs: 5_000 };

/** A wanted subscription, and its state on the current connection. */
interface Wanted {
  readonly subscription: Subscription;
  state: 'down' | 'asked for' | 'up';
}

/**
 * The bus on NATS Streaming. One supervisor keeps one generation of connection and subscriptions alive: when it ends,
 * the next one is opened; a subscription that was refused is retried alone. Both with growing pauses, until `close`.
 */
export function createNatsStreamingBus(
  deps: GenerationSettings & {
    /** All servers of the broker, tried in turn; absent: only the one of `url`. */
    servers?: readonly BrokerServer[];
    clock: Pick<Clock, 'after' | 'random'>;
    log: Log;
    onConnectionChange?: (up: boolean) => void;
    /** Called for each retry of a connection, or of a subscription that was refused. */
    onRetry?: () => void;
    /** Asked when a connection ends: `true` ends the retries, and nothing is logged. By default they never end. */
    givesUp?: (reason: string) => boolean;
  },
): Bus {
  const { clock, log } = deps;
  if (!Number.isInteger(deps.redeliveryWaitSeconds) || deps.redeliveryWaitSeconds < 1) {
    throw new RangeError(
      `redeliveryWaitSeconds must be a whole number from 1: ${deps.redeliveryWaitSeconds}`,
    );
  }

  const servers: readonly BrokerServer[] = deps.servers ?? [deps];
  let server: BrokerServer = deps;
  let generation: Generation | undefined;
  let connected = false;
  let closing = false;
  let failures = 0;
  let attempts = 0;
  /** Reasons that are logged already, since everything last worked. */
  const saidReasons = new Set<string>();
  let retrying = false;
  let cancelRetry: Cancel = () => {};
  let wanted: Wanted[] = [];
  const listeners: (() => void)[] = [];

  function open(): void {
    if (closing) return;
    server = servers[attempts++ % servers.length] ?? deps;
    const opened = openGeneration(
      { ...deps, ...server },
      { connected: onConnected, ended: (reason) => onEnded(opened, reason) },
      { clock, log },
    );
    generation = opened;
  }

  function onConnected(): void {
    connected = true;
    log.info({ url: withoutPassword(server.url), clientId: deps.clientId }, 'connected to the broker');
    deps.onConnectionChange?.(true);
    worksAgain();
    subscribeAll();
    for (const listener of listeners) listener();
  }

  /** Failures are reset only when all is up: the broker may accept a connection and refuse a subscription. */
  function worksAgain(): void {
    if (!connected || wanted.some(({ state }) => state !== 'up')) return;
    failures = 0;
    saidReasons.clear();
  }

  function subscribeAll(): void {
    if (!connected) return;
    for (const one of wanted) if (one.state === 'down') subscribe(one);
  }

  function subscribe(one: Wanted): void {
    const { subscription } = one;
    one.state = 'asked for';
    generation?.subscribe(subscription, {
      up() {
        one.state = 'up';
        subscription.onChange?.(true);
        worksAgain();
      },
      refused(reason) {
        one.state = 'down';
        retry(reason, 'the broker refused a subscription; trying again', subscribeAll);
      },
    });
  }

  function allDown(subscriptions: readonly Wanted[]): void {
    for (const one of subscriptions) {
      const wasUp = one.state === 'up';
      one.state = 'down';
      if (wasUp) one.subscription.onChange?.(false);
    }
  }

  function onEnded(ended: Generation, reason: string): void {
    if (connected) {
      connected = false;
      deps.onConnectionChange?.(false);
    }
    allDown(wanted);
    // The retry of a refused subscription ends with its connection.
    cancelRetry();
    retrying = false;
    if (deps.givesUp?.(reason)) return;
    retry(reason, 'the connection to the broker ended; trying again', open, ended.closed);
  }

  function retry(reason: string, message: string, again: () => void, afterwards?: Promise<void>): void {
    if (closing) return;
    const where = servers.length > 1 ? `${withoutPassword(server.url)}: ` : '';
    // Logged once per cause and server: it may last for long.
    if (!saidReasons.has(where + reason)) log.warn({ reason: where + reason }, message);
    saidReasons.add(where + reason);
    if (retrying) return;
    retrying = true;
    failures += 1;
    const isRefused = connected || isNotAuthorized(reason);
    const delayMs = backoff(clock, failures, isRefused ? REFUSED : UNAVAILABLE);
    if (afterwards) void afterwards.then(() => retryIn(delayMs, again));
    else retryIn(delayMs, again);
  }

  function retryIn(delayMs: number, again: () => void): void {
    if (closing) return;
    deps.onRetry?.();
    cancelRetry = clock.after(delayMs, () => {
      retrying = false;
      again();
    });
  }

  return {
    start: open,
    available: () => connected,
    onAvailable: (listener) => void listeners.push(listener),
    publish: (subject, data) =>
      generation?.publish(subject, data) ??
      Promise.reject(new PublishFailed('disconnected', 'not connected yet')),
    subscribe(subscriptions) {
      wanted.push(...subscriptions.map((subscription): Wanted => ({ subscription, state: 'down' })));
      subscribeAll();
    },
    async stopReceiving() {
      const subscriptions = wanted;
      // Before the wait: a new connection must not subscribe again.
      wanted = [];
      await generation?.stopReceiving();
      allDown(subscriptions);
    },
    async close() {
      closing = true;
      cancelRetry();
      generation?.end('closing');
      await generation?.closed;
    },
  };
}

function withoutPassword(url: string): string {
  // Up to the last `@`: a password may contain one.
  return url.replace(/\/\/[^/]*@/, '//');
}
