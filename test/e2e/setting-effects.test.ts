import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import jwt from 'jsonwebtoken';
import { mongo } from 'mongoose';
import { Unavailable } from '../../src/application/ports';
import type { Between } from '../../src/wiring/service';
import { loadConfig } from '../../src/config/load-config';
import { startComposed } from '../support/composed-service';
import { newId } from '../support/new-id';
import { eventually } from '../support/eventually';
import { startMongodWithUser } from '../support/mongod';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import { sumOfSeries } from '../support/series';
import { freePort, type ServerProcess } from '../support/server-process';
import { describeWith } from '../support/servers';
import { JWT_KEY, ordersClient } from '../support/service-process';

/** The effect of a setting on the whole service, as it is seen from outside. */
type Effects = Readonly<Record<string, () => Promise<void>>>;

/** Settings whose test stands elsewhere: the file, and the title in it. */
const BY_PROCESS = 'e2e/settings.test.ts';
const ELSEWHERE: Readonly<Record<string, readonly [file: string, title: string]>> = {
  KEEP_ALIVE_SECONDS: ['http/composed.test.ts', 'say how long idle connections are kept'],
  CORS_ORIGINS: ['http/composed.test.ts', 'name the origins whose pages may read answers'],
  NATS_URL_FILE: [BY_PROCESS, 'a broker with a token, whose URL is in a file'],
  NATS_USERNAME: [BY_PROCESS, 'a broker with credentials of any characters'],
  NATS_PASSWORD_FILE: [BY_PROCESS, 'a broker with credentials of any characters'],
  NATS_PASSWORD: [BY_PROCESS, 'an encrypted broker behind an address where nothing is'],
  NATS_CA_FILE: [BY_PROCESS, 'an encrypted broker behind an address where nothing is'],
  NATS_CERT_FILE: [BY_PROCESS, 'an encrypted broker behind an address where nothing is'],
  NATS_KEY_FILE: [BY_PROCESS, 'an encrypted broker behind an address where nothing is'],
};

const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  jest.restoreAllMocks();
  for (const task of cleanUp.splice(0).reverse()) await task();
});

// --- the service, composed in this process --------------------------------------------------------------

async function composed(env: Record<string, string>, between: Partial<Between> = {}) {
  const settings = { JWT_KEY, REDELIVERY_WAIT_SECONDS: '1', ...env };
  const service = await startComposed(settings, { between });
  cleanUp.push(() => service.stop());
  return {
    ...service,
    buyer: ordersClient(service.url, 'buyer'),
    readiness: async () => (await (await fetch(`${service.url}/readyz`)).json()) as object,
  };
}

type Composed = Awaited<ReturnType<typeof composed>>;

async function placeOrder({ publish, url }: Composed, user = 'buyer') {
  const buyer = ordersClient(url, user);
  const id = newId();
  await publish('ticket:created', { id, version: 0, title: 'T', price: 1, userId: 'seller' });
  return eventually(async () => {
    const { status, body } = await buyer.place(id);
    expect(status).toBe(201);
    return body as typeof body & { createdAt: string; expiresAt: string };
  });
}

const statusOf = async ({ buyer }: Composed, orderId: string) => (await buyer.show(orderId)).body.status;

/** How a token that is signed with the key is answered. */
async function answerTo(url: string, key: string, path = '/api/v1/orders'): Promise<Response> {
  const token = jwt.sign({ id: 'buyer', email: 'buyer@example.com' }, key);
  return fetch(url + path, { headers: { authorization: `Bearer ${token}` } });
}

/** Messages of the subject are delivered again, without success, from now on. */
async function deliveredWithoutSuccess({ metrics }: Composed, subject: string): Promise<void> {
  const labels = new RegExp(`subject="${subject}",verdict="retry"`);
  const count = async () =>
    sumOfSeries(await metrics(), 'order_service_message_duration_seconds_count', labels);
  const before = await count();
  await eventually(async () => expect(await count()).toBeGreaterThan(before + 1), 20_000);
}

