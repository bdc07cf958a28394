import { createConnection } from 'mongoose';
import { startMongod } from '../support/mongod';
import { startMongoStore, untilReady, withDatabase } from '../support/mongo-store';
import type { ServerProcess } from '../support/server-process';
import { describeWith, mongoUrl } from '../support/servers';
import { createSkewedClock } from '../support/skewed-clock';
import { change, newId, payment, placeWithLease, read, REQUEST } from '../support/placements';
import { LEASE_MS, type StoreHarness } from './store-harness';
import { storeContract } from './store.contract';

describeWith(['mongodb'], 'the store on MongoDB', () => {
  let server: ServerProcess | undefined;
  let serverUrl: string;

  beforeAll(async () => {
    const given = mongoUrl();
    if (given === undefined) server = await startMongod();
    serverUrl = given ?? server!.url;
  });

  afterAll(() => server?.stop());

  async function openMongo(): Promise<StoreHarness> {
    const url = withDatabase(serverUrl);
    const clock = createSkewedClock();
    const stores: ReturnType<typeof startMongoStore>[] = [];
    return {
      async connect(replicaId) {
        const store = startMongoStore({ url, replicaId, leaseMs: LEASE_MS, clock });
        stores.push(store);
        await untilReady(store);
        return store;
      },
      monotonic: clock.monotonic,
      advance: clock.advance,
      async close() {
        await Promise.all(stores.map((store) => store.close()));
        await dropDatabase(url);
      },
    };
  }

  storeContract(openMongo);

  it('tells the history of an order: its changes with their causes, and when its events were published', async () => {
    const url = withDatabase(serverUrl);
    const store = startMongoStore({ url });
    await untilReady(store);
    const lease = await placeWithLease(store.orders);
    const { orderId } = lease;
    await change(store.orders, orderId, payment('p1'));
    await store.outbox.markPublished(lease, 1, 'now');
    await change(store.orders, orderId, payment('p2'));
    const { order } = await read(store.orders, orderId);

    const history = await store.orderHistory(orderId);

    expect(history).toMatchObject({ order, turn: 0, publishing: { attempts: 0 } });
    expect(history?.changes.map(({ cause, at: _, ...entry }) => [entry, cause])).toEqual([
      [{ version: 0, status: 'created', input: 'place' }, REQUEST],
      [{ version: 1, status: 'complete', input: 'pay' }, REQUEST],
      [{ version: 2, status: 'complete', input: 'pay' }, REQUEST],
    ]);
    expect(history?.events).toMatchObject([
      { subject: 'order:created', isPublished: true, publishedAt: expect.any(Date) },
      { subject: 'order:refund-required', isPublished: false },
    ]);
    expect(history?.events[1]).not.toHaveProperty('publishedAt');
    expect(await store.orderHistory(newId())).toBeUndefined();
    await store.close();
    await dropDatabase(url);
  });

  it('tells all replicas one time, however far apart their own clocks are', async () => {
    const url = withDatabase(serverUrl);
    const clocks = [createSkewedClock(), createSkewedClock()];
    clocks[1]!.advance(7 * 24 * 3_600_000);
    const stores = clocks.map((clock) => startMongoStore({ url, clock }));
    await Promise.all(stores.map((store) => untilReady(store)));

    const [first, second] = stores.map((store) => store.now().getTime());

    expect(Math.abs(first! - second!)).toBeLessThan(5_000);
    await Promise.all(stores.map((store) => store.close()));
    await dropDatabase(url);
  });
});

async function dropDatabase(url: string): Promise<void> {
  const connection = await createConnection(url).asPromise();
  await connection.dropDatabase();
  await connection.close();
}
