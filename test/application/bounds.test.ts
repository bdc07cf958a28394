import { connectMemoryStore, createMemoryDatabase } from '../../src/adapters/memory/store';
import { createExpirySweep, type ExpireOrder } from '../../src/application/expire-order';
import { PublishFailed, type Publisher } from '../../src/application/bus';
import { Unavailable, type PublishingLease, type StoredOrder } from '../../src/application/ports';
import { createPlaceOrder } from '../../src/application/place-order';
import { createListOrders } from '../../src/application/read-orders';
import { LEASE_MS, createRelay } from '../../src/application/relay';
import { createTurns } from '../../src/application/turns';
import { createTestClock } from '../support/clock';
import { changeOf, eventId, newPlacement, REQUEST } from '../support/placements';
import { silentLog, silentMetrics } from '../support/silent';

function setUp() {
  const clock = createTestClock();
  const store = connectMemoryStore(createMemoryDatabase(), { replicaId: 'r', clock, leaseMs: LEASE_MS });
  const placeMany = async (count: number, withLease = false) => {
    const placements = Array.from({ length: count }, () => newPlacement({ withLease, now: clock.now() }));
    const results = await Promise.all(placements.map(store.orders.insert));
    return results.flatMap((result) => (result.type === 'inserted' && result.lease ? [result.lease] : []));
  };
  return { clock, store, placeMany };
}

function setUpRelay(publisher: Pick<Publisher, 'available' | 'publish'>) {
  const { clock, store, placeMany } = setUp();
  const relay = createRelay({
    outbox: store.outbox,
    publisher: { onAvailable() {}, ...publisher },
    clock,
    metrics: silentMetrics,
    log: silentLog,
  });
  return { clock, store, placeMany, relay };
}

describe('the relay, where there is more than one poll can take', () => {
  function withRelay() {
    let inFlight = 0;
    const broker = {
      taken: new Set<string>(),
      up: true,
      mostInFlight: 0,
      answer: (): Promise<void> => Promise.resolve(),
    };
    const { clock, relay, ...rest } = setUpRelay({
      available: () => broker.up,
      async publish(_subject, data) {
        inFlight += 1;
        broker.mostInFlight = Math.max(broker.mostInFlight, inFlight);
        await broker.answer();
        inFlight -= 1;
        broker.taken.add(eventId(data));
      },
    });
    let acknowledge = (): void => {};
    const acknowledged = new Promise<void>((resolve) => (acknowledge = resolve));
    return { ...rest, clock, relay, broker, acknowledged, acknowledge };
  }

  it('publishes all of it before it stops', async () => {
    const { placeMany, relay, broker, store } = withRelay();
    await placeMany(200);
    relay.start();
    await relay.stop();
    expect(broker.taken.size).toBe(200);
    expect(await store.outbox.backlog()).toEqual({ pending: 0 });
  });

  it('goes on at once, not with the next poll', async () => {
    const { clock, placeMany, relay, broker } = withRelay();
    await placeMany(200);
    relay.start();
    await clock.advance(1_000);
    expect(broker.taken.size).toBe(200);
    await relay.stop();
  });

  it('has no more than 64 orders in flight, and takes the others when it can', async () => {
    const { clock, placeMany, relay, broker, acknowledged, acknowledge } = withRelay();
    broker.answer = () => acknowledged;
    const leases: PublishingLease[] = await placeMany(100, true);
    expect(leases).toHaveLength(100);

    for (const lease of leases) relay.publish(lease);
    await clock.advance(0);
    expect(broker.mostInFlight).toBe(64);

    acknowledge();
    await clock.advance(0);
    expect(broker.taken.size).toBe(100);
    expect(broker.mostInFlight).toBe(64);
  });

  it('takes no more under a lease while a thousand tickets wait', async () => {
    const { clock, placeMany, relay, broker, acknowledged, acknowledge } = withRelay();
    broker.answer = () => acknowledged;
    const leases: PublishingLease[] = await placeMany(64 + 1_000, true);

    for (const lease of leases.slice(1)) relay.publish(lease);
    await clock.advance(0);
    expect(relay.takesMore()).toBe(true);
    relay.publish(leases[0]!);
    await clock.advance(0);
    expect(relay.takesMore()).toBe(false);

    acknowledge();
    await clock.advance(0);
    expect(broker.taken.size).toBe(64 + 1_000);
    expect(relay.takesMore()).toBe(true);
    broker.up = false;
    expect(relay.takesMore()).toBe(false);
  });

  it('looks for nothing at its stop while the broker is unavailable', async () => {
    const { placeMany, relay, broker, store } = withRelay();
    await placeMany(70);
    broker.up = false;
    relay.start();
    await relay.stop();
    expect(broker.taken.size).toBe(0);
    expect(await store.outbox.backlog()).toMatchObject({ pending: 70 });
  });
});

