import type { CatchUp } from './catch-up';
import type { ChangeOrder } from './change-order';
import { allOf, createLoop, reportTo, type Loop } from './schedule';
import type { Cause, Clock, Log, Metrics, OrderStore } from './ports';

export type ExpireOrder = (
  orderId: string,
  cause: Cause,
) => Promise<'done' | 'payments-behind' | 'unknown-order'>;

/** More than the clocks of the database and the peers can differ. */
const EARLY_MS = 10_000;

/**
 * Cancels an order whose time is up, if it is not paid and while payments are caught up. The expiration service decides
 * whether the time is up: an expiry long before `expiresAt` is carried out, and reported.
 */
export function createExpireOrder(deps: {
  changeOrder: ChangeOrder;
  catchUp: Pick<CatchUp, 'mayExpire'>;
  clock: Pick<Clock, 'now'>;
  metrics: Pick<Metrics, 'orderOutcome' | 'expiredEarly'>;
  log: Pick<Log, 'warn'>;
}): ExpireOrder {
  function reportEarly(orderId: string, expiresAt: Date): void {
    const earlyMs = expiresAt.getTime() - deps.clock.now().getTime();
    if (earlyMs <= EARLY_MS) return;
    deps.metrics.expiredEarly();
    deps.log.warn(
      { orderId, expiresAt, secondsEarly: Math.round(earlyMs / 1000) },
      'an order was expired long before its expiresAt: check the expiration service and its clock',
    );
  }

  return async function expireOrder(orderId, cause) {
    const result = await deps.changeOrder(
      orderId,
      { type: 'expire' },
      cause,
      (_, decision) => decision !== 'changed' || deps.catchUp.mayExpire(orderId),
    );
    if (result.type === 'unknown-order') return 'unknown-order';
    if (result.type === 'not-permitted') return 'payments-behind';
    if (result.type === 'changed') {
      deps.metrics.orderOutcome('expired');
      reportEarly(orderId, result.order.expiresAt);
    }
    return 'done';
  };
}

const SWEEP_EVERY_MS = 5_000;
const ORDERS_PER_SWEEP = 100;

/** Expires overdue orders whose ExpirationComplete never arrived, so that no ticket is blocked for ever. */
export function createExpirySweep(deps: {
  orders: Pick<OrderStore, 'overdue'>;
  expireOrder: ExpireOrder;
  clock: Clock;
  /** How long after an order's `expiresAt` the sweep still waits for ExpirationComplete. */
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
      const outcomes = await allOf(overdue.map((orderId) => deps.expireOrder(orderId, { type: 'sweep' })));
      const allDone = outcomes.every((outcome) => outcome === 'done');
      return overdue.length === ORDERS_PER_SWEEP && allDone ? 'again' : undefined;
    },
    onError: reportTo(log, 'the expiry sweep failed and will run again'),
  });
}
