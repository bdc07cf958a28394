import { mongo } from 'mongoose';
import { Unavailable, type Log, type PlacementResult } from '../../src/application/ports';
import { eventually } from '../support/eventually';
import { startMongoProxy, type Command } from '../support/mongo-proxy';
import { startMongod } from '../support/mongod';
import { startMongoStore, untilReady, withDatabase } from '../support/mongo-store';
import { change, changeOf, newId, newPlacement, placeWithLease, read, seqs } from '../support/placements';
import type { ServerProcess } from '../support/server-process';
import { describeWith } from '../support/servers';
import { silentLog } from '../support/silent';

describeWith(['mongod'], 'when MongoDB fails', () => {
  let server: ServerProcess;
  const cleanUp: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    server = await startMongod();
  });

  afterEach(async () => {
    for (const task of cleanUp.splice(0).reverse()) await task();
  });

  afterAll(() => server.stop());

  /** A store on a database of its own, reached through a proxy. */
  async function setUp(log: Log = silentLog) {
    const proxy = await startMongoProxy(server.port);
    cleanUp.push(proxy.close);
    const url = withDatabase(server.url);
    const store = startMongoStore({ url: url.replace(`:${server.port}`, `:${proxy.port}`), log });
    cleanUp.push(store.close);
    // It has to get over the faults as well, and soon.
    const client = await mongo.MongoClient.connect(url, { heartbeatFrequencyMS: 500 });
    const inspector = client.db();
    cleanUp.push(async () => {
      await inspector.dropDatabase();
      await client.close();
    });
    await untilReady(store);
    return { proxy, store, inspector, url };
  }

  const insertOfOrders = (command: Command) => command['insert'] === 'orders';

  describe('an insert whose answer is lost', () => {
    it('is settled by looking: the orders are there, once, and their leases are not relied on', async () => {
      const { proxy, store, inspector } = await setUp();
      const placements = Array.from({ length: 20 }, () => newPlacement());
      proxy.loseAnswerTo(insertOfOrders);
      proxy.forget();

      const results = await Promise.all(placements.map(store.orders.insert));

      expect(results).toEqual(placements.map(() => ({ type: 'inserted' })));
      expect(proxy.commands.filter(insertOfOrders).length).toBeGreaterThan(1);
      expect(await inspector.collection('orders').countDocuments()).toBe(20);
    });

    it('is told apart from one that was refused', async () => {
      const { proxy, store } = await setUp();
      const [held, key] = [newPlacement(), newPlacement({ idempotencyKey: 'k' })];
      await Promise.all([held, key].map(store.orders.insert));
      proxy.loseAnswerTo(insertOfOrders);

      const results = await Promise.all(
        [
          newPlacement(),
          newPlacement({ ticketId: held.order.ticket.id }),
          newPlacement({ idempotencyKey: 'k' }),
        ].map(store.orders.insert),
      );

      expect(results).toEqual([
        { type: 'inserted' },
        { type: 'turn-taken', latest: { order: held.order, turn: 0 } },
        { type: 'key-taken', order: key.order },
      ]);
    });

    it('says that it is not known when the database does not come back in time', async () => {
      const { proxy, store, inspector } = await setUp();
      proxy.loseAnswerTo(insertOfOrders);
      const placement = newPlacement();
      const inserting = store.orders.insert(placement);
      await eventually(() => expect(store.ready()).toBe(false));
      await proxy.cut();
      cleanUp.push(proxy.restore);

      await expect(inserting).rejects.toThrow(Unavailable);
      expect(await inspector.collection('orders').countDocuments()).toBe(1);
    });
  });

  it('does not trust an answer that comes after the server was lost', async () => {
    const { proxy, store } = await setUp();
    await eventually(() => expect(proxy.heartbeats()).toBe(true));
    proxy.cutOthersBeforeAnswerTo(insertOfOrders);

    // It is stored, but by a server whose indexes were not verified: it is asked for again.
    expect(await store.orders.insert(newPlacement())).toEqual({ type: 'inserted' });
  });

  it('says that the outcome of a change is unknown when its answer is lost', async () => {
    const { proxy, store } = await setUp();
    const { orderId } = await placeWithLease(store.orders);
    const cancelled = changeOf(await read(store.orders, orderId), { type: 'cancel', by: 'user' });
    proxy.loseAnswerTo((command) => 'update' in command);

    await expect(store.orders.save(cancelled)).rejects.toThrow(Unavailable);

    await untilReady(store);
    expect((await read(store.orders, orderId)).order).toMatchObject({ status: 'cancelled', version: 1 });
    expect(await store.orders.save(cancelled)).toBe(false);
  });

  it.each([
    ['carried out', (command: Command) => 'update' in command],
    ['never sent', undefined],
  ])('marks what was published although the bulk write was %s when the connection broke', async (_, lost) => {
    const { proxy, store } = await setUp();
    const leases = await Promise.all(Array.from({ length: 10 }, () => placeWithLease(store.orders)));
    if (lost) {
      proxy.loseAnswerTo(lost);
    } else {
      await proxy.cut();
      await untilReady(store, false);
    }

    const marking = Promise.all(leases.map((one) => store.outbox.markPublished(one, 1, 'now')));
    if (!lost) await proxy.restore();

    expect(await marking).toEqual(leases.map(() => undefined));
    await untilReady(store);
    expect(await store.outbox.backlog()).toEqual({ pending: 0 });
  });

  it('goes on with what was added between marking the last event and giving the lease back', async () => {
    const { proxy, store, url } = await setUp();
    const other = startMongoStore({ url });
    cleanUp.push(other.close);
    await untilReady(other);
    const lease = await placeWithLease(store.orders);
    // Only where the bulk could not be sent are these two steps.
    await proxy.cut();
    await untilReady(store, false);
    proxy.holdAnswerTo(
      (command) => 'findAndModify' in command,
      () => change(other.orders, lease.orderId, { type: 'cancel', by: 'user' }),
    );

    const marking = store.outbox.markPublished(lease, 1, 'now');
    await proxy.restore();
    const rest = await marking;

    expect(seqs(rest)).toEqual([1]);
    expect(await other.outbox.claim(lease.orderId)).toBeUndefined();
    expect(await store.outbox.markPublished(rest!, 1, 'now')).toBeUndefined();
    expect(await other.outbox.backlog()).toEqual({ pending: 0 });
  });

  it('answers at once that it cannot, without a word of the driver, as long as it is unavailable', async () => {
    const { proxy, store } = await setUp();
    await proxy.cut();
    cleanUp.push(proxy.restore);
    await untilReady(store, false);

    const asked = await Promise.allSettled([
      store.orders.insert(newPlacement()),
      store.orders.find(newId()),
      store.orders.confirmReads(),
      store.tickets.find(newId()),
      store.outbox.claimable(1),
      store.failedMessages.count(),
    ]);

    for (const answer of asked) {
      expect(answer).toMatchObject({
        status: 'rejected',
        reason: { code: 'unavailable', message: 'the database is not ready' },
      });
    }
  });

  describe('that comes back without its indexes', () => {
    it('is not used before they are made again', async () => {
      const { proxy, store, inspector } = await setUp();
      await proxy.cut();
      await untilReady(store, false);
      await inspector.collection('orders').dropIndexes();
      proxy.forget();

      await proxy.restore();
      await untilReady(store);

      // Whose data it is, the indexes, and whether an import is unfinished.
      expect(proxy.commands.map((command) => Object.keys(command)[0])).toEqual([
        'find',
        'listIndexes',
        'find',
        'createIndexes',
        'createIndexes',
        'find',
      ]);
      const placement = newPlacement();
      await store.orders.insert(placement);
      expect(await store.orders.insert(newPlacement({ ticketId: placement.order.ticket.id }))).toMatchObject({
        type: 'turn-taken',
      });
    });

    it('is not used while duplicates stand in their way, and says so', async () => {
      const errors: object[] = [];
      const { proxy, store, inspector } = await setUp({
        ...silentLog,
        error: (fields) => errors.push(fields),
      });
      const { order } = newPlacement();
      await store.orders.insert(newPlacement({ id: order.id, ticketId: order.ticket.id }));
      await proxy.cut();
      await untilReady(store, false);
      const orders = inspector.collection('orders');
      await orders.dropIndexes();
      const stored = await orders.findOne();
      const double = { ...stored, _id: new mongo.ObjectId(), idempotencyKey: 'another' };
      await orders.insertOne(double);

      await proxy.restore();
      // It is tried again and again, and said once.
      const attempts = () => proxy.commands.filter((command) => 'createIndexes' in command);
      proxy.forget();
      await eventually(() => expect(attempts().length).toBeGreaterThan(2), 20_000);
      expect(errors).toEqual([
        { err: expect.objectContaining({ message: expect.stringContaining('ticket.id_1_turn_1') }) },
      ]);
      expect(store.ready()).toBe(false);
      await expect(store.orders.insert(newPlacement())).rejects.toThrow(Unavailable);

      await orders.deleteOne({ _id: double._id });
      await untilReady(store);
    });
  });

  it('keeps every acknowledged order when the server is killed and comes back', async () => {
    const { store, inspector } = await setUp();
    const settled: { id: string; result: PlacementResult | Error }[] = [];
    let stopped = false;
    const ticketIds = Array.from({ length: 300 }, newId);

    async function buyer(i: number): Promise<void> {
      for (let n = i; !stopped; n += 20) {
        // Turn after turn of few tickets, so that some are refused.
        const ticketId = ticketIds[n % ticketIds.length]!;
        const placement = newPlacement({ ticketId, turn: Math.floor(n / 600) });
        const result = await store.orders.insert(placement).catch((error: Error) => error);
        settled.push({ id: placement.order.id, result });
        if (result instanceof Error) await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }

    const buyers = Array.from({ length: 20 }, (_, i) => buyer(i));
    for (let round = 1; round <= 2; round += 1) {
      const before = settled.length;
      await eventually(() => expect(settled.length).toBeGreaterThan(before + 300), 20_000);
      await server.kill('SIGKILL');
      await untilReady(store, false);
      await server.restart();
      await untilReady(store);
    }
    const before = settled.length;
    await eventually(() => expect(settled.length).toBeGreaterThan(before + 100), 20_000);
    stopped = true;
    await Promise.all(buyers);

    const errors = settled.flatMap(({ result }) => (result instanceof Error ? [result] : []));
    expect(errors.filter((error) => !(error instanceof Unavailable))).toEqual([]);
    const ids = (
      await inspector
        .collection('orders')
        .find({}, { projection: { _id: 1 } })
        .toArray()
    ).map(({ _id }) => String(_id));
    const stored = new Set(ids);
    const acknowledged = settled.filter(({ result }) => 'type' in result && result.type === 'inserted');
    expect(acknowledged.length).toBeGreaterThan(300);
    expect(acknowledged.filter(({ id }) => !stored.has(id))).toEqual([]);
    const refused = settled.filter(({ result }) => 'type' in result && result.type === 'turn-taken');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.filter(({ id }) => stored.has(id))).toEqual([]);
  });

  it('gives up on a server that is frozen, and goes on with it when it thaws', async () => {
    const { store } = await setUp();
    const placement = newPlacement();
    await server.kill('SIGSTOP');
    const inserting = store.orders.insert(placement).catch((error: Error) => error);
    await untilReady(store, false);
    await server.kill('SIGCONT');

    const result = await inserting;
    await untilReady(store);

    if (result instanceof Error) expect(result).toBeInstanceOf(Unavailable);
    else expect(result).toMatchObject({ type: 'inserted' });
    expect(await store.orders.insert(placement)).toEqual(
      result instanceof Error ? expect.objectContaining({ type: 'inserted' }) : { type: 'inserted' },
    );
  });

  it('gives up on a server that freezes in the middle of a long command, and goes on when it thaws', async () => {
    const store = startMongoStore({ url: withDatabase(server.url) });
    cleanUp.push(store.close);
    await untilReady(store);
    // More than the sockets of both sides hold.
    const tickets = Array.from({ length: 500 }, () => ({
      ...{ id: newId(), version: 0, price: 1, userId: 'u' },
      title: 'x'.repeat(25_000),
    }));
    const applyAll = () => Promise.allSettled(tickets.map(store.tickets.apply));
    await server.kill('SIGSTOP');
    const applying = applyAll();
    await untilReady(store, false);

    for (const answer of await applying) {
      expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
    }

    await server.kill('SIGCONT');
    await untilReady(store);
    for (const answer of await applyAll()) expect(answer).toMatchObject({ status: 'fulfilled' });
  });

  it('waits for a server that is not there yet, and can be closed while it does', async () => {
    await server.kill('SIGKILL');
    const patient = startMongoStore({ url: server.url });
    const closed = startMongoStore({ url: server.url });
    await closed.close();

    await server.restart();
    await untilReady(patient);

    expect(closed.ready()).toBe(false);
    await patient.close();
  });

  it('keeps database time however wrong the clock of this machine is', async () => {
    const wrong = Date.now() + 3 * 24 * 3_600_000;
    const spy = jest.spyOn(Date, 'now').mockReturnValue(wrong);
    cleanUp.push(async () => spy.mockRestore());
    const { store, inspector } = await setUp();
    await placeWithLease(store.orders);
    spy.mockReturnValue(0);

    const { localTime } = await inspector.command({ hello: 1 });
    const order = await inspector.collection('orders').findOne();
    const about = (time: Date) => Math.abs(time.getTime() - (localTime as Date).getTime());

    expect(about(store.now())).toBeLessThan(10_000);
    expect(about(order!['publishing'].leaseUntil)).toBeLessThan(25_000);
  });
});
