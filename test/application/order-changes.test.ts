import { connectMemoryStore, createMemoryDatabase } from '../../src/adapters/memory/store';
import { createCancelOrder } from '../../src/application/cancel-order';
import { createCatchUp } from '../../src/application/catch-up';
import { createChangeOrder } from '../../src/application/change-order';
import { createCompleteOrder } from '../../src/application/complete-order';
import { createExpireOrder } from '../../src/application/expire-order';
import { createSlots } from '../../src/application/slots';
import { toOutbox } from '../../src/application/outbox-events';
import { Unavailable } from '../../src/application/ports';
import type { OrderStore } from '../../src/application/ports';
import { createLoop } from '../../src/application/schedule';
import { createTurns } from '../../src/application/turns';
import { createTestClock } from '../support/clock';
import { newPlacement } from '../support/placements';
import { silentLog, silentMetrics } from '../support/silent';

const UNKNOWN = 'f'.repeat(24);

/** One order that was placed, and the use cases that change it. */
async function setUp(overrides: Partial<OrderStore> = {}) {
  const clock = createTestClock();
  const store = connectMemoryStore(createMemoryDatabase(), { replicaId: 'r', clock, leaseMs: 1_000 });
  const placement = newPlacement({ now: clock.now(), withLease: false });
  await store.orders.insert(placement);
  const { order } = placement;
  const pauses: number[] = [];
  const outcomes: string[] = [];
  const said: [fields: object, text: string][] = [];
  const nudged: string[] = [];
  const turns = createTurns();
  const metrics = { ...silentMetrics, orderOutcome: (outcome: string) => void outcomes.push(outcome) };
  const log = { ...silentLog, error: (fields: object, text: string) => void said.push([fields, text]) };
  const changeOrder = createChangeOrder({
    orders: { ...store.orders, ...overrides },
    turns,
    nudge: ({ orderId }) => void nudged.push(orderId),
    clock: {
      ...clock,
      random: () => 0.5,
      after(ms, task) {
        pauses.push(ms);
        setImmediate(task);
        return () => {};
      },
    },
    metrics,
  });
  const completeOrder = createCompleteOrder({ changeOrder, metrics, log });
  return {
    clock,
    store,
    order,
    turns,
    nudged,
    pauses,
    outcomes,
    said,
    cancelOrder: createCancelOrder({ changeOrder, metrics }),
    changeOrder,
    expireOrder: createExpireOrder({
      changeOrder,
      catchUp: { mayExpire: () => true },
      clock,
      metrics,
      log: silentLog,
    }),
    completeOrder,
    pay: (id: string, orderId = order.id) =>
      completeOrder({ orderId, payment: { id, stripeId: `stripe-${id}`, at: clock.now() } }),
  };
}

describe('an order that nobody knows', () => {
  it('can be neither cancelled, paid nor expired', async () => {
    const { cancelOrder, pay, expireOrder, outcomes } = await setUp();
    expect(await cancelOrder({ userId: 'buyer', orderId: UNKNOWN })).toBe('not-found');
    expect(await cancelOrder({ userId: 'buyer', orderId: UNKNOWN, versions: [0] })).toBe('not-found');
    expect(await pay('p', UNKNOWN)).toBe('unknown-order');
    expect(await expireOrder(UNKNOWN)).toBe('unknown-order');
    expect(outcomes).toEqual([]);
  });
});

describe('the outcome of a cancellation', () => {
  it('is counted when it changed something, and not when it is repeated', async () => {
    const { cancelOrder, order, outcomes } = await setUp();
    const cancel = () => cancelOrder({ userId: order.userId, orderId: order.id });
    expect([await cancel(), await cancel()]).toEqual(['cancelled', 'cancelled']);
    expect(outcomes).toEqual(['cancelled_by_user']);
  });
});

describe('a complete order', () => {
  it('keeps its turn of the ticket, whatever is paid for it afterwards', async () => {
    const { pay, order, turns, nudged } = await setUp();
    await pay('first');
    expect(nudged).toEqual([]);
    await pay('second');
    expect(nudged).toEqual([order.id]);
    expect(turns.next(order.ticket.id)).toBe(0);
  });

  it('names the payment that must be refunded, and why', async () => {
    const { pay, order, said } = await setUp();
    await pay('first');
    await pay('second');
    expect(said).toEqual([
      [{ orderId: order.id, paymentId: 'second', reason: 'second' }, 'a payment must be refunded'],
    ]);
  });

  it('takes a payment that comes once more for what it was', async () => {
    const { pay, outcomes, said } = await setUp();
    await pay('first');
    await pay('second');
    await pay('first');
    await pay('second');
    expect(outcomes).toEqual(['completed']);
    expect(said).toHaveLength(1);
  });
});

