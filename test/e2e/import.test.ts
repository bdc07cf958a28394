import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mongo } from 'mongoose';
import { createChance } from '../support/chance';
import { eventually } from '../support/eventually';
import { withDatabase } from '../support/mongo-store';
import { startMongod } from '../support/mongod';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import { createOldDatabase, oldId, oldOrder, oldTicket, type OldStatus } from '../support/old-system';
import { ORDER_SERVICE, runProgram, startProgram } from '../support/run-program';
import type { ServerProcess } from '../support/server-process';
import { describeWith } from '../support/servers';
import { ordersClient, startService, type ServiceProcess } from '../support/service-process';

type Document = mongo.BSON.Document;

/** On a slow machine it tells how far it is. */
const PROGRESS = /^((\d+ orders read \.\.\.\n)+\d+ orders read\n)?$/;

describeWith(['mongod', 'nats-streaming-server'], 'order-service import', () => {
  let mongod: ServerProcess;
  let nats: ServerProcess;
  let client: mongo.MongoClient;
  let folder: string;
  let services: ServiceProcess[] = [];
  let closers: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    [mongod, nats] = await Promise.all([startMongod(), startNatsStreamingServer()]);
    client = await mongo.MongoClient.connect(mongod.url);
    folder = mkdtempSync(join(tmpdir(), 'import-'));
  });

  afterEach(async () => {
    await Promise.all(services.map((service) => service.kill('SIGTERM')));
    await Promise.all(closers.map((close) => close()));
    [services, closers] = [[], []];
  });

  afterAll(async () => {
    await client?.close();
    await Promise.all([nats?.stop(), mongod?.stop()]);
    if (folder) rmSync(folder, { recursive: true });
  });

  async function setUp(content: { orders: Document[]; tickets: Document[] }) {
    const old = await createOldDatabase(withDatabase(mongod.url), content);
    closers.push(old.close);
    return { old, ...target(old.url) };
  }

  /** A database to import into from the old one. */
  function target(oldUrl: string) {
    const url = withDatabase(mongod.url);
    const database = client.db(new URL(url).pathname.slice(1));
    const file = join(folder, `${database.databaseName}.ndjson`);
    const env = { PATH: process.env['PATH']!, MONGO_URL: url, OLD_MONGO_URL: oldUrl };
    return {
      url,
      env,
      file,
      orders: database.collection<Document>('orders'),
      imports: database.collection<Document>('imports'),
      run: (...args: string[]) => runProgram([ORDER_SERVICE, 'import', '--rejected', file, ...args], env),
      start: () => startProgram([ORDER_SERVICE, 'import', '--rejected', file], env),
      rejected: () =>
        readFileSync(file, 'utf8')
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as Document),
    };
  }

  async function startOn(url: string): Promise<ServiceProcess> {
    const service = await startService({
      MONGO_URL: url,
      NATS_URL: nats.url,
      NATS_CLIENT_ID: `client-${services.length}`,
      // Nothing expires while the test looks.
      EXPIRATION_GRACE_SECONDS: '31536000',
    });
    services.push(service);
    return service;
  }

  const ready = (service: ServiceProcess) =>
    eventually(async () => expect(await service.ready()).toBe(true), 60_000);

  it('reports what it did, what needs attention, and nothing secret', async () => {
    const [ticket, lost] = [oldTicket(), oldId()];
    const [paid, loser] = [oldOrder(ticket._id, 'complete'), oldOrder(ticket._id, 'created')];
    const orphan = oldOrder(lost, 'created');
    const { run, rejected, file } = await setUp({ orders: [paid, loser, orphan], tickets: [ticket] });

    const first = await run();
    expect(first.code).toBe(3);
    expect(first.stderr).toMatch(PROGRESS);
    expect(first.stdout).toMatch(/orders +3 +1 +0 +0 +0 +2/);
    expect(first.stdout).toMatch(/Orders in the old database: .*1 complete/);
    expect(first.stdout).toContain('ticket: there is no copy of it');
    expect(first.stdout).toMatch(new RegExp(`${idOf(ticket)} +${idOf(paid)} +complete +keeps the ticket`));
    expect(first.stdout).toMatch(new RegExp(`${idOf(ticket)} +${idOf(loser)} +created +not imported`));
    expect(first.stdout).toMatch(new RegExp(`${lost.toHexString()} +${idOf(orphan)} +CAN BE SOLD`));
    expect(rejected()).toEqual([
      expect.objectContaining({ id: loser._id.toHexString(), keptOrderId: paid._id.toHexString() }),
      expect.objectContaining({
        id: orphan._id.toHexString(),
        document: expect.objectContaining({ ticket: { $oid: lost.toHexString() } }),
      }),
    ]);
    expect(statSync(file).mode & 0o077).toBe(0);

    const again = await run('--json', '--cancel-conflicts');
    expect(JSON.parse(again.stdout)).toMatchObject({
      // The order that keeps the ticket takes its turn after the other.
      orders: { read: 3, imported: 1, updated: 1, rejected: 1 },
      conflicts: [{ kept: { id: paid._id.toHexString() }, others: [{ result: 'cancelled' }] }],
    });
  }, 60_000);

  it('writes what is not imported to stdout, if that is asked for, and exits with 0 if there is nothing', async () => {
    const ticket = oldTicket();
    const { env, old } = await setUp({ orders: [oldOrder(ticket._id, 'complete')], tickets: [ticket] });
    const run = () => runProgram([ORDER_SERVICE, 'import', '--json', '--rejected', '-'], env);
    const clean = await run();
    expect({ code: clean.code, lines: clean.stdout.trim().split('\n').length }).toEqual({
      code: 0,
      lines: 1,
    });
    await old.orders.insertOne(oldOrder(ticket._id, 'cancelled', { status: 'gone' }));
    const { code, stdout } = await run();
    const [line, report] = stdout
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text) as Document);
    expect(code).toBe(3);
    expect(line).toMatchObject({ what: 'order', reason: 'status: "gone" is not a known one' });
    expect(report).toMatchObject({ orders: { rejected: 1 } });
  }, 60_000);

  it('refuses wrong settings, databases and files, and never prints a password', async () => {
    const ticket = oldTicket();
    const { env, old, url } = await setUp({ orders: [oldOrder(ticket._id, 'created')], tickets: [ticket] });
    const secret = 'mongodb://reader:pass-word@127.0.0.1:1/orders';
    const cases: [object, string[], number, RegExp][] = [
      [{ OLD_MONGO_URL: '' }, [], 2, /OLD_MONGO_URL: is required/],
      [{ MONGO_URL: '' }, [], 2, /MONGO_URL: is required/],
      [{ OLD_MONGO_URL: `${url}?appName=x` }, [], 2, /names the same database as MONGO_URL/],
      [{ OLD_MONGO_URL: '' }, ['--from', secret], 1, /database of OLD_MONGO_URL cannot be read/],
      [{ MONGO_URL: secret }, [], 1, /database of MONGO_URL cannot be reached/],
      [{ OLD_MONGO_URL: withDatabase(mongod.url) }, [], 4, /has no orders/],
      [{ MONGO_URL: old.url.replace('127.0.0.1', 'localhost') }, [], 4, /data of another service/],
      [{}, ['--rejected', '/nowhere/file'], 1, /--rejected: the file \/nowhere\/file cannot be written/],
      [{}, ['--expiry-seconds', '0'], 2, /whole number between 1/],
    ];
    const before = await old.content();
    const earlier = join(folder, 'earlier.ndjson');
    writeFileSync(earlier, 'of an earlier import\n');
    for (const [settings, args, code, message] of cases) {
      const program = [ORDER_SERVICE, 'import', '--rejected', earlier, ...args];
      const result = await runProgram(program, { ...env, ...settings });
      expect({ ...result, message }).toMatchObject({ code, stderr: expect.stringMatching(message) });
      expect(result.stdout + result.stderr).not.toContain('pass-word');
    }
    expect(await old.content()).toEqual(before);
    expect(readFileSync(earlier, 'utf8')).toBe('of an earlier import\n');
  }, 120_000);

  it('finishes with the same result wherever it was killed, and sells no ticket that is held', async () => {
    const { orders, tickets, held } = marketplace(6_000);
    const whole = await setUp({ orders, tickets });
    expect((await whole.run()).code).toBe(3);
    const expected = await contentOf(whole.orders);
    expect(expected.length).toBeGreaterThan(5_000);

    const killed = target(whole.old.url);
    for (const least of [0, 1_000, 4_000]) {
      const child = killed.start();
      await eventually(async () => {
        expect(await killed.imports.countDocuments({ unfinished: true, owner: { $ne: null } })).toBe(1);
        expect(await killed.orders.countDocuments()).toBeGreaterThanOrEqual(least);
      }, 60_000);
      child.kill('SIGKILL');
      expect(await killed.imports.countDocuments({ unfinished: true })).toBe(1);
      // What is left of the lease is not waited for each time.
      if (least > 0) await killed.imports.updateOne({}, { $set: { leaseUntil: new Date(0) } });
    }
    const unfinished = await startOn(killed.url);
    await eventually(() =>
      expect(unfinished.lines.filter((line) => line.includes('import into it is unfinished'))).toHaveLength(
        1,
      ),
    );
    expect((await fetch(`${unfinished.url}/readyz`)).status).toBe(503);

    const last = await killed.run();
    expect(last.code).toBe(3);
    expect(await contentOf(killed.orders)).toEqual(expected);
    await ready(unfinished);

    const answers = { held: 0, inConflict: 0 };
    const buyer = ordersClient(unfinished.url, 'another');
    for (const id of held) {
      const { status, body } = await buyer.place(id.toHexString());
      expect(status).toBe(409);
      const { type } = body as unknown as { type: string };
      answers[type.endsWith('reserved-elsewhere') ? 'inConflict' : 'held'] += 1;
    }
    expect(answers.held).toBeGreaterThan(500);
    expect(answers.inConflict).toBeGreaterThan(50);
    expect(await killed.orders.countDocuments()).toBe(expected.length);
  }, 300_000);

  it('stops a service that uses the database, before it writes the first order', async () => {
    const ticket = oldTicket();
    const order = oldOrder(ticket._id, 'created');
    const { url, run, orders, imports } = await setUp({ orders: [order], tickets: [ticket] });
    const service = await startOn(url);
    await ready(service);

    const running = run();
    await eventually(async () => expect(await imports.countDocuments({ unfinished: true })).toBe(1));
    await eventually(async () => {
      expect((await fetch(`${service.url}/readyz`)).status).toBe(503);
      expect(await orders.countDocuments()).toBe(0);
    }, 30_000);
    const { code, stderr } = await running;
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('waiting 40 s') });
    await ready(service);
    const own = ordersClient(service.url, 'buyer');
    expect((await own.show(order._id.toHexString())).status).toBe(200);
    expect((await own.cancel(order._id.toHexString())).status).toBe(204);
    expect((await own.place(ticket._id.toHexString())).status).toBe(201);

    const late = await run();
    expect(late).toMatchObject({ code: 4, stderr: expect.stringContaining('were placed with this service') });
  }, 120_000);
});