/** Time for all in this process that goes by its monotonic clock. */
function monotonicTime() {
  const now = performance.now.bind(performance);
  let skew = 0;
  jest.spyOn(performance, 'now').mockImplementation(() => now() + skew);
  return { pass: (seconds: number) => void (skew += seconds * 1000) };
}

function fileWith(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'setting-'));
  cleanUp.push(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'value');
  writeFileSync(path, `${content}\n`);
  return path;
}

const OTHER_KEY = 'another key of the tests, long enough for HS256';

const inMemory: Effects = {
  async HOST() {
    expect((await composed({ HOST: '127.0.0.2' })).address).toBe('127.0.0.2');
  },
  async PORT() {
    const port = await freePort();
    expect((await composed({ PORT: String(port) })).port).toBe(port);
  },
  async API_BASE_PATH() {
    const { url } = await composed({ API_BASE_PATH: '/shop/orders' });
    expect((await answerTo(url, JWT_KEY, '/shop/orders')).status).toBe(200);
    expect((await answerTo(url, JWT_KEY)).status).toBe(404);
  },
  async RATE_LIMIT_PER_MINUTE() {
    const { url } = await composed({ RATE_LIMIT_PER_MINUTE: '2' });
    const answers = [1, 2, 3].map(() => answerTo(url, JWT_KEY));
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, 200, 429]);
  },
  async MAX_OPEN_ORDERS_PER_USER() {
    const service = await composed({ MAX_OPEN_ORDERS_PER_USER: '1' });
    const [one, other] = [await placeOrder(service, 'one'), await placeOrder(service, 'other')];
    await ordersClient(service.url, 'other').cancel(other.id);
    const place = async () => (await ordersClient(service.url, 'one').place(other.ticket.id)).status;
    expect(await place()).toBe(409);
    await ordersClient(service.url, 'one').cancel(one.id);
    expect(await place()).toBe(201);
  },
  async JWT_KEY() {
    const { url } = await composed({ JWT_KEY: OTHER_KEY });
    expect((await answerTo(url, OTHER_KEY)).status).toBe(200);
    expect((await answerTo(url, JWT_KEY)).status).toBe(401);
  },
  async JWT_KEY_FILE() {
    const { url } = await composed({ JWT_KEY: '', JWT_KEY_FILE: fileWith(OTHER_KEY) });
    expect((await answerTo(url, OTHER_KEY)).status).toBe(200);
  },
  async JWT_KEY_PREVIOUS() {
    const { url } = await composed({ JWT_KEY_PREVIOUS: OTHER_KEY });
    expect((await answerTo(url, OTHER_KEY)).status).toBe(200);
    expect((await answerTo(url, JWT_KEY)).status).toBe(200);
  },
  async JWT_KEY_PREVIOUS_FILE() {
    const { url } = await composed({ JWT_KEY_PREVIOUS_FILE: fileWith(OTHER_KEY) });
    expect((await answerTo(url, OTHER_KEY)).status).toBe(200);
    expect((await answerTo(url, JWT_KEY)).status).toBe(200);
  },
  async EXPIRATION_WINDOW_SECONDS() {
    const { createdAt, expiresAt } = await placeOrder(await composed({ EXPIRATION_WINDOW_SECONDS: '77' }));
    expect(Date.parse(expiresAt) - Date.parse(createdAt)).toBe(77_000);
  },
  async EXPIRATION_GRACE_SECONDS() {
    const asked: Date[] = [];
    await composed(
      { EXPIRATION_GRACE_SECONDS: '86400' },
      {
        orders: (orders) => ({
          ...orders,
          async overdue(time, limit) {
            asked.push(time);
            return orders.overdue(time, limit);
          },
        }),
      },
    );
    await eventually(() => expect(asked).not.toEqual([]));
    const hoursAgo = (Date.now() - asked[0]!.getTime()) / 3_600_000;
    expect(Math.round(hoursAgo)).toBe(24);
  },
  async CATCH_UP_SECONDS() {
    const time = monotonicTime();
    const service = await composed({ CATCH_UP_SECONDS: '3000', CATCH_UP_LIMIT_SECONDS: '9000' });
    const { id } = await placeOrder(service);
    await service.publish('expiration:complete', { orderId: id });
    time.pass(2_900);
    await deliveredWithoutSuccess(service, 'expiration:complete');
    expect(await statusOf(service, id)).toBe('created');
    time.pass(100);
    await eventually(async () => expect(await statusOf(service, id)).toBe('cancelled'));
  },
  async CATCH_UP_LIMIT_SECONDS() {
    const time = monotonicTime();
    const stuck = newId();
    const service = await composed(
      { CATCH_UP_SECONDS: '1000', CATCH_UP_LIMIT_SECONDS: '3600' },
      {
        orders: (orders) => ({
          ...orders,
          async find(id) {
            if (id === stuck) throw new Unavailable('this one cannot be read');
            return orders.find(id);
          },
        }),
      },
    );
    const { id } = await placeOrder(service);
    await service.publish('payment:created', { id: newId(), orderId: stuck, stripeId: 's' });
    await service.publish('expiration:complete', { orderId: id });
    // The payment comes again and again, so that payments are never caught up.
    for (const seconds of [900, 900, 900, 800]) {
      await deliveredWithoutSuccess(service, 'payment:created');
      time.pass(seconds);
    }
    await deliveredWithoutSuccess(service, 'expiration:complete');
    expect(await statusOf(service, id)).toBe('created');
    time.pass(100);
    await eventually(async () => expect(await statusOf(service, id)).toBe('cancelled'));
  },
};

