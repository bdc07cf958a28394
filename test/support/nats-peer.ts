import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import stan from 'node-nats-streaming';

export interface Heard {
  readonly subject: string;
  readonly sequence: number;
  /** The broker's time in nanoseconds: two channels have no other order between them. */
  readonly at: number;
  readonly text: string;
  readonly data: Record<string, unknown> & { id: string; orderId?: string; ticket: { id: string } };
}

/** Another service on the broker, as anyone would write it with the plain client. */
export interface Peer {
  publish(subject: string, data: unknown): Promise<void>;
  /** Everything that was ever published on the subject, in the order of the channel; it goes on growing. */
  history(subject: string): Promise<readonly Heard[]>;
  /** All of these subjects, in the order of arrival here. */
  listen(subjects: readonly string[]): Promise<readonly Heard[]>;
  close(): Promise<void>;
}

export async function connectPeer(url: string): Promise<Peer> {
  const client = stan.connect('ticketing', `peer-${randomUUID()}`, {
    url,
    reconnect: false,
    ackTimeout: 5_000,
  });
  await once(client, 'connect');
  client.on('error', () => {});
  client.on('connection_lost', () => {});

  async function listen(subjects: readonly string[]): Promise<Heard[]> {
    const heard: Heard[] = [];
    for (const subject of subjects) {
      const subscription = client.subscribe(subject, client.subscriptionOptions().setDeliverAllAvailable());
      subscription.on('message', (message: stan.Message) => {
        const text = String(message.getData());
        heard.push({
          subject,
          sequence: message.getSequence(),
          at: message.getTimestampRaw(),
          text,
          data: JSON.parse(text) as Heard['data'],
        });
      });
      await once(subscription, 'ready');
    }
    return heard;
  }

  return {
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
