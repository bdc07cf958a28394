import { createMemoryDatabase, connectMemoryStore } from '../../src/adapters/memory/store';
import { createChangeOrder, type ChangeOrder } from '../../src/application/change-order';
import { createCompleteOrder } from '../../src/application/complete-order';
import { createExpireOrder } from '../../src/application/expire-order';
import { toOutbox } from '../../src/application/outbox-events';
import { Unavailable, type OrderStore } from '../../src/application/ports';
import { createTurns } from '../../src/application/turns';
import { place, type OrderInput } from '../../src/domain/order';
import { createTestClock } from '../support/clock';
import { newPlacement, REQUEST } from '../support/placements';
import { silentLog, silentMetrics } from '../support/silent';

const ORDER = 'a'.repeat(24);
const ticket = { id: 'b'.repeat(24), version: 0, title: 'T', price: 1, userId: 's' };

async function setUp(overrides: Partial<OrderStore> = {}) {
  const decided: string[] = [];
  const clock = createTestClock();
  const store = connectMemoryStore(createMemoryDatabase(), {
    replicaId: 'r',
    clock: { ...clock, after: (_, task) => (setImmediate(task), () => {}) },
    leaseMs: 1_000,
    log: silentLog,
  });
  const { order, events } = place({
    id: ORDER,
    userId: 'buyer',
    ticket,
    now: clock.now(),
    expirationWindowSeconds: 900,
  });
  const record = {
    version: 0,
    status: order.status,
    input: 'place',
    cause: REQUEST,
    at: clock.now(),
  } as const;
  const outbox = toOutbox(events, 0, clock.now());
  await store.orders.insert({ order, turn: 0, events: outbox, record, withLease: false });
  const nudged: string[] = [];
  const pauses: number[] = [];
  const turns = createTurns();
  const orders = { ...store.orders, ...overrides };
  const told: number[] = [];
  const change = createChangeOrder({
    orders,
    turns,
    changes: { changed: ({ version }) => told.push(version) },
    nudge: ({ orderId }) => nudged.push(orderId),
    // Pauses last no time here.
    clock: { ...clock, after: (ms, task) => (pauses.push(ms), setImmediate(task), () => {}) },
    metrics: { ...silentMetrics, decided: (...decision) => decided.push(decision.join(' ')) },
  });
  const changeOrder = (id: string, input: OrderInput, permit?: Parameters<ChangeOrder>[3]) =>
    change(id, input, REQUEST, permit);
  const pay = (id: string) => ({ type: 'pay' as const, payment: { id, stripeId: id, at: clock.now() } });
  return { clock, store, orders, change, changeOrder, nudged, told, pauses, turns, pay, decided };
}

type SetUp = Awaited<ReturnType<typeof setUp>>;

