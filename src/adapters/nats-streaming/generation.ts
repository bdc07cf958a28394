import {
  connect,
  type Message as StanMessage,
  type Subscription as StanSubscription,
} from 'node-nats-streaming';
import { PublishFailed, type Message, type Receive, type Subscription } from '../../application/bus';
import type { Clock, Log } from '../../application/ports';
import { allOf } from '../../application/schedule';

/** Timeout of connecting, TCP included. */
const CONNECT_TIMEOUT_MS = 5_000;
/** Timeout of one request to the server. */
const REQUEST_TIMEOUT_MS = 2_000;
/** A connection without an answer to three pings is dead. */
const PING = { stanPingInterval: 2_000, stanMaxPingOut: 3 };

/** One server of the broker, with login and TLS options. */
export interface BrokerServer {
  readonly url: string;
  readonly login?: { readonly user: string; readonly pass: string } | { readonly token: string };
  /** Options of `tls.connect`. With them, no connection is made unencrypted. */
  readonly tls?: {
    /** The name that the server's certificate must have. */
    readonly host: string;
    readonly servername?: string;
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
  };
}

export interface GenerationSettings extends BrokerServer {
  readonly clusterId: string;
  readonly clientId: string;
  readonly queueGroup: string;
  readonly redeliveryWaitSeconds: number;
  readonly ackTimeoutMs: number;
  /** How many messages of a subject may be in flight. */
  readonly maxInFlight: (subject: string) => number;
}

export interface GenerationEvents {
  connected(): void;
  /** Called once, at the first failure or after `end`. Later events of the connection are ignored. */
  ended(reason: string): void;
}

export interface SubscriptionEvents {
  up(): void;
  /** The server refused it. The connection still works. */
  refused(reason: string): void;
}

