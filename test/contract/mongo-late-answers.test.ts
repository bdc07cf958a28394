import { createConnection, mongo, type Connection } from 'mongoose';
import { Unavailable } from '../../src/application/ports';
import { eventually } from '../support/eventually';
import { startMongoProxy, type Command } from '../support/mongo-proxy';
import { startMongod } from '../support/mongod';
import { startMongoStore, untilReady, withDatabase, type MongoStoreOptions } from '../support/mongo-store';
import { newId, newPlacement, placeWithLease } from '../support/placements';
import type { ServerProcess } from '../support/server-process';
import { describeWith, mongoUrl } from '../support/servers';
import { silentLog } from '../support/silent';

/** A connection went dead without a word; the server is well, and every other connection too. */
const NEVER = () => new Promise<void>(() => {});
const indexesOf = (collection: string) => (command: Command) => command['createIndexes'] === collection;
const MORE_THAN_ONE_BATCH = 1_500;
const insertOfOrders = (command: Command) => command['insert'] === 'orders';

describeWith(['mongodb'], 'when an answer of MongoDB comes late or never', () => {
  let server: ServerProcess | undefined;
  let serverUrl: URL;
  let inspector: Connection;
  const cleanUp: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    const given = mongoUrl();
    if (given === undefined) server = await startMongod();
    serverUrl = new URL(given ?? server!.url);
  });

  afterEach(async () => {
    for (const task of cleanUp.splice(0).reverse()) await task();
  });

  afterAll(() => server?.stop());

  /** A store on a database of its own, reached through a proxy; started, not ready yet. */
  async function setUp() {
    const url = withDatabase(serverUrl.href);
    inspector = await createConnection(url).asPromise();
    cleanUp.push(async () => {
      await inspector.dropDatabase();
      await inspector.close();
    });
    const proxy = await startMongoProxy(Number(serverUrl.port));
    cleanUp.push(proxy.close);
    const proxied = new URL(url);
    proxied.host = `127.0.0.1:${proxy.port}`;
    const start = (options: Partial<MongoStoreOptions> = {}) => {
      const store = startMongoStore({ url: proxied.href, ...options });
      cleanUp.push(store.close);
      return store;
    };
    return { proxy, start };
  }

  it('settles the inserts that waited for it, and each is there once', async () => {
    const { proxy, start } = await setUp();
    const retried: string[] = [];
    const store = start({ onRetry: (operation) => retried.push(operation) });
    await untilReady(store);
    const [first, second] = [newPlacement(), newPlacement()];
    proxy.holdAnswerTo(insertOfOrders, NEVER);

    const inserting = store.orders.insert(first);
    await eventually(() => expect(proxy.commands.some(insertOfOrders)).toBe(true));
    // It shares no round trip with the first, but waits for its end.
    const waiting = store.orders.insert(second);

    expect(await inserting).toEqual({ type: 'inserted' });
    expect(await waiting).toMatchObject({ type: 'inserted' });
    expect(await inspector.collection('orders').countDocuments()).toBe(2);
    expect(retried).toContain('insert');
  });

  it('gives a mark up when the database stays unavailable; the event is published once more', async () => {
    const { proxy, start } = await setUp();
    const retried: string[] = [];
    const store = start({ onRetry: (operation) => retried.push(operation) });
    await untilReady(store);
    const lease = await placeWithLease(store.orders);
    await proxy.cut();
    cleanUp.push(proxy.restore);

    await expect(store.outbox.markPublished(lease, 1, 'now')).rejects.toThrow(Unavailable);

    expect(await inspector.collection('orders').findOne()).toMatchObject({ publishing: { pending: 1 } });
    expect(retried).toContain('booking');
  });

  it('gives a read up, and the next one is on another connection', async () => {
    const { proxy, start } = await setUp();
    const store = start();
    await untilReady(store);
    const placement = newPlacement();
    await store.orders.insert(placement);
    proxy.holdAnswerTo((command) => command['find'] === 'orders', NEVER);

    await expect(store.orders.find(placement.order.id)).rejects.toThrow(Unavailable);
    expect(await store.orders.find(placement.order.id)).toMatchObject({ order: placement.order });
  });

  it('is ready anyway, after another look at its indexes', async () => {
    const { proxy, start } = await setUp();
    proxy.holdAnswerTo(indexesOf('orders'), NEVER);
    const store = start();

    await untilReady(store);

    expect(proxy.commands.filter(indexesOf('orders')).length).toBeGreaterThan(1);
  });

  it('does not count what was verified before the server was lost', async () => {
    const { proxy, start } = await setUp();
    const readiness: boolean[] = [];
    const refusals: object[] = [];
    let retries = 0;
    const twins = Array.from({ length: 2 }, () => ({
      _id: new mongo.ObjectId(),
      userId: 'u',
      idempotencyKey: 'the same',
      ticket: { id: new mongo.ObjectId() },
      turn: 0,
      publishing: { pending: 0 },
    }));
    // The indexes are found in order; then the server comes back as one that cannot have them.
    proxy.holdAnswerTo(indexesOf('orders'), async () => {
      await inspector.collection('orders').dropIndexes();
      await inspector.collection('orders').insertMany(twins);
      await eventually(() => expect(proxy.heartbeats()).toBe(true));
      proxy.cutOthersBeforeAnswerTo(indexesOf('dead_letters'));
    });

    const store = start({
      onReadyChange: (ready) => readiness.push(ready),
      log: { ...silentLog, error: (fields) => refusals.push(fields) },
      onRetry: () => void (retries += 1),
    });
    await eventually(() => expect(retries).toBeGreaterThan(1));
    expect(refusals).toEqual([{ err: expect.objectContaining({ code: 11000 }) }]);

    expect(proxy.commands.filter(indexesOf('dead_letters'))).toHaveLength(1);
    expect(readiness).toEqual([]);
    await inspector.collection('orders').deleteOne({ _id: twins[0]!._id });
    await untilReady(store);
  });

  it.each<[string, (command: Command) => boolean]>([
    ['an insert', insertOfOrders],
    ['a read', (command) => command['find'] === 'tickets'],
    ['making an index', indexesOf('orders')],
  ])('can be closed while %s hangs, which then fails', async (_, matches) => {
    const { proxy, start } = await setUp();
    const store = start();
    if (matches({ createIndexes: 'orders' })) {
      proxy.holdAnswerTo(matches, NEVER);
    } else {
      await untilReady(store);
      proxy.holdAnswerTo(matches, NEVER);
    }
    const asked = Promise.allSettled([store.orders.insert(newPlacement()), store.tickets.find(newId())]);
    await eventually(() => expect(proxy.commands.some(matches)).toBe(true));

    await store.close();

    expect(store.ready()).toBe(false);
    const reasons = (await asked).flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []));
    expect(reasons.length).toBeGreaterThan(0);
    for (const reason of reasons) expect(reason).toBeInstanceOf(Unavailable);
  });

  it('lets the reader of a whole history take longer than any operation may', async () => {
    const { proxy, start } = await setUp();
    const store = start();
    await untilReady(store);
    await store.outbox.markPublished(await placeWithLease(store.orders), 1, 'now');
    await multiplyOrders(inspector, MORE_THAN_ONE_BATCH);
    proxy.holdAnswerTo((command) => command['find'] === 'tickets', NEVER);

    let events = 0;
    for await (const _ of store.outboxHistory.published()) {
      // An operation that begins with the reading has used up its time.
      if (events === 0) await expect(store.tickets.find(newId())).rejects.toThrow(Unavailable);
      events += 1;
    }

    expect(events).toBe(MORE_THAN_ONE_BATCH);
    expect(proxy.commands.filter((command) => 'getMore' in command)).not.toEqual([]);
  });
});

/** Copies the only order until there are so many. */
async function multiplyOrders(connection: Connection, count: number): Promise<void> {
  const orders = connection.collection('orders');
  const { _id, ...order } = (await orders.findOne()) as { _id: unknown; turn: number };
  await orders.insertMany(
    Array.from({ length: count - 1 }, (_, i) => ({
      ...order,
      turn: order.turn + i + 1,
      idempotencyKey: `copy-${i} of ${String(_id)}`,
    })),
  );
}