describe('an order that the broker refuses', () => {
  it('is tried less and less often, and every five minutes in the end', async () => {
    const triedAt: number[] = [];
    const { clock, placeMany, relay } = setUpRelay({
      available: () => true,
      publish() {
        triedAt.push(clock.monotonic());
        return Promise.reject(new PublishFailed('refused', 'no'));
      },
    });
    await placeMany(1);
    relay.start();
    await clock.advance(40 * 60_000);
    await relay.stop();

    const pauses = triedAt.slice(1).map((at, index) => at - triedAt[index]!);
    // A poll finds it within its own second, and begins late by the jitter at most.
    const rounded = pauses.map((ms) => Math.round(ms / 1_000));
    expect(rounded.slice(0, 5).every((seconds, index) => Math.abs(seconds - 2 ** index) <= 1)).toBe(true);
    expect(rounded.slice(-3).every((seconds) => Math.abs(seconds - 300) <= 1)).toBe(true);
    expect(pauses.length).toBeGreaterThan(12);
  });
});

describe('the expiry sweep', () => {
  const GRACE_SECONDS = 60;

  function withSweep(expireOrder: ExpireOrder) {
    const { clock, store, placeMany } = setUp();
    const sweep = createExpirySweep({
      orders: store.orders,
      expireOrder,
      clock,
      graceSeconds: GRACE_SECONDS,
      log: silentLog,
    });
    const startOverdue = async (count: number) => {
      await placeMany(count);
      await clock.advance((900 + GRACE_SECONDS) * 1_000 + 1);
      sweep.start();
      await clock.advance(5_000);
    };
    return { clock, store, placeMany, sweep, startOverdue };
  }

  it('goes on at once where more orders are overdue than it looks at together', async () => {
    const expired = new Set<string>();
    const { store, sweep, startOverdue } = withSweep(async (orderId) => {
      const before = (await store.orders.find(orderId))!;
      await store.orders.save(changeOf(before, { type: 'expire' }));
      expired.add(orderId);
      return 'done';
    });
    await startOverdue(250);
    expect(expired.size).toBe(250);
    await sweep.stop();
  });

  it('waits for its next turn where some of them may not expire yet', async () => {
    let asked = 0;
    const { clock, sweep, startOverdue } = withSweep(async () => {
      asked += 1;
      return asked % 2 === 0 ? 'payments-behind' : 'done';
    });
    await startOverdue(250);
    expect(asked).toBe(100);
    await clock.advance(5_000);
    expect(asked).toBe(200);
    await sweep.stop();
  });

  it('leaves an order to its ExpirationComplete until the grace is over', async () => {
    let asked = 0;
    const { clock, placeMany, sweep } = withSweep(async () => {
      asked += 1;
      return 'done';
    });
    await placeMany(1);
    sweep.start();
    await clock.advance((900 + GRACE_SECONDS) * 1_000);
    expect(asked).toBe(0);
    await clock.advance(5_000);
    expect(asked).toBe(1);
    await sweep.stop();
  });

  it('tries again later what it could not look for', async () => {
    let failures = 1;
    const { clock, store, placeMany } = setUp();
    const expired: string[] = [];
    const said: string[] = [];
    const sweep = createExpirySweep({
      orders: {
        async overdue(time, limit) {
          if (failures-- > 0) throw new Error('a mistake');
          return store.orders.overdue(time, limit);
        },
      },
      expireOrder: async (orderId) => {
        expired.push(orderId);
        return 'done';
      },
      clock,
      graceSeconds: 0,
      log: { ...silentLog, warn: (_, text) => said.push(text) },
    });
    await placeMany(1);
    await clock.advance(900_001);
    sweep.start();
    await clock.advance(5_000);
    expect([expired.length, said]).toEqual([0, ['the expiry sweep failed and will run again']]);
    await clock.advance(5_000);
    expect(expired).toHaveLength(1);
    await sweep.stop();
  });
});

