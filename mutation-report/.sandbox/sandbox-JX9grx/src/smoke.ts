import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from 'node-nats-streaming';
import type { Message } from 'node-nats-streaming';
import { z } from 'zod';
import { signToken } from './welcome';

/** Everything together, and one request. */
const DEADLINE_MS = 60_000;
const REQUEST_MS = 5_000;
const USER = 'smoke-test';

const url = (protocol: RegExp, example: string) =>
  z.url({
    protocol,
    error: ({ input }) => (input === undefined ? 'is not set' : `must be a URL such as ${example}`),
  });

const environment = z.object({
  ORDERS_URL: url(/^https?$/, 'http://orders:3000/api/v1/orders'),
  NATS_URL: url(/^(nats|http)$/, 'nats://nats:4222'),
  NATS_CLUSTER_ID: z.string().default('ticketing'),
  JWT_KEY: z.string('is not set'),
});

type Settings = z.output<typeof environment>;
type Json = Record<string, unknown>;
/** What was looked for, else the reason why it is not there yet. */
type Attempt = Json | string;

/** The service as its peers and a buyer see it. Leaves behind a ticket and a cancelled order. */
async function smoke(settings: Settings): Promise<void> {
  const step = steps();
  const call = caller(settings);
  const broker = openBroker(settings);
  const ticketId = randomBytes(12).toString('hex');
  const ticket = { id: ticketId, version: 0, title: 'Smoke test', price: 1, userId: USER };

  await step('connect to the broker', () => broker.connected);
  await step('listen to order:created', () => broker.listen('order:created'));
  await step('listen to order:cancelled', () => broker.listen('order:cancelled'));
  await step(`announce ticket ${ticketId}`, () => broker.publish('ticket:created', ticket));
  const { id } = await step('place an order', () => call('POST', '', { ticketId }));
  const path = `/${String(id)}`;
  await step(`read order ${String(id)}`, () => call('GET', path));
  await step('hear OrderCreated', () => broker.heard('order:created', { id, version: 0 }));
  await step('cancel the order', () => call('DELETE', path));
  await step('hear OrderCancelled', () => broker.heard('order:cancelled', { id, version: 1 }));
  await broker.close();
}

/** Attempts each step until it is done; all steps share one deadline. */
function steps() {
  const deadline = performance.now() + DEADLINE_MS;
  return async <T>(what: string, attempt: () => T | string | Promise<T | string>): Promise<T> => {
    try {
      for (;;) {
        const result = await attempt();
        if (typeof result !== 'string') {
          print(`ok   ${what}`);
          return result;
        }
        if (performance.now() > deadline) throw new Error(`${result}, and time is up`);
        await pause(100);
      }
    } catch (error) {
      throw new Error(`FAIL ${what}: ${textOf(error)}`, { cause: error });
    }
  };
}

function caller({ ORDERS_URL, JWT_KEY }: Settings) {
  const token = signToken(JWT_KEY, { userId: USER, email: `${USER}@example.com`, expiresInSeconds: 600 });
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    // A repeated attempt gets the first answer, should that have been lost.
    'idempotency-key': randomUUID(),
  };
  return async (method: string, path: string, body?: Json): Promise<Attempt> => {
    const response = await fetch(ORDERS_URL.replace(/\/+$/, '') + path, {
      method,
      headers,
      body: body ? JSON.stringify(body) : null,
      signal: AbortSignal.timeout(REQUEST_MS),
    }).catch(textOf);
    if (typeof response === 'string') return response;
    const text = await response.text();
    if (response.ok) return text === '' ? {} : (JSON.parse(text) as Json);
    const refusal = `answered ${response.status} ${text.replace(/\s+/g, ' ').slice(0, 200)}`;
    const isTicketOnItsWay = response.status === 404 && method === 'POST';
    if (isTicketOnItsWay || response.status === 503) return refusal;
    throw new Error(refusal);
  };
}

/** A peer on the broker, with the plain client. */
function openBroker({ NATS_URL, NATS_CLUSTER_ID }: Settings) {
  const client = connect(NATS_CLUSTER_ID, `${USER}-${randomUUID()}`, {
    url: NATS_URL.replace(/^http:/, 'nats:'),
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
  // The client reports success of what is outstanding when the connection ends, and sets no limit to connecting.
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
      return events.find((event) => event.subject === subject && isIt(event.data))?.data ?? 'it did not come';
    },
    close() {
      client.close();
      return ended.catch(() => {});
    },
  };
}

async function timeout(): Promise<never> {
  // Longer than the client's own limits, which say more.
  await pause(REQUEST_MS + 1_000, undefined, { ref: false });
  throw new Error('no answer');
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // fetch says only that it failed, and its cause why.
  const { code } = (error.cause ?? {}) as { code?: string };
  return code === undefined ? error.message : `${error.message} (${code})`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const given = Object.entries(process.env).filter(([, value]) => value !== '');
const settings = environment.safeParse(Object.fromEntries(given));
if (settings.success) {
  smoke(settings.data).then(
    () => process.exit(0),
    (error: unknown) => {
      print(textOf(error));
      process.exit(1);
    },
  );
} else {
  for (const { path, message } of settings.error.issues) print(`${path.join('.')}: ${message}`);
  process.exit(2);
}
