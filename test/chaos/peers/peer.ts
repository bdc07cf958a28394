import { randomUUID } from 'node:crypto';
import stan, { type Message, type Stan } from 'node-nats-streaming';
import { createChance } from '../../support/chance';

const ACK_TIMEOUT_MS = 2_000;
const RETRY_MS = 500;
/** Copies of a message come out within this time, in any order. */
const SHUFFLED_WITHIN_MS = 1_500;

/** What the campaign tells a peer when it starts it, as JSON in the environment. */
export interface PeerSettings {
  readonly role: string;
  readonly natsUrl: string;
  readonly seed: number;
  readonly windowSeconds: number;
}

/** What a peer tells the campaign. */
export interface PeerReport {
  readonly hit: string;
}

export interface OrderCreated {
  readonly id: string;
  readonly expiresAt: string;
  readonly ticket: { readonly id: string };
}

type Listener = (order: OrderCreated) => void;

/**
 * Another service on the broker, a careless one: it repeats itself, says things in the wrong order, and now and then
 * something that nobody can read. It never gives up: it connects again after every loss, and sends again until the
 * broker has acknowledged.
 */
export function startPeer() {
  const settings = JSON.parse(process.env['CHAOS_PEER'] ?? '{}') as PeerSettings;
  const { role, natsUrl } = settings;
  const chance = createChance(settings.seed);
  const listeners = new Map<string, Listener>();
  let client: Stan | undefined;
  let closing = false;

  process.on('disconnect', () => process.exit(0));
  process.on('message', (message: { closing?: true }) => {
    if (message.closing) closing = true;
  });
  connect();

  function connect(): void {
    const next = stan.connect('ticketing', `${role}-${randomUUID()}`, {
      url: natsUrl,
      reconnect: false,
      ackTimeout: ACK_TIMEOUT_MS,
      connectTimeout: 2_000,
      stanPingInterval: 1_000,
      stanMaxPingOut: 2,
    });
    let over = false;
    const again = (): void => {
      if (over) return;
      over = true;
      if (client === next) client = undefined;
      try {
        next.close();
      } catch {
        // It is closed already.
      }
      setTimeout(connect, RETRY_MS);
    };
    const patience = setTimeout(again, 5_000);
    next.on('connect', () => {
      clearTimeout(patience);
      client = next;
      for (const subject of listeners.keys()) listen(next, subject, again);
    });
    for (const event of ['error', 'connection_lost', 'disconnect', 'close']) next.on(event, again);
  }

  function listen(on: Stan, subject: string, onLost: () => void): void {
    const heard = on.subscribe(
      subject,
      role,
      on
        .subscriptionOptions()
        .setDeliverAllAvailable()
        .setDurableName(role)
        .setManualAckMode(true)
        .setAckWait(2_000)
        .setMaxInFlight(100),
    );
    heard.on('error', onLost).on('timeout', onLost);
    heard.on('message', (message: Message) => {
      listeners.get(subject)?.(JSON.parse(String(message.getData())) as OrderCreated);
      if (client === on) message.ack();
    });
  }

  /** Each order once, however often its event comes. */
  function onceEach(subject: string, listener: Listener): void {
    const seen = new Set<string>();
    listeners.set(subject, (order) => {
      if (seen.has(order.id)) return;
      seen.add(order.id);
      listener(order);
    });
  }

  function publish(subject: string, text: string): void {
    const retry = () => setTimeout(() => publish(subject, text), RETRY_MS);
    if (!client) {
      retry();
      return;
    }
    const sender = client;
    sender.publish(subject, text, (error) => {
      // A client that closes calls every publish a success.
      if (error || client !== sender) retry();
    });
  }

  function report(hit: string): void {
    process.send?.({ hit } satisfies PeerReport);
  }

  /** Sends it, once or several times, each copy a little later than it should. */
  function send(subject: string, content: unknown): void {
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    const copies = chance.weighted([
      { weight: 6, copies: 1 },
      { weight: 3, copies: 2 },
      { weight: 1, copies: 3 },
    ]).copies;
    if (copies > 1) report(`message repeated: ${subject}`);
    for (let copy = 0; copy < copies; copy += 1) {
      const lateMs = copy === 0 ? chance.between(0, 200) : chance.between(0, SHUFFLED_WITHIN_MS);
      setTimeout(() => publish(subject, text), lateMs);
    }
  }

  return {
    chance,
    windowMs: settings.windowSeconds * 1000,
    send,
    /** Something that cannot be read. */
    sendPoison(subject: string): void {
      if (closing) return;
      const poison = chance.pick([
        `not JSON: poison ${randomUUID()}`,
        JSON.stringify({ poison: randomUUID() }),
        JSON.stringify({ orderId: { $ne: null }, id: ['poison'], stripeId: randomUUID() }),
        JSON.stringify([`poison ${randomUUID()}`]),
        `"poison ${randomUUID()}`,
      ]);
      report(`poison: ${subject}`);
      publish(subject, poison);
    },
    onOrderCreated: (listener: Listener) => onceEach('order:created', listener),
    onOrderCancelled: (listener: Listener) => onceEach('order:cancelled', listener),
    /** No poison any more. */
    isClosing: () => closing,
  };
}
