import { Unavailable } from '../../src/application/ports';
import { createHttpServer } from '../../src/http/server';
import type { OrderUseCases } from '../../src/http/orders';
import { exchange } from '../hostile/wire';
import {
  BASE_PATH,
  cookieOf,
  createTestApp,
  newId,
  orderOf,
  tokenOf,
  type TestAppOptions,
} from '../support/http-app';
import type { Answered, Operation } from '../support/contract';

/** One answer that the document has for an operation. */
export interface Documented {
  readonly template: string;
  /** The path, with its parameters in braces. */
  readonly address: string;
  readonly method: string;
  readonly operation: Operation;
  readonly status: number;
  /** Of a problem. */
  readonly code: string | undefined;
}

/** What makes the service answer so: a request, and what is behind the API. */
interface Provocation {
  /** Header names with a space or none at all make it no HTTP. */
  headers?: Record<string, string | undefined>;
  target?: string;
  body?: string;
  /** Instead of the whole request. */
  bytes?: (request: string) => string;
  times?: number;
  behind?: TestAppOptions;
  draining?: boolean;
}

const failing = (error: Error): TestAppOptions => {
  const fail = () => Promise.reject(error);
  return {
    useCases: { placeOrder: fail, listOrders: fail, findOrder: fail, cancelOrder: fail },
    expose: fail,
  };
};
const placing = (result: Awaited<ReturnType<OrderUseCases['placeOrder']>>): Provocation => ({
  behind: { useCases: { placeOrder: () => Promise.resolve(result) } },
});
const cancelling = (result: Awaited<ReturnType<OrderUseCases['cancelOrder']>>): Provocation => ({
  behind: { useCases: { cancelOrder: () => Promise.resolve(result) } },
});
const never = () => new Promise<never>(() => {});
const PENDING: TestAppOptions = {
  useCases: { placeOrder: never, listOrders: never, findOrder: never, cancelOrder: never },
  expose: never,
};

/** By the code of the problem. */
const PROBLEMS: Record<string, Provocation> = {
  'malformed-request': { headers: { 'X Y': 'z' } },
  'missing-host': { headers: { Host: undefined } },
  'malformed-path': { target: '%zz' },
  'malformed-json': { body: '{' },
  'invalid-request': { target: '?nonsense=1' },
  'not-authorized': { headers: { Authorization: undefined } },
  'cross-site': {
    headers: {
      Authorization: undefined,
      Cookie: `session=${cookieOf(tokenOf())}`,
      'Sec-Fetch-Site': 'cross-site',
    },
  },
  'no-such-route': { target: 'nothing' },
  'method-not-allowed': {},
  'unknown-ticket': placing({ type: 'unknown-ticket' }),
  'unknown-order': {
    behind: {
      useCases: {
        findOrder: () => Promise.resolve(undefined),
        cancelOrder: () => Promise.resolve('not-found'),
      },
    },
  },
  'request-timeout': { bytes: (request) => request.slice(0, request.indexOf('\r\n') + 10) },
  'ticket-reserved': placing({ type: 'reserved', ownOrderId: newId() }),
  'reserved-elsewhere': placing({ type: 'reserved-elsewhere' }),
  'price-changed': placing({ type: 'price-changed', price: 12.5 }),
  'too-many-open-orders': placing({ type: 'too-many-open-orders' }),
  'already-paid': cancelling('already-paid'),
  'precondition-failed': cancelling('precondition-failed'),
  'body-too-large': { body: JSON.stringify({ ticketId: 'x'.repeat(11_000) }) },
  'chunk-extensions-too-large': {
    headers: { 'Content-Length': undefined, 'Transfer-Encoding': 'chunked' },
    bytes: (request) => `${request.slice(0, request.indexOf('\r\n\r\n') + 4)}1;${'x'.repeat(17 * 1024)}`,
    behind: PENDING,
  },
  'not-json': { headers: { 'Content-Type': 'text/plain' } },
  'unsupported-charset': { headers: { 'Content-Type': 'application/json; charset=latin1' } },
  'unsupported-encoding': { headers: { 'Content-Encoding': 'gzip' } },
  'unknown-expectation': { headers: { Expect: 'a-miracle' } },
  'key-reused': placing({ type: 'key-reused' }),
  'too-many-requests': { times: 2, behind: { rateLimitPerMinute: 1, ...failing(new Error('counted')) } },
  'headers-too-large': { headers: { 'X-Large': 'x'.repeat(17 * 1024) } },
  'internal-error': { behind: failing(new Error('broken')) },
  unavailable: { behind: failing(new Unavailable('not there')) },
};

