import { createConnection, mongo, type Connection } from 'mongoose';
import type { MongoStore } from '../../src/adapters/mongo/store';
import { createOpenNumbers } from '../../src/application/open-numbers';
import type { OpenTurn } from '../../src/application/ports';
import { createHeldLooks } from '../support/held-looks';
import { startMongoProxy, type Command, type MongoProxy } from '../support/mongo-proxy';
import { startMongod } from '../support/mongod';
import { startMongoStore, untilReady } from '../support/mongo-store';
import { change, changeOf, newId, newPlacement, payment, placeWithLease, read } from '../support/placements';
import type { ServerProcess } from '../support/server-process';
import { describeWith } from '../support/servers';

const WRITES = new Set(['insert', 'update', 'delete', 'findAndModify', 'createIndexes']);

describeWith(['mongod'], 'what the store says to MongoDB', () => {
  let server: ServerProcess;
  let proxy: MongoProxy;
  let store: MongoStore;
  let inspector: Connection;

  beforeAll(async () => {
    server = await startMongod();
    proxy = await startMongoProxy(server.port);
    // Whatever the URL asks for, our answers must be durable and our reads the newest.
    store = startMongoStore({
      url: `mongodb://127.0.0.1:${proxy.port}/orders?w=1&journal=false&readPreference=secondaryPreferred`,
      // Nothing but what a test does is said.
      clock: createHeldLooks().clock,
    });
    inspector = await createConnection(server.url).asPromise();
    await untilReady(store);
  });

  beforeEach(async () => {
    // If a look for an import is due, it comes before the test.
    await store.tickets.find(newId());
    proxy.forget();
  });

  afterAll(async () => {
    await store.close();
    await inspector.close();
    await proxy.close();
    await server.stop();
  });

  function named(name: string): Command[] {
    return proxy.commands.filter((command) => name in command);
  }

  it('asks for a majority and the journal with every write', async () => {
    const lease = await placeWithLease(store.orders);
    const ticket = { id: newId(), version: 0, title: 'T', price: 1, userId: 'u' };
    await store.tickets.apply(ticket);
    await store.tickets.apply({ ...ticket, version: 1 });
    await change(store.orders, lease.orderId, { type: 'cancel', by: 'user' });
    const rest = await store.outbox.markPublished(lease, 1, 'now');
    await store.outbox.release(rest!, 0, 1);
    const claimed = await store.outbox.claim(lease.orderId);
    await store.outbox.markPublished(claimed!, 1, 'now');
    await claimTwo();
    await store.orders.confirmReads();
    await putTakePostponeRemove(store);

    const writes = proxy.commands.filter((command) => WRITES.has(Object.keys(command)[0]!));
    expect(writes.length).toBeGreaterThan(10);
    for (const write of writes) {
      expect(write).toMatchObject({ writeConcern: { w: 'majority', j: true } });
    }
    for (const command of proxy.commands) expect(command).not.toHaveProperty('$readPreference');
  });

  /** At once: more than one goes another way than a single one. */
  async function claimTwo(): Promise<void> {
    const placements = [newPlacement({ withLease: false }), newPlacement({ withLease: false })];
    await Promise.all(placements.map(store.orders.insert));
    const claimed = await Promise.all(placements.map(({ order }) => store.outbox.claim(order.id)));
    expect(claimed).toMatchObject(placements.map(({ order }) => ({ orderId: order.id })));
    for (const one of claimed) await store.outbox.markPublished(one!, 1, 'now');
  }

  it('decides on majority reads only', async () => {
    const placement = newPlacement();
    await store.orders.insert(placement);
    await store.orders.insert(newPlacement({ ticketId: placement.order.ticket.id }));
    await store.orders.find(placement.order.id);
    await store.outbox.earliest(placement.order.ticket.id);
    await claimTwo();

    expect(named('find')).toHaveLength(5);
    for (const command of named('find'))
      expect(command).toMatchObject({ readConcern: { level: 'majority' } });
  });

  it('makes durable what it has read before anything rests on it', async () => {
    const placement = newPlacement({ turn: 1 });
    const ticket = { id: newId(), version: 1, title: 'T', price: 1, userId: 'u' };
    await store.orders.insert(placement);
    await store.tickets.apply(ticket);
    const one = newFailedMessage(store.now());
    await store.failedMessages.put(one);

    for (const restOnRead of [
      () => store.orders.insert(placement),
      () => store.tickets.apply({ ...ticket, version: 0 }),
      () => store.failedMessages.put(one),
      () => store.outbox.earliest(placement.order.ticket.id),
      claimTwo,
      () => store.orders.confirmReads(),
    ]) {
      proxy.forget();
      await restOnRead();
      const reads = proxy.commands.filter((command) => !isBooking(command));
      expect(reads.at(-1)).toMatchObject({ update: 'read_barriers' });
    }
  });

  it('shares one barrier among all who wait for it at once', async () => {
    await Promise.all(Array.from({ length: 50 }, () => store.orders.confirmReads()));

    expect(proxy.commands).toHaveLength(1);
  });

  it('places many orders of one moment in two round trips for all', async () => {
    const tickets = Array.from({ length: 30 }, newId);
    await Promise.all(
      tickets.map((id) => store.tickets.apply({ id, version: 0, title: 'T', price: 1, userId: 'u' })),
    );
    proxy.forget();

    await Promise.all(tickets.map((id) => store.tickets.find(id)));
    const results = await Promise.all(
      tickets.map((ticketId) => store.orders.insert(newPlacement({ ticketId }))),
    );

    expect(proxy.commands.map((command) => Object.keys(command)[0])).toEqual(['find', 'insert']);
    expect(proxy.commands[1]).toMatchObject({ documents: { length: 30 } });

    proxy.forget();
    const leases = results.flatMap((result) =>
      result.type === 'inserted' && result.lease ? [result.lease] : [],
    );
    expect(leases).toHaveLength(30);
    await Promise.all(leases.map((one) => store.outbox.markPublished(one, 1, 'now')));
    expect(proxy.commands.map((command) => Object.keys(command)[0])).toEqual(['update']);
  });

  describe('where more comes at once than goes into one command', () => {
    const ticketsOf = (count: number) =>
      Array.from({ length: count }, () => ({ id: newId(), version: 0, title: 'T', price: 1, userId: 'u' }));
    const sizes = (name: string, sizeOf: (command: Command) => number) => named(name).map(sizeOf);
    const listed = (field: string) => (command: Command) =>
      (command['filter'] as Record<string, { $in: unknown[] }>)[field]!.$in.length;

    it('places 100 orders with each', async () => {
      const results = await Promise.all(
        Array.from({ length: 101 }, () => store.orders.insert(newPlacement())),
      );

      expect(results.map(({ type }) => type)).toEqual(results.map(() => 'inserted'));
      expect(sizes('insert', ({ documents }) => (documents as object[]).length)).toEqual([100, 1]);
      // What is looked for below must not find them.
      await Promise.all(
        results.map(async (result) => {
          if (result.type === 'inserted' && result.lease)
            await store.outbox.markPublished(result.lease, 1, 'now');
        }),
      );
    });

    it('marks 200 events with each', async () => {
      const leases = await Promise.all(Array.from({ length: 201 }, () => placeWithLease(store.orders)));
      proxy.forget();

      await Promise.all(leases.map((one) => store.outbox.markPublished(one, 1, 'now')));

      const marks = named('update').filter(({ update }) => update === 'orders');
      const ofOrders = marks.map(({ updates }) => {
        const [{ q }] = updates as [{ q: { _id: { $in: unknown[] } } }];
        return q._id.$in.length;
      });
      expect(ofOrders).toEqual([200, 1]);
      const ids = new Set(leases.map(({ orderId }) => orderId));
      const claimable = await store.outbox.claimable(1_000);
      expect(claimable.filter(({ orderId }) => ids.has(orderId))).toEqual([]);
    });

    it('claims 100 orders with each', async () => {
      const placements = Array.from({ length: 101 }, () => newPlacement({ withLease: false }));
      await Promise.all(placements.map(store.orders.insert));
      proxy.forget();

      const claimed = await Promise.all(placements.map(({ order }) => store.outbox.claim(order.id)));

      expect(claimed.map((one) => one?.orderId)).toEqual(placements.map(({ order }) => order.id));
      expect(named('find').map(listed('_id'))).toEqual([100]);
      expect(named('findAndModify')).toHaveLength(1);
      await Promise.all(claimed.map((one) => store.outbox.markPublished(one!, 1, 'now')));
    });

    it('applies and finds 500 tickets with each', async () => {
      const tickets = ticketsOf(501);
      await Promise.all(tickets.map(store.tickets.apply));
      expect(sizes('insert', ({ documents }) => (documents as object[]).length)).toEqual([500, 1]);
      proxy.forget();

      const newer = tickets.map((ticket) => ({ ...ticket, version: 1, price: 2 }));
      await Promise.all(newer.map(store.tickets.apply));
      expect(sizes('update', ({ updates }) => (updates as object[]).length)).toEqual([500, 1]);
      proxy.forget();

      expect(await Promise.all(tickets.map(({ id }) => store.tickets.find(id)))).toEqual(newer);
      expect(sizes('find', listed('_id'))).toEqual([500, 1]);
    });
  });

  it('saves a change without touching what the relay has written', async () => {
    const { orderId } = await placeWithLease(store.orders);
    const before = await read(store.orders, orderId);
    const cancelled = changeOf(before, { type: 'cancel', by: 'user' });
    proxy.forget();

    await store.orders.save(cancelled);
    await store.orders.save(changeOf(await read(store.orders, orderId), payment('late')));

    expect(named('update').flatMap(({ updates }) => updates)).toEqual([
      {
        q: { _id: new mongo.ObjectId(orderId), version: 0 },
        u: {
          $set: { status: 'cancelled', reason: 'user', 'publishing.since': before.order.createdAt },
          $push: { outbox: { $each: cancelled.events }, changes: { $each: [cancelled.record] } },
          $inc: { version: 1, 'publishing.pending': 1 },
        },
      },
      {
        q: { _id: new mongo.ObjectId(orderId), version: 1 },
        u: {
          $set: { 'publishing.since': before.order.createdAt, allRefunded: false },
          $push: { payments: expect.anything(), outbox: expect.anything(), changes: expect.anything() },
          $inc: { version: 1, 'publishing.pending': 1 },
        },
      },
    ]);
  });

  it('places an order under a limit with one insert, also after earlier orders of the user', async () => {
    const openNumbers = createOpenNumbers({ orders: store.orders, most: 2, random: Math.random });
    for (let i = 0; i < 6; i += 1) {
      const openTurn = await openNumbers.first('regular');
      const placement = newPlacement({ userId: 'regular', ...(openTurn ? { openTurn } : {}) });
      expect(await store.orders.insert(placement)).toMatchObject({ type: 'inserted' });
      if (i > 0) await change(store.orders, placement.order.id, payment(`p${i}`));
    }

    const documents = named('insert').flatMap((command) => command['documents'] as { openTurn?: number }[]);
    expect(documents).toHaveLength(6);
    // The first order is still open: the others took turns at the other number.
    expect(documents.map(({ openTurn }) => openTurn)).toEqual([0, 0, 1, 2, 3, 4]);
  });

  it('keeps each order as one document with its turn, key, events and lease', async () => {
    const placement = newPlacement({
      idempotencyKey: '["buyer","k"]',
      turn: 2,
      openTurn: { number: 3, turn: 1 },
    });
    await store.orders.insert(placement);

    const { order } = placement;
    const document = await inspector.collection('orders').findOne({ _id: new mongo.ObjectId(order.id) });

    expect(document).toEqual({
      _id: new mongo.ObjectId(order.id),
      version: 0,
      userId: 'buyer',
      status: 'created',
      createdAt: order.createdAt,
      expiresAt: order.expiresAt,
      ticket: { ...order.ticket, id: new mongo.ObjectId(order.ticket.id) },
      turn: 2,
      idempotencyKey: '["buyer","k"]',
      openNumber: 3,
      openTurn: 1,
      payments: [],
      outbox: placement.events,
      changes: [placement.record],
      publishing: {
        next: 0,
        pending: 1,
        leaseUntil: expect.any(Date),
        owner: expect.stringContaining('replica-'),
        since: order.createdAt,
        attempts: 0,
      },
    });
  });

  describe('with 1,000 orders', () => {
    const ticketId = newId();

    beforeAll(async () => {
      // No more at once than the pool serves in time: changes do not share round trips.
      for (let first = 0; first < 1000; first += 50) {
        await Promise.all(Array.from({ length: 50 }, (_, i) => insertBooked(first + i)));
      }
      for (let i = 0; i < 40; i += 1) await insertLimited({ number: i % 2, turn: i >> 1 }, i < 38);
    });

    async function insertLimited(openTurn: OpenTurn, isOver: boolean): Promise<void> {
      const lease = await placeWithLease(store.orders, { userId: 'limited', openTurn });
      await store.outbox.markPublished(lease, 1, 'now');
      if (isOver) await change(store.orders, lease.orderId, payment(`p ${lease.orderId}`));
    }

    /** Most are published; every tenth is mine. */
    async function insertBooked(i: number): Promise<string> {
      const mine = i % 10 === 0;
      const lease = await placeWithLease(store.orders, {
        userId: mine ? 'me' : `user ${i}`,
        now: new Date(Date.UTC(2026, 0, 1, 0, 0, i)),
        ...(i < 40 ? { ticketId, turn: i } : {}),
      });
      if (i % 100 === 0) await store.outbox.release(lease, 0, 0);
      else await store.outbox.markPublished(lease, 1, 'now');
      return lease.orderId;
    }

    it.each<[string, number, () => Promise<unknown>]>([
      ['a listing', 15, () => store.orders.list({ userId: 'me', limit: 10 })],
      [
        'a later page of it',
        15,
        () =>
          store.orders.list({
            userId: 'me',
            limit: 10,
            after: { createdAt: new Date(Date.UTC(2026, 0, 1, 0, 10)), id: newId() },
          }),
      ],
      [
        'a listing of one status',
        15,
        () => store.orders.list({ userId: 'me', statuses: ['cancelled'], limit: 10 }),
      ],
      [
        'a later page of one status',
        15,
        () =>
          store.orders.list({
            userId: 'me',
            statuses: ['created'],
            limit: 10,
            after: { createdAt: new Date(Date.UTC(2026, 0, 1, 0, 10)), id: newId() },
          }),
      ],
      [
        'a listing of several statuses',
        15,
        () => store.orders.list({ userId: 'me', statuses: ['created', 'cancelled'], limit: 10 }),
      ],
      ['how many orders a user has', 105, () => store.orders.count({ userId: 'me' })],
      [
        'how many of one status',
        15,
        () => store.orders.count({ userId: 'me', statuses: ['complete', 'cancelled'] }),
      ],
      ['the overdue', 15, () => store.orders.overdue(new Date(Date.UTC(2026, 0, 2)), 10)],
      ['the claimable', 15, () => store.outbox.claimable(10)],
      [
        'the claimable behind one',
        15,
        async () => store.outbox.claimable(5, (await store.outbox.claimable(5)).at(-1)),
      ],
      ['the backlog', 15, () => store.outbox.backlog()],
      ['the backlog, when it looked before', 15, () => store.outbox.backlog()],
      ['the earliest of a ticket to publish', 3, () => store.outbox.earliest(ticketId)],
      ['the holder of a ticket', 10, () => store.orders.insert(newPlacement({ ticketId }))],
      ['what a user has at a number', 5, () => store.orders.lookAtOpenNumber('limited', 0)],
      [
        'the holder of a turn at a number',
        5,
        () => store.orders.insert(newPlacement({ userId: 'limited', openTurn: { number: 0, turn: 3 } })),
      ],
      ['an order', 2, async () => store.orders.find(newId())],
      ['the versions of orders', 4, () => store.orders.versions([newId(), newId(), newId()])],
      ['an order by its key', 1, () => store.orders.findByKey('["me","key"]')],
      ['the orders with a refund of a payment', 5, () => store.operatorReads.withRefundOf('none')],
      ['a ticket', 2, () => store.tickets.find(ticketId)],
      ['how many messages are parked and dead', 10, () => store.failedMessages.count()],
      ['parked messages', 10, () => store.failedMessages.takeDue(new Date(), 10)],
    ])('finds %s through an index, looking at no more than it needs', async (_, most, ask) => {
      proxy.forget();
      await ask();

      const questions = proxy.commands.filter((command) => 'find' in command || 'aggregate' in command);
      expect(questions.length).toBeGreaterThan(0);
      for (const question of questions) {
        const plan = JSON.stringify(await explain(question));
        expect(plan).not.toContain('COLLSCAN');
        expect(plan).not.toMatch(/"stage":"SORT"/);
        expect(keysExamined(plan)).toBeLessThanOrEqual(most);
      }
    });

    it('lists failed messages without their data, which is dropped before the server sorts', async () => {
      proxy.forget();
      expect((await store.failedMessages.list(10)).length).toBeGreaterThan(0);

      const [question, ...others] = proxy.commands.filter(
        (command) => 'find' in command || 'aggregate' in command,
      );
      expect(others).toEqual([]);
      const steps = (question!['pipeline'] as object[]).flatMap((stage) => Object.keys(stage));
      expect(steps).toEqual(['$match', '$project', '$sort', '$limit']);
      expect(question!['pipeline']).toContainEqual({ $project: { data: 0, encoding: 0 } });
    });

    it('asks for any number of versions with one command', async () => {
      const stored = await inspector.collection('orders').find().project({ _id: 1 }).toArray();
      const ids = stored.map(({ _id }) => String(_id));
      expect(ids.length).toBeGreaterThan(1_000);
      proxy.forget();

      expect((await store.orders.versions(ids)).size).toBe(ids.length);

      expect(proxy.commands.map((command) => Object.keys(command)[0])).toEqual(['find']);
    });

    it("finds a user's orders of a ticket through an index, and sorts only the ticket's orders", async () => {
      proxy.forget();
      expect(await store.orders.list({ userId: 'me', ticketId, limit: 10 })).toHaveLength(4);
      expect(await store.orders.count({ userId: 'me', ticketId, statuses: ['created'] })).toBe(4);

      const questions = proxy.commands.filter((command) => 'find' in command || 'aggregate' in command);
      expect(questions).toHaveLength(2);
      for (const question of questions) {
        const plan = JSON.stringify(await explain(question));
        expect(plan).not.toContain('COLLSCAN');
        // Those of the ticket are 40, the user's are 100.
        expect(keysExamined(plan)).toBeLessThanOrEqual(100);
      }
    });

    it('counts no more than 10,000 of anything', async () => {
      proxy.forget();
      await Promise.all([store.outbox.backlog(), store.failedMessages.count()]);

      const counts = proxy.commands.filter((command) => 'aggregate' in command).map((c) => JSON.stringify(c));
      expect(counts.filter((text) => text.includes('"orders"'))).not.toEqual([]);
      expect(counts.filter((text) => text.includes('"dead_letters"'))).toHaveLength(2);
      for (const text of counts) expect(text).toMatch(/"\$limit":\d{1,4}0?\b/);
    });
  });

  async function explain(question: Command): Promise<object> {
    const { lsid: _lsid, $db: _db, readConcern: _readConcern, $clusterTime: _time, ...command } = question;
    const answer = await inspector.db!.command({ explain: command, verbosity: 'executionStats' });
    // Without the plans that were not taken.
    return JSON.parse(JSON.stringify(answer, (key, value) => (key === 'rejectedPlans' ? [] : value)));
  }
});

/** As the server counted them, over all stages that say so. */
function keysExamined(plan: string): number {
  return Math.max(...[...plan.matchAll(/"totalKeysExamined":(\d+)/g)].map(([, count]) => Number(count)));
}

function newFailedMessage(at: Date) {
  const id = `s:${newId()}`;
  const retryAt = new Date(0);
  return { id, subject: 's', sequence: 1, publishedAt: at, data: '', reason: '', attempts: 0, retryAt, at };
}

async function putTakePostponeRemove({ failedMessages, now }: MongoStore): Promise<void> {
  const one = newFailedMessage(now());
  await failedMessages.put(one);
  await failedMessages.takeDue(now(), 1);
  await failedMessages.postpone(one.id, one);
  await failedMessages.replay();
  await failedMessages.remove(one.id);
}

/** Of orders: what a test tidies up with. */
function isBooking(command: Command): boolean {
  return command['update'] === 'orders' && JSON.stringify(command['updates']).includes('publishing.next');
}