describe('changing an order', () => {
  it('lets one of many cancellations, expiries and payments decide, and announces it once', async () => {
    for (let round = 0; round < 20; round += 1) {
      const { store, changeOrder, pay } = await setUp();
      const results = await Promise.allSettled([
        changeOrder(ORDER, { type: 'cancel', by: 'user' }),
        changeOrder(ORDER, { type: 'expire' }),
        changeOrder(ORDER, { type: 'cancel', by: 'user' }),
        changeOrder(ORDER, pay('p1')),
        changeOrder(ORDER, pay('p1')),
      ]);
      expect(results.every(({ status }) => status === 'fulfilled')).toBe(true);
      const stored = await store.orders.find(ORDER);
      const lease = await store.outbox.claim(ORDER);
      const subjects = lease?.events.map(({ subject }) => subject);
      if (stored?.order.status === 'complete') {
        expect(subjects).toEqual(['order:created']);
        expect(stored.order.version).toBe(1);
      } else {
        expect(stored?.order).toMatchObject({ status: 'cancelled', version: 2 });
        expect(subjects).toEqual(['order:created', 'order:cancelled', 'order:refund-required']);
      }
      expect(lease?.events.map(({ seq }) => seq)).toEqual(subjects?.map((_, index) => index));
    }
  });

  it('tells the relay, and remembers that the turn is over, only after the cancellation is stored', async () => {
    const { changeOrder, nudged, turns, store } = await setUp();
    const changing = changeOrder(ORDER, { type: 'cancel', by: 'user' });
    expect([nudged, turns.next(ticket.id)]).toEqual([[], 0]);
    await changing;
    expect([nudged, turns.next(ticket.id)]).toEqual([[ORDER], 1]);
    expect((await store.orders.find(ORDER))?.order.status).toBe('cancelled');
  });

  it('reads again after a write of unknown outcome, and counts it as its own when it took place', async () => {
    const { orders, changeOrder, store, nudged, told } = await setUp();
    let saves = 0;
    orders.save = async (change) => {
      saves += 1;
      await store.orders.save(change);
      throw new Unavailable('the answer never came');
    };
    expect(await changeOrder(ORDER, { type: 'cancel', by: 'user' })).toMatchObject({ type: 'changed' });
    expect([saves, nudged, told]).toEqual([1, [ORDER], [1]]);
    const lease = await store.outbox.claim(ORDER);
    expect(lease?.events.map(({ subject }) => subject)).toEqual(['order:created', 'order:cancelled']);
  });

  it('gives up after five lost races, with pauses of chance between them', async () => {
    const { changeOrder, pauses } = await setUp({ save: async () => false });
    const changing = changeOrder(ORDER, { type: 'cancel', by: 'user' });
    await expect(changing).rejects.toBeInstanceOf(Unavailable);
    await expect(changing).rejects.toThrow(`order ${ORDER} changes too often`);
    expect(pauses).toEqual([10, 20, 40, 80]);
  });

  it.each([
    [2_000, 2],
    [3_001, 1],
  ])('is not tried again once it took three seconds: %d ms each, %d times', async (ms, expected) => {
    let attempts = 0;
    const { changeOrder, clock } = await setUp({
      save: async (): Promise<never> => {
        attempts += 1;
        await clock.advance(ms);
        throw new Unavailable('the answer never came');
      },
    });
    await expect(changeOrder(ORDER, { type: 'cancel', by: 'user' })).rejects.toThrow(
      `the outcome of a change of order ${ORDER} is not known`,
    );
    expect(attempts).toBe(expected);
  });

  it('rests nothing on a read alone before that is durable', async () => {
    const steps: string[] = [];
    const { changeOrder } = await setUp({ confirmReads: async () => void steps.push('confirmed') });
    await changeOrder(ORDER, { type: 'cancel', by: 'user' });
    expect(steps).toEqual([]);
    await changeOrder(ORDER, { type: 'cancel', by: 'user' });
    expect(steps).toEqual(['confirmed']);
  });

  it('counts what was written, and nothing of who was not permitted to ask', async () => {
    const { changeOrder, decided, pay } = await setUp();
    await changeOrder(ORDER, { type: 'cancel', by: 'user' }, () => false);
    expect(decided).toEqual([]);
    await changeOrder(ORDER, pay('p1'));
    await changeOrder(ORDER, pay('p1'));
    await changeOrder(ORDER, { type: 'cancel', by: 'user' }, () => false);
    await changeOrder(ORDER, { type: 'cancel', by: 'user' });
    expect(decided).toEqual(['pay created changed', 'pay complete unchanged', 'cancel complete refused']);
  });

  it('counts a change once: not for a lost race, and for a write without an answer when it is known', async () => {
    let calls = 0;
    const { changeOrder, decided, store, orders }: SetUp = await setUp({
      save: async (change) => {
        calls += 1;
        if (calls === 1) return false;
        await store.orders.save(change);
        throw new Unavailable('no answer');
      },
    });
    await changeOrder(ORDER, { type: 'cancel', by: 'user' });
    expect(calls).toBe(2);
    expect((await orders.find(ORDER))?.order.status).toBe('cancelled');
    expect(decided).toEqual(['cancel created changed']);
  });

  it('takes what another has done meanwhile for unchanged', async () => {
    const { changeOrder, decided, store }: SetUp = await setUp({
      save: async (change) => {
        await store.orders.save(change);
        return false;
      },
    });
    expect((await changeOrder(ORDER, { type: 'cancel', by: 'user' })).type).toBe('unchanged');
    expect(decided).toEqual(['cancel cancelled unchanged']);
  });

  it('passes on what is no fault of the database, after one attempt', async () => {
    let saves = 0;
    const save = () => ((saves += 1), Promise.reject(new TypeError('a bug')));
    const { changeOrder } = await setUp({ save });
    await expect(changeOrder(ORDER, { type: 'cancel', by: 'user' })).rejects.toThrow(TypeError);
    expect(saves).toBe(1);
  });

  it('tells the relay of events only, and ends a turn only where the ticket is free', async () => {
    const { changeOrder, nudged, turns, pay } = await setUp();
    await changeOrder(ORDER, pay('p1'));
    expect(nudged).toEqual([]);
    await changeOrder(ORDER, pay('p2'));
    expect(nudged).toEqual([ORDER]);
    expect(turns.next(ticket.id)).toBe(0);
  });

  it('tells those who wait of each change once it is stored, also of one without events, and of nothing else', async () => {
    const { changeOrder, told, pay } = await setUp();
    const paying = changeOrder(ORDER, pay('p1'));
    expect(told).toEqual([]);
    await paying;
    expect(told).toEqual([1]);
    await changeOrder(ORDER, pay('p1'));
    await changeOrder(ORDER, { type: 'cancel', by: 'user' });
    expect(told).toEqual([1]);
    await changeOrder(ORDER, pay('p2'));
    expect(told).toEqual([1, 2]);
  });

  it('knows no order that is not there', async () => {
    const { changeOrder } = await setUp();
    expect(await changeOrder('f'.repeat(24), { type: 'expire' })).toEqual({ type: 'unknown-order' });
  });
});

