import pino from 'pino';
import { compose, NOTHING, type Between } from '../../src/wiring/service';
import { loadConfig } from '../../src/config/load-config';
import { holdServerToContract } from './contract';
import { eventually } from './eventually';
import { BASE_PATH, CURRENT_KEY, newId, tokenOf } from './http-app';

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Order {
  readonly id: string;
  readonly version: number;
  readonly status: string;
  readonly userId: string;
  readonly ticket: { readonly id: string };
}

/** The whole service listening on a port of this process, and well-behaved peers and clients of it. */
export type ComposedService = Awaited<ReturnType<typeof startComposed>>;

interface Options {
  readonly between?: Partial<Between>;
  /** The lines of the log that are kept. */
  readonly keeps?: RegExp;
}

const ERRORS = /^\{"level":"(error|fatal)"/;

/** Without settings: on its embedded store and broker. Its answers are held to the OpenAPI document. */
export async function startComposed(
  env: Readonly<Record<string, string>> = {},
  { between = {}, keeps = ERRORS }: Options = {},
) {
  const logged: LogLine[] = [];
  const logger = pino(
    { level: 'info', formatters: { level: (label) => ({ level: label }) } },
    { write: (line) => void (keeps.test(line) && logged.push(JSON.parse(line) as LogLine)) },
  );
  const config = loadConfig({ JWT_KEY: CURRENT_KEY, PORT: '0', RATE_LIMIT_PER_MINUTE: '0', ...env });
  const service = await compose(config, { logger, onLineDropped() {} }, { ...NOTHING, ...between });
  const { address, port } = await service.start();
  const url = `http://127.0.0.1:${port}`;
  const release = holdServerToContract(port, config.http.basePath);

  async function publish(subject: string, data: Buffer | object): Promise<void> {
    if (!service.embedded) throw new Error('nothing is embedded');
    const bytes = Buffer.isBuffer(data) ? data : Buffer.from(JSON.stringify(data));
    // A peer of ours publishes text; others put any bytes on the wire, and the broker takes those too.
    await service.embedded.peer.publish(subject, bytes as unknown as string);
  }

  function call(user: string, method: string, path: string, body?: object): Promise<Response> {
    return fetch(url + path, {
      method,
      headers: { Authorization: `Bearer ${tokenOf(user)}`, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  async function expectStatus(status: number, answering: Promise<Response>): Promise<unknown> {
    const answer = await answering;
    const text = await answer.text();
    if (answer.status !== status) throw new Error(`${answer.status} instead of ${status}: ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  async function place(user: string, ticketId: string): Promise<Order> {
    return (await expectStatus(201, call(user, 'POST', BASE_PATH, { ticketId }))) as Order;
  }

  return {
    address,
    port,
    url,
    logged: logged as readonly LogLine[],
    publish,
    call,
    place,
    /** A ticket that is known and free. */
    async sell(): Promise<string> {
      const id = newId();
      await publish('ticket:created', { id, version: 0, title: 'A concert', price: 20, userId: 'seller' });
      // Only an order shows that the ticket is known; cancelled, it leaves the ticket as it was.
      const order = await eventually(() => place('visitor', id));
      await expectStatus(204, call('visitor', 'DELETE', `${BASE_PATH}/${order.id}`));
      return id;
    },
    /** Takes a payment as its service would; resolves once the order shows it. */
    async pay({ id, userId }: Pick<Order, 'id' | 'userId'>): Promise<void> {
      await publish('payment:created', { id: newId(), orderId: id, stripeId: 'stripe' });
      await eventually(async () => {
        const order = (await expectStatus(200, call(userId, 'GET', `${BASE_PATH}/${id}`))) as Order;
        if (order.status !== 'complete') throw new Error(`the order is ${order.status}`);
      });
    },
    metrics: async () => (await fetch(`${url}/metrics`)).text(),
    stop: () => service.stop().finally(release),
  };
}