describe('a change that cannot be saved', () => {
  it('is not tried again where that is a mistake of ours', async () => {
    let saves = 0;
    const mistake = new TypeError('a mistake');
    const { changeOrder, order } = await setUp({
      save: () => {
        saves += 1;
        return Promise.reject(mistake);
      },
    });
    await expect(changeOrder(order.id, { type: 'cancel' })).rejects.toBe(mistake);
    expect(saves).toBe(1);
  });

  it('is tried again after a moment of chance, five times in all, and then it is said which order it was', async () => {
    const { changeOrder, order, pauses } = await setUp({ save: () => Promise.resolve(false) });
    const changing = changeOrder(order.id, { type: 'cancel' });
    await expect(changing).rejects.toThrow(`order ${order.id} changes too often`);
    await expect(changing).rejects.toBeInstanceOf(Unavailable);
    expect(pauses).toEqual([25, 50, 50, 50]);
  });

  it('says which order it was when there is no more time', async () => {
    let takesLong = (): Promise<void> => Promise.resolve();
    const { changeOrder, order, clock } = await setUp({
      async save() {
        await takesLong();
        throw new Unavailable('the answer never came');
      },
    });
    takesLong = () => clock.advance(3_001);
    const changing = changeOrder(order.id, { type: 'cancel' });
    await expect(changing).rejects.toThrow(`what became of order ${order.id} is not known`);
  });

  it('is not counted as its own where another change came first', async () => {
    const { store, order, cancelOrder, outcomes } = await setUp({
      async save(change) {
        // The same order, cancelled by another replica a moment before.
        await store.orders.save(change);
        return false;
      },
    });
    expect(await cancelOrder({ userId: order.userId, orderId: order.id })).toBe('cancelled');
    expect(outcomes).toEqual([]);
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

describe('slots that are to be closed', () => {
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  it('are closed when the last of them has ended, not the first', async () => {
    const slots = createSlots({ limit: 2, mostWaiting: 1, onError() {} });
    const ends: (() => void)[] = [];
    const work = () => new Promise<void>((resolve) => ends.push(resolve));
    void slots.take('a', work);
    void slots.take('b', work);
    let closed = false;
    const closing = slots.close().then(() => (closed = true));

    ends[0]?.();
    await turn();
    expect([ends.length, closed]).toEqual([2, false]);
    ends[1]?.();
    await closing;
    expect(closed).toBe(true);
  });

  it('are closed at once where there is nothing to do', async () => {
    await createSlots({ limit: 2, mostWaiting: 1, onError() {} }).close();
  });
});

describe('a loop', () => {
  function setUpLoop() {
    const clock = createTestClock();
    let runs = 0;
    const loop = createLoop({
      clock,
      everyMs: 1_000,
      task: async () => void (runs += 1),
      onError() {},
    });
    return { clock, loop, runs: () => runs };
  }

  it('does not run before it is started, whoever wakes it', async () => {
    const { clock, loop, runs } = setUpLoop();
    loop.wake();
    await clock.advance(10_000);
    expect(runs()).toBe(0);
  });

  it('is not put off by who wakes it for later than it would run anyway', async () => {
    const { clock, loop, runs } = setUpLoop();
    loop.start();
    await clock.advance(900);
    loop.wake(1_000);
    await clock.advance(100);
    expect(runs()).toBe(1);
    await loop.stop();
  });
});

describe('what is remembered of payments that were heard', () => {
  it('is forgotten once it keeps no order from expiring any more', async () => {
    const clock = createTestClock();
    const catchUp = createCatchUp({
      clock,
      databaseReady: true,
      catchUpSeconds: 15,
      hardLimitSeconds: 600,
      log: silentLog,
    });
    const id = (n: number) => n.toString(16).padStart(24, '0');
    /** Whatever it keeps them in. */
    const memories = new Set<Map<unknown, unknown>>();
    const set = Map.prototype.set;
    const spy = jest.spyOn(Map.prototype, 'set').mockImplementation(function (
      this: Map<unknown, unknown>,
      key: unknown,
      value: unknown,
    ) {
      if (typeof key === 'string' && key.length === 24) memories.add(this);
      return set.call(this, key, value);
    });

    for (let n = 0; n < 10; n += 1) catchUp.paymentHeard(id(n), clock.now());
    const sizes = () => [...memories].map(({ size }) => size);
    expect(sizes()).toEqual([10]);
    await clock.advance(300_000);
    catchUp.paymentHeard(id(3), clock.now());
    await clock.advance(300_000);
    catchUp.paymentHeard(id(10), clock.now());
    spy.mockRestore();

    expect(sizes()).toEqual([2]);
    catchUp.subscriptionChanged('group')(true);
    catchUp.subscriptionChanged('watch')(true);
    await clock.advance(15_000);
    expect([0, 3, 10].map((n) => catchUp.mayExpire(id(n)))).toEqual([true, false, false]);
  });
});

describe('what the log says of payments', () => {
  function setUpCatchUp() {
    const clock = createTestClock();
    const said: [level: string, fields: object, text: string][] = [];
    const say = (level: string) => (fields: object, text: string) => void said.push([level, fields, text]);
    const catchUp = createCatchUp({
      clock,
      databaseReady: true,
      catchUpSeconds: 15,
      hardLimitSeconds: 600,
      log: { info: say('info'), warn: say('warn') },
    });
    return { clock, catchUp, said };
  }

  it('is once that they are caught up, and once more after each loss', async () => {
    const { clock, catchUp, said } = setUpCatchUp();
    const caughtUp = ['info', {}, 'payments are caught up: orders may expire'];
    catchUp.subscriptionChanged('group')(true);
    catchUp.subscriptionChanged('watch')(true);
    await clock.advance(15_000);
    for (let times = 0; times < 3; times += 1) expect(catchUp.mayExpire(UNKNOWN)).toBe(true);
    expect(said).toEqual([caughtUp]);
    catchUp.subscriptionChanged('watch')(false);
    catchUp.subscriptionChanged('watch')(true);
    await clock.advance(15_000);
    expect(catchUp.mayExpire(UNKNOWN)).toBe(true);
    expect(said).toEqual([caughtUp, caughtUp]);
  });

  it('is after how long they never were', async () => {
    const { clock, catchUp, said } = setUpCatchUp();
    catchUp.subscriptionChanged('group')(true);
    catchUp.subscriptionChanged('watch')(true);
    for (let seconds = 0; seconds < 600; seconds += 10) {
      catchUp.paymentPostponed();
      await clock.advance(10_000);
    }
    expect(catchUp.mayExpire(UNKNOWN)).toBe(true);
    expect(said).toEqual([['warn', { hardLimitSeconds: 600 }, expect.stringContaining('never caught up')]]);
  });
});