describe('what is known of the turns of tickets', () => {
  const id = (n: number) => String(n).padStart(24, '0');

  it('is forgotten for the ticket that nobody asked for the longest, when there are more than 50,000', () => {
    const turns = createTurns();
    for (let n = 0; n < 50_000; n += 1) turns.over(id(n), 0);
    expect([turns.next(id(0)), turns.next(id(1)), turns.next(id(49_999))]).toEqual([1, 1, 1]);

    turns.over(id(0), 1);
    turns.over(id(50_000), 0);

    expect([turns.next(id(0)), turns.next(id(1)), turns.next(id(2))]).toEqual([2, 1, 0]);
    expect(turns.next(id(50_000))).toBe(1);
  });

  it('never goes back', () => {
    const turns = createTurns();
    turns.over(id(1), 5);
    turns.over(id(1), 3);
    expect(turns.next(id(1))).toBe(6);
  });
});

describe('orders that tickets are held for', () => {
  const id = (n: number) => n.toString(16).padStart(24, '0');
  const MOST = 10_000;

  /** Every ticket is held for the order of its own number. */
  function setUpHolds(isOurs: boolean) {
    let finds = 0;
    let warnings = 0;
    const placeOrder = createPlaceOrder({
      tickets: {
        find: (ticketId) =>
          Promise.resolve({ id: ticketId, version: 1, title: 'T', price: 1, userId: 's', orderId: ticketId }),
      },
      orders: {
        insert: () => Promise.resolve({ type: 'inserted' }),
        find: () => {
          finds += 1;
          return Promise.resolve(isOurs ? ({} as StoredOrder) : undefined);
        },
        findByKey: () => Promise.resolve(undefined),
        confirmReads: () => Promise.resolve(),
      },
      turns: createTurns(),
      openNumbers: { first: async () => undefined, another: async () => undefined },
      publish() {},
      takeLease: () => false,
      clock: createTestClock(),
      newId: () => 'f'.repeat(24),
      metrics: silentMetrics,
      log: { warn: () => void (warnings += 1) },
      expirationWindowSeconds: 900,
    });
    const place = (n: number) => placeOrder({ userId: 'buyer', ticketId: id(n), cause: REQUEST });
    return { place, finds: () => finds, warnings: () => warnings };
  }

  it('are known to be ours once they were read, the latest 10,000 of them', async () => {
    const { place, finds } = setUpHolds(true);
    for (let n = 0; n < MOST - 1; n += 1) await place(n);
    expect(finds()).toBe(MOST - 1);
    // The order that each of them placed is known as well: it is the one that is left.
    await place(0);
    expect(finds()).toBe(MOST - 1);

    await place(MOST);

    expect(finds()).toBe(MOST);
    await place(1);
    expect(finds()).toBe(MOST);
    await place(0);
    expect(finds()).toBe(MOST + 1);
  });

  it('are reported once where they are not ours, the latest 10,000 of them', async () => {
    const { place, warnings } = setUpHolds(false);
    for (let n = 0; n < MOST; n += 1) await place(n);
    expect(await place(0)).toEqual({ type: 'reserved-elsewhere' });
    expect(warnings()).toBe(MOST);

    await place(MOST);
    expect(warnings()).toBe(MOST + 1);
    await place(MOST - 1);
    expect(warnings()).toBe(MOST + 1);
    await place(0);
    expect(warnings()).toBe(MOST + 2);
  });
});

describe('a page of the listing', () => {
  async function pageOf(limit: number, stored: number) {
    const { store } = setUp();
    const placements = Array.from({ length: stored }, (_, i) =>
      newPlacement({ userId: 'me', now: new Date(Date.UTC(2026, 0, 1, 0, i)) }),
    );
    await Promise.all(placements.map(store.orders.insert));
    return createListOrders({ orders: store.orders })({ userId: 'me', limit });
  }

  it.each([
    [3, 2],
    [3, 3],
  ])('of %d is the last one where there are %d', async (limit, stored) => {
    const page = await pageOf(limit, stored);
    expect(page.orders).toHaveLength(stored);
    expect(page).not.toHaveProperty('next');
  });

  it('says where the next one begins where there are more', async () => {
    const { orders, next } = await pageOf(3, 4);
    expect(orders).toHaveLength(3);
    expect(next).toEqual({ createdAt: orders[2]!.createdAt, id: orders[2]!.id });
  });

  it('is empty for who has none', async () => {
    expect(await pageOf(3, 0)).toEqual({ orders: [] });
  });
});

describe('Unavailable and PublishFailed', () => {
  it('are told by their code and name, and keep their cause', () => {
    const cause = new Error('the driver');
    expect(new Unavailable('x', { cause })).toMatchObject({
      code: 'unavailable',
      name: 'Unavailable',
      cause,
    });
    expect(new PublishFailed('timeout', 'x', { cause })).toMatchObject({
      code: 'publish-failed',
      name: 'PublishFailed',
      reason: 'timeout',
      message: 'x',
      cause,
    });
  });
});
