import { allOf, createLoop, type Loop } from '../application/schedule';
import { openRefunds } from '../domain/order';
import type { FailedMessages } from '../application/failed-messages';
import type { Clock, Log, OrderStore, Outbox } from '../application/ports';
import type { ServiceMetrics } from './metrics';

const EVERY_MS = 10_000;
/** Of the orders with open refunds: all their payments are read. */
const ORDERS_COUNTED = 1_000;

/** Updates the metrics of the backlog in the background: a scrape does not wait for the database. */
export function createBacklogWatch(deps: {
  outbox: Pick<Outbox, 'backlog'>;
  failedMessages: Pick<FailedMessages, 'count'>;
  orders: Pick<OrderStore, 'withOpenRefunds'>;
  clock: Clock;
  metrics: Pick<ServiceMetrics, 'setBacklog' | 'setFailedMessages' | 'setOpenRefunds'>;
  log: Pick<Log, 'debug'>;
}): Loop {
  return createLoop({
    clock: deps.clock,
    everyMs: EVERY_MS,
    async task() {
      const [backlog, failed, refunding] = await allOf([
        deps.outbox.backlog(),
        deps.failedMessages.count(),
        deps.orders.withOpenRefunds(ORDERS_COUNTED),
      ]);
      deps.metrics.setBacklog(backlog, deps.clock.now());
      deps.metrics.setFailedMessages(failed);
      deps.metrics.setOpenRefunds(refunding.flatMap(openRefunds).length);
    },
    // order_service_database_up shows that the database is unavailable.
    onError: (error) => deps.log.debug({ err: error }, 'counting the backlog failed'),
  });
}
