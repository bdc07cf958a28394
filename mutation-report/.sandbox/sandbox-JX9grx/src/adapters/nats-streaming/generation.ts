import { connect } from 'node-nats-streaming';
import type { Message as StanMessage, Subscription } from 'node-nats-streaming';
import { PublishFailed } from '../../application/ports';
import type { Clock, Log, Message, Receive } from '../../application/ports';

/** The whole of connecting, TCP included, may take this long. */
const CONNECT_TIMEOUT_MS = 5_000;
/** One question to the server. */
const REQUEST_TIMEOUT_MS = 2_000;
/** A link without an answer to three pings is dead. */
const PING = { stanPingInterval: 2_000, stanMaxPingOut: 3 };

export interface GenerationSettings {
  readonly url: string;
  readonly clusterId: string;
  readonly clientId: string;
  readonly queueGroup: string;
  readonly redeliveryWaitSeconds: number;
  readonly ackTimeoutMs: number;
  readonly maxInFlight: number;
}

export interface GenerationEvents {
  connected(): void;
  /** Called once, at the first sign of trouble or after `end`. Nothing of it counts from here on. */
  ended(reason: string): void;
  subscribed(subject: string): void;
  watching(subject: string): void;
  readonly receive: Receive;
}

/** One connection and its subscriptions, from connect to the first trouble. It is never repaired. */
export interface Generation {
  publish(subject: string, data: string): Promise<void>;
  subscribe(subjects: readonly string[]): void;
  /** All messages from `sinceMs` ago on, without the group and without a durable position. */
  watch(subject: string, sinceMs: number, hear: (message: Message) => void): void;
  /** Hands no more messages on; those in hand are settled and acknowledged, then the subscriptions closed. */
  stopReceiving(): Promise<void>;
  end(reason: string): void;
  /** Resolves when the connection is closed and the next generation may begin. */
  readonly closed: Promise<void>;
}

