import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { connect, type Message } from 'node-nats-streaming';
import type { PeerConfig } from '../config/load-config';
import { REQUEST_MS, textOf, USER, type Attempt, type Json } from './attempt';
import type { Settings } from './settings';

/** Tries each server once, because a broker may start after its peers; otherwise the last failure as text. */
export async function reachBroker({
  servers,
  clusterId,
}: Settings): Promise<ReturnType<typeof openBroker> | string> {
  let failure: unknown;
  for (const server of servers) {
    const broker = openBroker(server, clusterId);
    try {
      await broker.connected;
      return broker;
    } catch (error) {
      failure = error;
      void broker.close();
    }
  }
  const text = textOf(failure);
  // A server of another cluster does not answer at all.
  const isUnanswered = text.includes('connect request timeout');
  return isUnanswered ? `${text}: is NATS_CLUSTER_ID=${clusterId} the cluster's id?` : text;
}

/** A connection as a peer has it, with the plain client. */
function openBroker({ url, login, tls }: PeerConfig['servers'][number], clusterId: string) {
  const client = connect(clusterId, `${USER}-${randomUUID()}`, {
    url,
    ...login,
    ...(tls && { tls }),
    reconnect: false,
    connectTimeout: REQUEST_MS,
    ackTimeout: REQUEST_MS,
  });
  const events: { subject: string; data: Json }[] = [];
  let lost: Error | undefined;
  const ended = new Promise<never>((_, reject) => {
    for (const sign of ['error', 'connection_lost', 'disconnect', 'close']) {
      client.on(sign, (error: unknown) => reject((lost ??= new Error(textOf(error ?? sign)))));
    }
  });
  ended.catch(() => {});
  // When the connection ends, the client reports success for outstanding requests; connecting has no time limit.
  const ask = (question: (resolve: () => void, reject: (error: Error) => void) => void) =>
    Promise.race([new Promise<void>(question), ended, timeout()]);

  return {
    connected: ask((resolve) => client.on('connect', resolve)),
    listen: (subject: string) =>
      ask((resolve, reject) => {
        const subscription = client.subscribe(subject);
        subscription.on('ready', resolve).on('error', reject).on('timeout', reject);
        subscription.on('message', (message: Message) =>
          events.push({ subject, data: JSON.parse(String(message.getData())) as Json }),
        );
      }),
    publish: (subject: string, data: Json) =>
      ask((resolve, reject) =>
        client.publish(subject, JSON.stringify(data), (error) =>
          error ? reject(new Error(textOf(error))) : resolve(),
        ),
      ),
    heard(subject: string, { id, version }: Json): Attempt {
      if (lost) throw lost;
      const isIt = (data: Json) => data['id'] === id && data['version'] === version;
      return (
        events.find((event) => event.subject === subject && isIt(event.data))?.data ?? 'it did not arrive'
      );
    },
    close() {
      client.close();
      return ended.catch(() => {});
    },
  };
}

async function timeout(): Promise<never> {
  // Longer than the client's own timeouts, whose errors say more.
  await pause(REQUEST_MS + 1_000, undefined, { ref: false });
  throw new Error('no answer');
}