/** Orders of many tickets, in any state, and those tickets that exactly one or several of them hold. */
function marketplace(count: number) {
  const chance = createChance(16);
  const orders: Document[] = [];
  const tickets: Document[] = [];
  const held = [];
  while (orders.length < count) {
    const ticket = oldTicket({ version: chance.pick([0, 3, 8]) });
    tickets.push(ticket);
    const statuses = Array.from({ length: chance.pick([1, 2, 3, 4]) }, (): OldStatus =>
      chance.happens(0.7) ? 'cancelled' : chance.pick(['created', 'complete']),
    );
    orders.push(...statuses.map((status) => oldOrder(ticket._id, status)));
    if (statuses.some((status) => status !== 'cancelled')) held.push(ticket._id);
  }
  return { orders, tickets, held };
}

const idOf = ({ _id }: { readonly _id: mongo.ObjectId }) => _id.toHexString();

/** Without the times of the import. */
async function contentOf(orders: mongo.Collection<Document>): Promise<Document[]> {
  const documents = await orders.find().sort({ _id: 1 }).toArray();
  return documents.map(({ changes, publishing, ...order }) => ({
    ...order,
    changes: (changes as Document[]).map(({ at: _, ...change }) => change),
    publishing: { ...(publishing as Document), since: undefined },
  }));
}
