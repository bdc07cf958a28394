import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mongoose';
import { startMongod } from '../support/mongod';
import { startMongoStore, untilReady, withDatabase } from '../support/mongo-store';
import { placeWithLease } from '../support/placements';
import type { ServerProcess } from '../support/server-process';
import { describeWith, mongoUrl } from '../support/servers';
import { createSkewedClock } from '../support/skewed-clock';
import { LEASE_MS } from './store-harness';
import type { StoreHarness } from './store-harness';
import { storeContract } from './store.contract';

const MORE_THAN_ONE_BATCH = 1_500;
const LONGER_THAN_AN_OPERATION_MS = 5_500;

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

  it('reads the whole history, however long the reader takes for it', async () => {
    const url = withDatabase(serverUrl);
    const store = startMongoStore({ url });
    try {
      await untilReady(store);
      await store.outbox.book(await placeWithLease(store.orders));
      await multiplyOrders(url, MORE_THAN_ONE_BATCH);

      let events = 0;
      for await (const _ of store.outboxHistory.published()) {
        if (events === 0) await sleep(LONGER_THAN_AN_OPERATION_MS);
        events += 1;
      }

      expect(events).toBe(MORE_THAN_ONE_BATCH);
    } finally {
      await store.close();
      await dropDatabase(url);
    }
  });
});

/** Copies the only order until there are so many. */
async function multiplyOrders(url: string, count: number): Promise<void> {
  const connection = await createConnection(url).asPromise();
  const orders = connection.collection('orders');
  const { _id, ...order } = (await orders.findOne()) as { _id: unknown; turn: number };
  await orders.insertMany(
    Array.from({ length: count - 1 }, (_, i) => ({
      ...order,
      turn: order.turn + i + 1,
      idempotencyKey: `copy-${i} of ${String(_id)}`,
    })),
  );
  await connection.close();
}

async function dropDatabase(url: string): Promise<void> {
  const connection = await createConnection(url).asPromise();
  await connection.dropDatabase();
  await connection.close();
}