describe('an expiry', () => {
  const expiring = async (mayExpire: boolean) => {
    const { changeOrder, change, store, pay, clock } = await setUp();
    const outcomes: string[] = [];
    const warnings: object[] = [];
    let early = 0;
    const expireOrder = createExpireOrder({
      changeOrder: change,
      catchUp: { mayExpire: () => mayExpire },
      clock,
      metrics: {
        orderOutcome: (outcome: string) => outcomes.push(outcome),
        expiredEarly: () => (early += 1),
      },
      log: { warn: (fields) => warnings.push(fields) },
    });
    return { expireOrder, changeOrder, store, pay, clock, outcomes, warnings, early: () => early };
  };

  it('waits while payments are not caught up, and leaves the order alone', async () => {
    const { expireOrder, store, outcomes } = await expiring(false);
    expect(await expireOrder(ORDER, REQUEST)).toBe('payments-behind');
    expect((await store.orders.find(ORDER))?.order.status).toBe('created');
    expect(outcomes).toEqual([]);
  });

  it('cancels an unpaid order, and counts it once', async () => {
    const { expireOrder, store, outcomes } = await expiring(true);
    expect([await expireOrder(ORDER, REQUEST), await expireOrder(ORDER, REQUEST)]).toEqual(['done', 'done']);
    expect((await store.orders.find(ORDER))?.order).toMatchObject({ status: 'cancelled', reason: 'expired' });
    expect(outcomes).toEqual(['expired']);
  });

  it('is carried out and reported where it comes long before its time', async () => {
    const { expireOrder, store, warnings, early } = await expiring(true);
    expect([await expireOrder(ORDER, REQUEST), await expireOrder(ORDER, REQUEST)]).toEqual(['done', 'done']);
    const { order } = (await store.orders.find(ORDER))!;
    expect(order).toMatchObject({ status: 'cancelled', reason: 'expired' });
    expect(early()).toBe(1);
    expect(warnings).toEqual([{ orderId: ORDER, expiresAt: order.expiresAt, secondsEarly: 900 }]);
  });

  it.each([
    [899_000, 'a second before'],
    [900_000, 'at'],
    [901_000, 'after'],
  ])('is nothing to report when %i ms have passed: %s its time', async (ms) => {
    const { expireOrder, clock, outcomes, warnings, early } = await expiring(true);
    await clock.advance(ms);
    await expireOrder(ORDER, REQUEST);
    expect(outcomes).toEqual(['expired']);
    expect([warnings, early()]).toEqual([[], 0]);
  });

  it('of an unknown order is told apart', async () => {
    expect(await (await expiring(true)).expireOrder('f'.repeat(24), REQUEST)).toBe('unknown-order');
  });

  it('need not wait where there is nothing to cancel', async () => {
    const { expireOrder, changeOrder, pay } = await expiring(false);
    await changeOrder(ORDER, pay('p1'));
    expect(await expireOrder(ORDER, REQUEST)).toBe('done');
  });
});

describe('a payment', () => {
  it('is counted once, and one that cannot be kept is an error for a person to see', async () => {
    const { change, pay, clock, store } = await setUp();
    const seen: string[] = [];
    const completeOrder = createCompleteOrder({
      changeOrder: change,
      metrics: {
        orderOutcome: (outcome) => seen.push(outcome),
        refundRequired: (reason) => seen.push(`refund ${reason}`),
      },
      log: { error: (fields, text) => seen.push(text, JSON.stringify(fields)) },
    });
    expect(await completeOrder({ orderId: 'f'.repeat(24), payment: pay('p').payment, cause: REQUEST })).toBe(
      'unknown-order',
    );
    for (const id of ['p1', 'p1', 'p2', 'p2']) {
      await completeOrder({ orderId: ORDER, payment: pay(id).payment, cause: REQUEST });
    }
    expect(seen).toEqual([
      'completed',
      'refund second',
      'a payment must be refunded',
      JSON.stringify({ orderId: ORDER, paymentId: 'p2', reason: 'second' }),
    ]);
    // The charge of p2 once more, under other names.
    for (const payment of [
      { id: 'p3', stripeId: 'p2', at: clock.now() },
      { id: 'p2', stripeId: 'another', at: clock.now() },
    ]) {
      await completeOrder({ orderId: ORDER, payment, cause: REQUEST });
    }
    expect((await store.orders.find(ORDER))?.order.payments).toHaveLength(4);
    expect(seen).toHaveLength(4);
  });
});

describe('the events of a change', () => {
  it('are numbered one after the other from where the outbox ends', () => {
    const at = new Date(0);
    const { order } = newPlacement();
    const created = {
      subject: 'order:created' as const,
      data: {
        id: order.id,
        version: 0,
        status: 'created' as const,
        userId: 'u',
        expiresAt: '',
        ticket: { id: '', price: 1 },
      },
    };
    const cancelled = {
      subject: 'order:cancelled' as const,
      data: { id: order.id, version: 1, ticket: { id: '' } },
    };
    expect(toOutbox([created, cancelled], 3, at)).toEqual([
      { seq: 3, subject: 'order:created', data: JSON.stringify(created.data), at },
      { seq: 4, subject: 'order:cancelled', data: JSON.stringify(cancelled.data), at },
    ]);
  });
});