/** One connection and its subscriptions, from connect to the first failure. It is never repaired. */
export interface Generation {
  publish(subject: string, data: string): Promise<void>;
  /** One of the events is called, unless the connection ends before. */
  subscribe(subscription: Subscription, events: SubscriptionEvents): void;
  /** Delivers no more messages; settles and acknowledges those in flight, then closes the subscriptions. */
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
    ...settings.login,
    ...(settings.tls && { tls: settings.tls }),
    // The client would keep publishes for a reconnection, and send them when nobody waits for them any more.
    reconnect: false,
    ackTimeout: settings.ackTimeoutMs,
    connectTimeout: REQUEST_TIMEOUT_MS,
    ...PING,
  });

  let state: 'connecting' | 'connected' | 'ended' = 'connecting';
  let receiving = true;
  const outstanding = new Set<(failure: PublishFailed) => void>();
  const subscriptions: StanSubscription[] = [];
  const inFlight = new Map<string, Promise<void>>();

  let markClosed = (): void => {};
  const closed = new Promise<void>((resolve) => (markClosed = resolve));
  const cancelConnectTimeout = clock.after(CONNECT_TIMEOUT_MS, () =>
    end(withLikelyCause('connecting took too long', settings)),
  );

  client.on('connect', () => {
    if (state !== 'connecting') return;
    state = 'connected';
    cancelConnectTimeout();
    events.connected();
  });
  // The client reports success for outstanding publishes when the connection closes: `disconnect` comes first.
  client.on('disconnect', () => end('disconnected'));
  client.on('connection_lost', (error: unknown) => end(`connection lost: ${textOf(error)}`));
  client.on('error', (error: unknown) => end(withLikelyCause(textOf(error), settings)));
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
    // The client may close itself right after the event that ends the generation.
    setImmediate(closeClient);
  }

  function closeClient(): void {
    // Closes the streaming client: its ping timer outlives an inner connection that is closed alone.
    try {
      client.close();
    } catch {
      // Closed already: a `close` event may never come.
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
        // An ended generation has failed it already; the later result from the client is not reliable.
        if (!outstanding.delete(reject)) return;
        if (error === undefined || error === null || error === '') resolve();
        else settleFailure(textOf(error), reject);
      });
    });
  }

  function settleFailure(message: string, reject: (failure: PublishFailed) => void): void {
    if (message.includes('ack timeout')) {
      reject(new PublishFailed('timeout', message));
      // The client would ignore a later acknowledgement, and other requests may be stuck as well.
      end('an acknowledgement did not come in time');
      return;
    }
    // The client fails outstanding publishes right before it reports the end of the connection.
    queueMicrotask(() => reject(new PublishFailed(state === 'ended' ? 'disconnected' : 'refused', message)));
  }

  function subscribe(subscription: Subscription, { up, refused }: SubscriptionEvents): void {
    const { subject } = subscription;
    const opened = open(subscription);
    let isUp = false;
    opened.on('ready', () => {
      isUp = true;
      // Only now: the client cannot close one that the server has not confirmed.
      subscriptions.push(opened);
      if (state === 'connected' && receiving) up();
    });
    opened.on('error', (error: unknown) => {
      const reason = `subscription to ${subject}: ${textOf(error)}`;
      if (isUp || state !== 'connected') {
        end(reason);
        return;
      }
      // The client would keep it, and the next attempt adds another one.
      delete (client as unknown as { subMap: Record<string, unknown> }).subMap[
        (opened as unknown as { inbox: string }).inbox
      ];
      refused(reason);
    });
    // The server may have the subscription anyway, and deliver messages that nobody receives.
    opened.on('timeout', (error: unknown) => end(`subscription to ${subject}: ${textOf(error)}`));
    opened.on('message', (message: StanMessage) => {
      if (state !== 'connected' || !receiving) return;
      if (subscription.mode === 'group') take(subscription, message);
      else subscription.hear(toMessage(subject, message));
    });
  }

  function open(subscription: Subscription): StanSubscription {
    const options = client.subscriptionOptions().setMaxInFlight(settings.maxInFlight(subscription.subject));
    if (subscription.mode === 'watch') {
      return client.subscribe(subscription.subject, options.setStartAtTimeDelta(subscription.sinceMs));
    }
    options
      .setDeliverAllAvailable()
      .setManualAckMode(true)
      .setDurableName(settings.queueGroup)
      .setAckWait(settings.redeliveryWaitSeconds * 1000);
    return client.subscribe(subscription.subject, settings.queueGroup, options);
  }

  function take({ subject, receive }: Subscription & { mode: 'group' }, message: StanMessage): void {
    const key = `${subject}:${message.getSequence()}`;
    // Redelivered because handling takes long: one acknowledgement counts for both. Handling it again after each
    // redelivery wait would make a slow database slower.
    if (inFlight.has(key)) return;
    inFlight.set(
      key,
      handle(subject, receive, message).finally(() => inFlight.delete(key)),
    );
  }

  async function handle(subject: string, receive: Receive, message: StanMessage): Promise<void> {
    const sequence = message.getSequence();
    try {
      const verdict = await receive(toMessage(subject, message));
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
    await allOf([...inFlight.values()]);
    if (state !== 'connected') return;
    await allOf(subscriptions.splice(0).map(closeSubscription));
  }

  /** Never unsubscribes: with the last member that would delete the durable position. */
  function closeSubscription(subscription: StanSubscription): Promise<void> {
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

  return { publish, subscribe, stopReceiving, end, closed };
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

export function isNotAuthorized(reason: string): boolean {
  return /authoriz|authentic/i.test(reason);
}

/** The broker can be reached, and the settings are most likely wrong. */
export function isRefusal(reason: string): boolean {
  return isNotAuthorized(reason) || /connect request timeout|clientID already registered/.test(reason);
}

/** Adds the setting that most often causes the failure to its reason. */
function withLikelyCause(reason: string, { clusterId, clientId }: GenerationSettings): string {
  // A server of another cluster does not answer at all.
  if (/connect request timeout|connecting took too long/.test(reason)) {
    return `${reason}: is NATS_CLUSTER_ID=${clusterId} the cluster id of the broker?`;
  }
  if (reason.includes('clientID already registered')) {
    return `${reason}: NATS_CLIENT_ID=${clientId} is in use, or was a moment ago; each replica needs its own`;
  }
  return reason;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
