import type { CatchUp } from './catch-up';
import type { ChangeOrder } from './change-order';
import { createLoop, reportTo } from './schedule';
import type { Loop } from './schedule';
import type { Clock, Log, Metrics, OrderStore } from './ports';

export type ExpireOrder = (orderId: string) => Promise<'done' | 'payments-behind' | 'unknown-order'>;

/** The order's time is up. Cancels it only if nobody paid, and only while payments are caught up. */
export function createExpireOrder(deps: {
  changeOrder: ChangeOrder;
  catchUp: Pick<CatchUp, 'mayExpire'>;
  metrics: Pick<Metrics, 'orderOutcome'>;
}): ExpireOrder {
  return async function expireOrder(orderId) {
    const result = await deps.changeOrder(
      orderId,
      { type: 'expire' },
      (_, wouldCancel) => !wouldCancel || deps.catchUp.mayExpire(orderId),
    );
    if (result.type === 'unknown-order') return 'unknown-order';
    if (result.type === 'not-permitted') return 'payments-behind';
    if (result.type === 'changed') deps.metrics.orderOutcome('expired');
    return 'done';
  };
}

const SWEEP_EVERY_MS = 5_000;
const ORDERS_PER_SWEEP = 100;

/** Expires overdue orders whose ExpirationComplete never came, so that no ticket is blocked for ever. */
export function createExpirySweep(deps: {
  orders: Pick<OrderStore, 'overdue'>;
  expireOrder: ExpireOrder;
  clock: Clock;
  /** How long after an order's `expiresAt` the sweep leaves it to ExpirationComplete. */
  graceSeconds: number;
  log: Pick<Log, 'debug' | 'warn'>;
}): Loop {
  const { orders, clock, log } = deps;

  return createLoop({
    clock,
    everyMs: SWEEP_EVERY_MS,
    async task() {
      const deadline = new Date(clock.now().getTime() - deps.graceSeconds * 1000);
      const overdue = await orders.overdue(deadline, ORDERS_PER_SWEEP);
      const outcomes = await Promise.all(overdue.map((orderId) => deps.expireOrder(orderId)));
      const allDone = outcomes.every((outcome) => outcome === 'done');
      return overdue.length === ORDERS_PER_SWEEP && allDone ? 'again' : undefined;
    },
    onError: reportTo(log, 'the expiry sweep failed and will run again'),
  });
}