const order = orderOf();
const page = { orders: [order], next: { createdAt: order.createdAt, id: order.id }, total: 7 };
/** All goes well, at the rate and from the origin that have headers of their own. */
const SUCCESS: TestAppOptions = {
  rateLimitPerMinute: 10,
  corsOrigins: ['https://shop.example'],
  useCases: {
    placeOrder: () => Promise.resolve({ type: 'placed', order }),
    listOrders: () => Promise.resolve(page),
    findOrder: () => Promise.resolve(order),
    cancelOrder: () => Promise.resolve('cancelled'),
  },
};

function provocationOf({ status, code }: Documented): Provocation {
  if (code !== undefined) {
    const found = PROBLEMS[code];
    if (!found) throw new Error(`nothing provokes ${code}`);
    return found;
  }
  const success = { behind: SUCCESS, headers: { Origin: 'https://shop.example' } };
  if (status === 503) return { ...success, draining: true };
  if (status !== 304) return success;
  return { ...success, headers: { ...success.headers, 'If-None-Match': '*' } };
}

/** The answer of the service, over a connection of its own. */
export async function provoke(documented: Documented): Promise<Answered> {
  const { behind = {}, draining = false, times = 1, ...how } = provocationOf(documented);
  const { app, readiness } = createTestApp(behind);
  readiness.draining = draining;
  const server = createHttpServer(
    app,
    { host: '127.0.0.1', port: 0, basePath: BASE_PATH },
    { headersMs: 200, requestMs: 300, checkEveryMs: 250, noProgressMs: 10_000 },
  );
  const { port } = await server.start();
  const { path, bytes } = requestFor(documented, how);
  const method = documented.method.toUpperCase();
  try {
    let answer;
    for (let i = 0; i < times; i += 1) {
      [answer] = (await exchange(port, { method, bytes: Buffer.from(bytes, 'latin1') }, 10_000)).answers;
    }
    if (!answer) throw new Error(`no answer to ${JSON.stringify(bytes.slice(0, 500))}`);
    return { method, path, ...answer };
  } finally {
    void server.stop();
  }
}

function requestFor(documented: Documented, { headers, target, body, bytes }: Provocation) {
  const { method, operation } = documented;
  const needsSignIn = operation.security === undefined;
  const content = body ?? (method === 'post' ? JSON.stringify({ ticketId: newId() }) : '');
  const path = pathOf(documented, target);
  const all = {
    Host: 'orders',
    Connection: 'close',
    ...(needsSignIn ? { Authorization: `Bearer ${tokenOf()}` } : {}),
    ...(method === 'post' ? { 'Content-Type': 'application/json', 'Content-Length': content.length } : {}),
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}\r\n`],
  );
  const request = `${method.toUpperCase()} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${content}`;
  return { path: path.split('?')[0] ?? '', bytes: bytes?.(request) ?? request };
}

/** `target`: a query, or what stands for the parameter. */
function pathOf({ address, template }: Documented, target = ''): string {
  const usual = template === '/problems/{code}' ? 'price-changed' : order.id;
  const isQuery = target.startsWith('?');
  const parameter = target === '' || isQuery ? usual : target;
  return address.replace(/\{\w+\}/, parameter) + (isQuery ? target : '');
}
