import { allOf, createLoop, type Loop } from '../application/schedule';
import type { Clock, FailedMessages, Log, Outbox } from '../application/ports';
import type { ServiceMetrics } from './metrics';

const EVERY_MS = 10_000;

/** Updates the metrics of the backlog in the background: a scrape does not wait for the database. */
export function createBacklogWatch(deps: {
  outbox: Pick<Outbox, 'backlog'>;
  failedMessages: Pick<FailedMessages, 'count'>;
  clock: Clock;
  metrics: Pick<ServiceMetrics, 'setBacklog' | 'setFailedMessages'>;
  log: Pick<Log, 'debug'>;
}): Loop {
  return createLoop({
    clock: deps.clock,
    everyMs: EVERY_MS,
    async task() {
      const [backlog, failed] = await allOf([deps.outbox.backlog(), deps.failedMessages.count()]);
      deps.metrics.setBacklog(backlog, deps.clock.now());
      deps.metrics.setFailedMessages(failed);
    },
    // order_service_database_up shows that the database is unavailable.
    onError: (error) => deps.log.debug({ err: error }, 'counting the backlog failed'),
  });
}
