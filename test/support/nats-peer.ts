import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import stan from 'node-nats-streaming';

/** A message as the broker's channel holds it. */
export interface Stored {
  readonly subject: string;
  readonly sequence: number;
  /** The broker's time in nanoseconds: two channels have no other order between them. */
  readonly at: number;
  readonly text: string;
}

export interface Heard extends Stored {
  readonly data: Record<string, unknown> & { id: string; orderId?: string; ticket: { id: string } };
}

/** The last message of a channel comes within this time, if there is one. */
const NOTHING_COMES_MS = 3_000;

/** Another service on the broker, as anyone would write it with the plain client. */
export interface Peer {
  publish(subject: string, data: unknown): Promise<void>;
  /** Everything that was ever published on the subject, in the order of the channel; it goes on growing. */
  history(subject: string): Promise<readonly Heard[]>;
  /** Everything that is in the channel now, whatever it is. */
  wholeChannel(subject: string): Promise<readonly Stored[]>;
  /** All of these subjects, in the order of arrival here. */
  listen(subjects: readonly string[]): Promise<readonly Heard[]>;
  close(): Promise<void>;
}

export async function connectPeer(url: string, limits: Partial<stan.StanOptions> = {}): Promise<Peer> {
  const client = stan.connect('ticketing', `peer-${randomUUID()}`, {
    url,
    reconnect: false,
    ackTimeout: 5_000,
    ...limits,
  });
  client.on('error', () => {});
  client.on('connection_lost', () => {});
  await once(client, 'connect');

  async function listen(subjects: readonly string[]): Promise<Heard[]> {
    const heard: Heard[] = [];
    for (const subject of subjects) {
      const subscription = client.subscribe(subject, client.subscriptionOptions().setDeliverAllAvailable());
      subscription.on('message', (message: stan.Message) => {
        const stored = toStored(subject, message);
        heard.push({ ...stored, data: JSON.parse(stored.text) as Heard['data'] });
      });
      await once(subscription, 'ready');
    }
    return heard;
  }

  async function wholeChannel(subject: string): Promise<Stored[]> {
    const last = client.subscribe(subject, client.subscriptionOptions().setStartWithLastReceived());
    const signal = AbortSignal.timeout(NOTHING_COMES_MS);
    const [newest] = (await once(last, 'message', { signal }).catch(() => [])) as stan.Message[];
    if (!newest) return [];
    const all = client.subscribe(subject, client.subscriptionOptions().setDeliverAllAvailable());
    const stored: Stored[] = [];
    await new Promise<void>((resolve) => {
      all.on('message', (message: stan.Message) => {
        const sequence = message.getSequence();
        if (sequence > newest.getSequence()) return;
        stored.push(toStored(subject, message));
        if (sequence === newest.getSequence()) resolve();
      });
    });
    return stored;
  }

  return {
    wholeChannel,
    publish: (subject, data) =>
      new Promise((resolve, reject) => {
        const text = typeof data === 'string' ? data : JSON.stringify(data);
        client.publish(subject, text, (error) => (error ? reject(error) : resolve()));
      }),
    history: (subject) => listen([subject]),
    listen,
    async close() {
      const closed = once(client, 'close');
      client.close();
      await closed;
    },
  };
}

function toStored(subject: string, message: stan.Message): Stored {
  return {
    subject,
    sequence: message.getSequence(),
    at: message.getTimestampRaw(),
    text: String(message.getData()),
  };
}