// --- the service as a process of its own ----------------------------------------------------------------

function startProcess(env: Record<string, string>) {
  const child = spawn(process.execPath, [join(__dirname, '../../dist/main.js')], {
    env: { PATH: process.env['PATH'], HOST: '127.0.0.1', PORT: '0', JWT_KEY, LOG_FORMAT: 'json', ...env },
    stdio: 'pipe',
  });
  cleanUp.push(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)));
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const said = (what: RegExp) => eventually(() => expect(output).toMatch(what), 20_000);
  const port = async () => {
    await said(/"listening"/);
    return Number(/"port":(\d+)/.exec(output)?.[1]);
  };
  return { child, exited, said, port, output: () => output };
}

const asProcess: Effects = {
  async NODE_ENV() {
    const { exited, output } = startProcess({ NODE_ENV: 'production' });
    expect(await exited).toBe(1);
    expect(output()).toMatch(/^ +MONGO_URL: is required in production/m);
  },
  async LOG_LEVEL() {
    const { port, said } = startProcess({ LOG_LEVEL: 'debug' });
    await fetch(`http://127.0.0.1:${await port()}/livez`);
    await said(/"level":"debug".*"route":"\/livez"/);
  },
  async LOG_FORMAT() {
    const { said } = startProcess({ LOG_FORMAT: 'pretty' });
    await said(/^\[?\d{2}:\d{2}.* INFO.*listening/m);
  },
  async SHUTDOWN_SECONDS() {
    const { child, exited, port, said } = startProcess({ SHUTDOWN_SECONDS: '1' });
    const socket = connect(await port(), '127.0.0.1');
    cleanUp.push(() => socket.destroy());
    socket.on('error', () => {});
    const token = jwt.sign({ id: 'buyer', email: 'buyer@example.com' }, JWT_KEY);
    const head = [
      ...['POST /api/v1/orders HTTP/1.1', 'Host: orders', `Authorization: Bearer ${token}`],
      ...['Content-Type: application/json', 'Content-Length: 100', 'Expect: 100-continue'],
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    await once(socket, 'data');
    child.kill('SIGTERM');
    // The service would wait for this request, whose body never comes, for ten times as long.
    expect(await exited).toBe(1);
    await said(/not everything ended within the deadline/);
  },
};

describe('the service in memory follows', () => {
  it.each(Object.keys(inMemory))('%s', (name) => inMemory[name]?.(), 60_000);
});

describe('the service as a process follows', () => {
  it.each(Object.keys(asProcess))('%s', (name) => asProcess[name]?.(), 60_000);
});

// --- with a broker --------------------------------------------------------------------------------------

interface Subscription {
  readonly client_id: string;
  readonly queue_name?: string;
  readonly is_durable: boolean;
  readonly ack_wait: number;
  readonly max_inflight: number;
}

let nats: ServerProcess;
let monitoringPort: number;

/** What the broker says of itself. */
async function monitored<T>(path: string): Promise<T> {
  return (await (await fetch(`http://127.0.0.1:${monitoringPort}/streaming/${path}`)).json()) as T;
}

const brokerSettings = () => ({
  NATS_URL: nats.url,
  NATS_CLUSTER_ID: 'another-cluster',
  NATS_CLIENT_ID: 'the-third-replica',
  QUEUE_GROUP_NAME: 'the-group',
  REDELIVERY_WAIT_SECONDS: '7',
});

/** Of the service, to payments: its share of the group's, and all of them. */
async function subscriptionsToPayments(): Promise<{ group: Subscription; watch: Subscription }> {
  await composed(brokerSettings());
  return eventually(async () => {
    const { subscriptions = [] } = await monitored<{ subscriptions?: Subscription[] }>(
      'channelsz?channel=payment:created&subs=1',
    );
    const group = subscriptions.find(({ queue_name }) => queue_name !== undefined);
    const watch = subscriptions.find(({ queue_name }) => queue_name === undefined);
    expect([group, watch]).toEqual([expect.anything(), expect.anything()]);
    return { group: group!, watch: watch! };
  });
}

const withBroker: Effects = {
  async NATS_URL() {
    const service = await composed(brokerSettings());
    await eventually(async () => expect(await service.readiness()).toMatchObject({ broker: 'up' }));
    const { clients } = await monitored<{ clients: object[] }>('clientsz');
    expect(clients).toHaveLength(1);
  },
  async NATS_CLUSTER_ID() {
    const service = await composed(brokerSettings());
    await eventually(async () => expect(await service.readiness()).toMatchObject({ broker: 'up' }));
    expect(await monitored('serverz')).toMatchObject({ cluster_id: 'another-cluster' });
  },
  async NATS_CLIENT_ID() {
    const { group, watch } = await subscriptionsToPayments();
    expect([group.client_id, watch.client_id]).toEqual(['the-third-replica', 'the-third-replica']);
  },
  async QUEUE_GROUP_NAME() {
    const { group } = await subscriptionsToPayments();
    // The broker names a durable group by its durable name and its own.
    expect(group).toMatchObject({ queue_name: 'the-group:the-group', is_durable: true });
  },
  async REDELIVERY_WAIT_SECONDS() {
    const { group } = await subscriptionsToPayments();
    expect(group.ack_wait).toBe(7);
  },
};

describeWith(['nats-streaming-server'], 'the service with a broker follows', () => {
  beforeEach(async () => {
    monitoringPort = await freePort();
    const more = ['--http_port', String(monitoringPort)];
    nats = await startNatsStreamingServer(more, { clusterId: 'another-cluster' });
  });
  afterEach(() => nats.stop());

  it.each(Object.keys(withBroker))('%s', (name) => withBroker[name]?.(), 60_000);

  it('no setting, but takes no more messages of a subject than it can handle at once', async () => {
    const { group, watch } = await subscriptionsToPayments();
    expect([group.max_inflight, watch.max_inflight]).toEqual([64, 64]);
  });
});

// --- with a database ------------------------------------------------------------------------------------

const USER = 'the orders: service';
const PASSWORD = 'p@ss/w:rd$&% +?#';

let mongod: ServerProcess;

const host = () => `127.0.0.1:${mongod.port}`;
const userInfo = () => [USER, PASSWORD].map(encodeURIComponent).join(':');

/** Nobody gets in without user and password: a service that is ready has used both. */
async function untilDatabaseIsUp(env: Record<string, string>): Promise<void> {
  const service = await composed(env);
  await eventually(async () => expect(await service.readiness()).toMatchObject({ database: 'up' }), 20_000);
}

async function collectionsOf(database: string): Promise<string[]> {
  const client = await mongo.MongoClient.connect(`mongodb://${userInfo()}@${host()}/?authSource=admin`);
  cleanUp.push(() => client.close());
  return (await client.db(database).listCollections().toArray()).map(({ name }) => name);
}

const withDatabase: Effects = {
  async MONGO_URL() {
    await untilDatabaseIsUp({ MONGO_URL: `mongodb://${userInfo()}@${host()}/plain?authSource=admin` });
    expect(await collectionsOf('plain')).toContain('orders');
  },
  async MONGO_URL_FILE() {
    const url = `mongodb://${userInfo()}@${host()}/from-file?authSource=admin`;
    await untilDatabaseIsUp({ MONGO_URL_FILE: fileWith(url) });
    expect(await collectionsOf('from-file')).toContain('orders');
  },
  MONGO_USERNAME: () => untilDatabaseIsUp(withCredentials({ MONGO_PASSWORD: PASSWORD })),
  MONGO_PASSWORD: () => untilDatabaseIsUp(withCredentials({ MONGO_PASSWORD: PASSWORD })),
  MONGO_PASSWORD_FILE: () => untilDatabaseIsUp(withCredentials({ MONGO_PASSWORD_FILE: fileWith(PASSWORD) })),
};

const withCredentials = (password: Record<string, string>) => ({
  MONGO_URL: `mongodb://${host()}/orders?authSource=admin`,
  MONGO_USERNAME: USER,
  ...password,
});

describeWith(['mongod'], 'the service with a database follows', () => {
  beforeAll(async () => {
    mongod = await startMongodWithUser(USER, PASSWORD);
  });
  afterAll(() => mongod.stop());

  it.each(Object.keys(withDatabase))('%s', (name) => withDatabase[name]?.(), 60_000);
});

// --- all of them ----------------------------------------------------------------------------------------

/** Names that older manifests use: `config/settings` has their tests. */
const OLD_NAMES = ['MONGO_URI', 'MONGODB_URI', 'CLUSTER_ID', 'CLIENT_ID'];

/** Every variable that the service looks at, with those that name a file. */
function settingNames(): string[] {
  const asked = new Set<string>();
  const env = new Proxy<Record<string, string>>({}, { get: (_, name) => void asked.add(String(name)) });
  loadConfig(env);
  return [...asked].filter((name) => !OLD_NAMES.includes(name.replace(/_FILE$/, '')));
}

describe('a setting', () => {
  it('has a test that it has an effect, whichever it is', () => {
    const tested = [inMemory, asProcess, withBroker, withDatabase, ELSEWHERE].flatMap(Object.keys);
    expect(tested.sort()).toEqual(settingNames().sort());
  });

  it('whose test stands elsewhere has it there', () => {
    const missing = Object.values(ELSEWHERE).filter(
      ([file, title]) => !readFileSync(join(__dirname, '..', file), 'utf8').includes(title),
    );
    expect(missing).toEqual([]);
  });

  it('stands in the README', () => {
    const readme = readFileSync(join(__dirname, '../../README.md'), 'utf8');
    const named = new Set([...readme.matchAll(/`([A-Z][A-Z_]+)`/g)].map(([, name]) => name));
    const isFile = (name: string) => name.endsWith('_FILE') && named.has(name.replace(/_FILE$/, ''));
    // How Node itself is told that it is in production; the README says only "in production".
    const unnamed = settingNames().filter((name) => name !== 'NODE_ENV' && !named.has(name) && !isFile(name));
    expect(unnamed).toEqual([]);
  });
});
