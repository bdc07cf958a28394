import pino from 'pino';
import { compose } from '../../src/wiring/service';
import { loadConfig } from '../../src/config/load-config';
import { BASE_PATH, CURRENT_KEY, newId, tokenOf } from '../support/http-app';
import { eventually } from '../support/eventually';

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Order {
  readonly id: string;
  readonly status: string;
  readonly userId: string;
  readonly ticket: { readonly id: string };
}

/** The whole service on its embedded store and broker, listening on a port, and a well-behaved client of it. */
export interface RunningService {
  readonly port: number;
  /** Of the levels error and fatal, so far. */
  readonly errors: readonly LogLine[];
  publish(subject: string, data: Buffer | object): Promise<void>;
  call(user: string, method: string, path: string, body?: object): Promise<Response>;
  /** A ticket that is known and free. */
  sell(): Promise<string>;
  place(user: string, ticketId: string): Promise<Order>;
  pay(order: Order): Promise<void>;
  metrics(): Promise<string>;
  stop(): Promise<unknown>;
}

const IS_ERROR = /^\{"level":"(error|fatal)"/;

export async function startEmbedded(): Promise<RunningService> {
  const errors: LogLine[] = [];
  const logger = pino(
    { level: 'info', formatters: { level: (label) => ({ level: label }) } },
    { write: (line) => void (IS_ERROR.test(line) && errors.push(JSON.parse(line) as LogLine)) },
  );
  const config = loadConfig({ JWT_KEY: CURRENT_KEY, PORT: '0', RATE_LIMIT_PER_MINUTE: '0' });
  const service = await compose(config, { logger, onLineDropped() {} });
  const { port } = await service.start();
  const peer = service.embedded?.peer;
  if (!peer) throw new Error('nothing is embedded');

  async function publish(subject: string, data: Buffer | object): Promise<void> {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.from(JSON.stringify(data));
    // A peer of ours publishes text; others put any bytes on the wire, and the broker takes those too.
    await peer?.publish(subject, bytes as unknown as string);
  }

  function call(user: string, method: string, path: string, body?: object): Promise<Response> {
    return fetch(`http://127.0.0.1:${port}${path}`, {
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

  async function sell(): Promise<string> {
    const id = newId();
    await publish('ticket:created', { id, version: 0, title: 'A concert', price: 20, userId: 'seller' });
    // Only an order shows that the ticket is known; cancelled, it leaves the ticket as it was.
    const order = await eventually(() => place('visitor', id));
    await expectStatus(204, call('visitor', 'DELETE', `${BASE_PATH}/${order.id}`));
    return id;
  }

  return {
    port,
    errors,
    publish,
    call,
    sell,
    place,
    async pay({ id, userId }) {
      await publish('payment:created', { id: newId(), orderId: id, stripeId: 'stripe' });
      await eventually(async () => {
        const order = (await expectStatus(200, call(userId, 'GET', `${BASE_PATH}/${id}`))) as Order;
        if (order.status !== 'complete') throw new Error(`the order is ${order.status}`);
      });
    },
    metrics: async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text(),
    stop: service.stop,
  };
}

const SAMPLE = /^(\w+)(?:\{(.*)\})? (\S+)$/;

/** The sum of the metric's series whose labels match. Throws where the text is not what Prometheus reads. */
export function sumOfSeries(text: string, name: string, labels = /.*/): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# ')) continue;
    const [, sample, labelled = '', value] = SAMPLE.exec(line) ?? [];
    if (sample === undefined || (value !== 'Nan' && Number.isNaN(Number(value))))
      throw new Error(`no sample: ${line}`);
    if (sample === name && labels.test(labelled)) sum += Number(value);
  }
  return sum;
}