export function openGeneration(
  settings: GenerationSettings,
  events: GenerationEvents,
  { clock, log }: { clock: Pick<Clock, 'after'>; log: Pick<Log, 'error'> },
): Generation {
  const client = connect(settings.clusterId, settings.clientId, {
    url: settings.url,
    // What the client would keep for a reconnection, it would deliver when nobody waits for it any more.
    reconnect: false,
    ackTimeout: settings.ackTimeoutMs,
    connectTimeout: REQUEST_TIMEOUT_MS,
    ...PING,
  });

  let state: 'connecting' | 'connected' | 'ended' = 'connecting';
  let receiving = true;
  const outstanding = new Set<(failure: PublishFailed) => void>();
  const subscriptions: Subscription[] = [];
  const inHand = new Map<string, Promise<void>>();

  let markClosed = (): void => {};
  const closed = new Promise<void>((resolve) => (markClosed = resolve));
  const cancelConnectTimeout = clock.after(CONNECT_TIMEOUT_MS, () => end('connecting took too long'));

  client.on('connect', () => {
    if (state !== 'connecting') return;
    state = 'connected';
    cancelConnectTimeout();
    events.connected();
  });
  // The client reports success for outstanding publishes when the connection closes: `disconnect` comes before.
  client.on('disconnect', () => end('disconnected'));
  client.on('connection_lost', (error: unknown) => end(`connection lost: ${textOf(error)}`));
  client.on('error', (error: unknown) => end(textOf(error)));
  client.on('close', () => {
    end('closed');
    markClosed();
  });

  function end(reason: string): void {
    if (state === 'ended') return;
    state = 'ended';
    cancelConnectTimeout();
    for (const fail of outstanding)
      fail(new PublishFailed('disconnected', `the connection ended: ${reason}`));
    outstanding.clear();
    events.ended(reason);
    // What ends it may close it by itself, right after telling us.
    setImmediate(closeClient);
  }

  function closeClient(): void {
    // Through the streaming client, for its ping timer outlives an inner connection that is closed alone.
    try {
      client.close();
    } catch {
      // Closed already: then it says so, or it never will.
      markClosed();
    }
    const cancel = clock.after(REQUEST_TIMEOUT_MS + 1_000, markClosed);
    void closed.then(cancel);
  }

  function publish(subject: string, data: string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (state !== 'connected') {
        reject(new PublishFailed('disconnected', 'not connected'));
        return;
      }
      outstanding.add(reject);
      client.publish(subject, data, (error: unknown) => {
        // An ended generation has failed it already; whatever the client says of it now is not to be trusted.
        if (!outstanding.delete(reject)) return;
        if (error === undefined || error === null || error === '') resolve();
        else settleFailure(textOf(error), reject);
      });
    });
  }

  function settleFailure(message: string, reject: (failure: PublishFailed) => void): void {
    if (message.includes('ack timeout')) {
      reject(new PublishFailed('timeout', message));
      // The client would take an acknowledgement that comes later for nothing, and nobody knows what else is stuck.
      end('an acknowledgement did not come in time');
      return;
    }
    // The client fails what is outstanding right before it says that the connection has ended.
    queueMicrotask(() => reject(new PublishFailed(state === 'ended' ? 'disconnected' : 'refused', message)));
  }

  function subscribe(subjects: readonly string[]): void {
    for (const subject of subjects) {
      const options = client
        .subscriptionOptions()
        .setDeliverAllAvailable()
        .setManualAckMode(true)
        .setDurableName(settings.queueGroup)
        .setAckWait(settings.redeliveryWaitSeconds * 1000)
        .setMaxInFlight(settings.maxInFlight);
      const subscription = client.subscribe(subject, settings.queueGroup, options);
      follow(subscription, subject, events.subscribed, (message) => take(subject, message));
    }
  }

  function watch(subject: string, sinceMs: number, hear: (message: Message) => void): void {
    const options = client
      .subscriptionOptions()
      .setStartAtTimeDelta(sinceMs)
      .setMaxInFlight(settings.maxInFlight);
    follow(client.subscribe(subject, options), subject, events.watching, (message) => {
      if (state === 'connected' && receiving) hear(toMessage(subject, message));
    });
  }

  function follow(
    subscription: Subscription,
    subject: string,
    ready: (subject: string) => void,
    take: (message: StanMessage) => void,
  ): void {
    subscription.on('ready', () => {
      // Only now: the client cannot close one that the server has not confirmed.
      subscriptions.push(subscription);
      if (state === 'connected' && receiving) ready(subject);
    });
    subscription.on('error', (error: unknown) => end(`subscription to ${subject}: ${textOf(error)}`));
    subscription.on('timeout', (error: unknown) => end(`subscription to ${subject}: ${textOf(error)}`));
    subscription.on('message', take);
  }

  function take(subject: string, message: StanMessage): void {
    if (state !== 'connected' || !receiving) return;
    const key = `${subject}:${message.getSequence()}`;
    // Delivered again because it takes long: the first one's acknowledgement counts for both. Handled once more for each
    // redelivery wait, a slow database would only become slower.
    if (inHand.has(key)) return;
    inHand.set(
      key,
      handle(subject, message).finally(() => inHand.delete(key)),
    );
  }

  async function handle(subject: string, message: StanMessage): Promise<void> {
    const sequence = message.getSequence();
    try {
      const verdict = await events.receive(toMessage(subject, message));
      if (verdict === 'done' && state === 'connected') message.ack();
    } catch (error) {
      log.error(
        { err: error, subject, sequence },
        'handling a message failed; the broker will deliver it again',
      );
    }
  }

  async function stopReceiving(): Promise<void> {
    receiving = false;
    await Promise.all(inHand.values());
    if (state !== 'connected') return;
    await Promise.all(subscriptions.splice(0).map(closeSubscription));
  }

  /** Never unsubscribes: that would delete the durable position with its last member. */
  function closeSubscription(subscription: Subscription): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.after(REQUEST_TIMEOUT_MS + 1_000, resolve);
      const done = (): void => {
        cancel();
        resolve();
      };
      subscription.on('closed', done).on('error', done).on('timeout', done);
      subscription.close();
    });
  }

  return { publish, subscribe, watch, stopReceiving, end, closed };
}

function toMessage(subject: string, message: StanMessage): Message {
  return {
    subject,
    sequence: message.getSequence(),
    publishedAt: message.getTimestamp(),
    redelivered: message.isRedelivered(),
    data: message.getRawData(),
  };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
