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
export type Peer = Awaited<ReturnType<typeof connectPeer>>;

export async function connectPeer(url: string, limits: Partial<stan.StanOptions> = {}) {
  const client = stan.connect('ticketing', `peer-${randomUUID()}`, {
    url,
    reconnect: false,
    ackTimeout: 5_000,
    ...limits,
  });
  client.on('error', () => {});
  client.on('connection_lost', () => {});
  await once(client, 'connect');

  /** All of these subjects, in the order of arrival here; it goes on growing. */
  async function listen(subjects: readonly string[]): Promise<readonly Heard[]> {
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

  /** Everything that is in the channel now, whatever it is. */
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
    publish: (subject: string, data: unknown) =>
      new Promise<void>((resolve, reject) => {
        const text = typeof data === 'string' ? data : JSON.stringify(data);
        client.publish(subject, text, (error) => (error ? reject(error) : resolve()));
      }),
    /** Everything that was ever published on the subject, in the order of the channel; it goes on growing. */
    history: (subject: string) => listen([subject]),
    listen,
    async close(): Promise<void> {
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
