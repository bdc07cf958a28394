import { createCancelOrder } from '../../src/application/cancel-order';
import { createChangeOrder } from '../../src/application/change-order';
import type { Change } from '../../src/application/ports';
import { createTurns } from '../../src/application/turns';
import { applyChange, type Order } from '../../src/domain/order';
import { createTestClock } from '../support/clock';
import { orderOf } from '../support/http-app';
import { REQUEST } from '../support/placements';
import { silentMetrics } from '../support/silent';

/** Cancels over a store of this one order; `meanwhile` is what another replica makes of it before the first write. */
function setUp(first: Order, meanwhile?: Order) {
  let order = first;
  let competing = meanwhile;
  const saved: Change[] = [];
  const outcomes: string[] = [];
  const clock = createTestClock();
  const cancelOrder = createCancelOrder({
    changeOrder: createChangeOrder({
      orders: {
        find: (id) => Promise.resolve(id === order.id ? { order, turn: 0, recorded: 1 } : undefined),
        save(change) {
          if (competing) [order, competing] = [competing, undefined];
          if (change.before.order.version !== order.version) return Promise.resolve(false);
          saved.push(change);
          order = applyChange(order, change.change);
          return Promise.resolve(true);
        },
        confirmReads: () => Promise.resolve(),
      },
      turns: createTurns(),
      changes: { changed() {} },
      nudge() {},
      clock: { ...clock, after: (_, task) => (setImmediate(task), () => {}) },
      metrics: silentMetrics,
    }),
    metrics: { orderOutcome: (outcome) => outcomes.push(outcome) },
  });
  const cancel = (versions: readonly number[] | undefined, userId = order.userId) =>
    cancelOrder({
      userId,
      orderId: order.id,
      cause: REQUEST,
      ...(versions === undefined ? {} : { versions }),
    });
  const cancelAnother = (orderId: string) => cancelOrder({ userId: order.userId, orderId, cause: REQUEST });
  return { cancel, cancelAnother, saved, outcomes };
}

describe('cancelling an order of certain versions only', () => {
  it.each([[[3]], [[1, 2, 3]], [undefined]])('changes it when it is one of them: %j', async (versions) => {
    const { cancel, saved } = setUp(orderOf({ version: 3 }));

    expect(await cancel(versions)).toBe('cancelled');
    expect(saved).toMatchObject([{ before: { order: { version: 3 } } }]);
  });

  it.each([[[2]], [[4]], [[]]])('leaves it as it is when it is none of them: %j', async (versions) => {
    const { cancel, saved } = setUp(orderOf({ version: 3 }));

    expect(await cancel(versions)).toBe('precondition-failed');
    expect(saved).toEqual([]);
  });

  it('looks at the version that is then changed: not at one that another change has overtaken', async () => {
    const order = orderOf({ version: 0 });
    const { cancel, saved } = setUp(order, { ...order, version: 1, status: 'awaiting:payment' });

    expect(await cancel([0])).toBe('precondition-failed');
    expect(saved).toEqual([]);
  });

  it('is a success where it was cancelled before: the first answer may have been lost', async () => {
    const { cancel, saved } = setUp(orderOf({ version: 0 }));

    expect([await cancel([0]), await cancel([0])]).toEqual(['cancelled', 'cancelled']);
    expect(saved).toHaveLength(1);
  });

  it('is refused for another version also where it is paid, and as without them for its own', async () => {
    const { cancel } = setUp(orderOf({ version: 1, status: 'complete' }));

    expect(await cancel([0])).toBe('precondition-failed');
    expect(await cancel([1])).toBe('already-paid');
    expect(await cancel(undefined)).toBe('already-paid');
  });

  it("tells nothing of someone else's", async () => {
    const { cancel } = setUp(orderOf({ version: 3 }));

    expect([await cancel([3], 'bob'), await cancel([2], 'bob')]).toEqual(['not-found', 'not-found']);
  });
});

describe('cancelling an order', () => {
  it('counts it once, however often it is asked', async () => {
    const { cancel, outcomes } = setUp(orderOf({ version: 0 }));
    expect([await cancel(undefined), await cancel(undefined)]).toEqual(['cancelled', 'cancelled']);
    expect(outcomes).toEqual(['cancelled_by_user']);
  });

  it('finds none that is not there', async () => {
    const { cancelAnother, outcomes } = setUp(orderOf({ version: 0 }));
    expect(await cancelAnother('f'.repeat(24))).toBe('not-found');
    expect(outcomes).toEqual([]);
  });
});
