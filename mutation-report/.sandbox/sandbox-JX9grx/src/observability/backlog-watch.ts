import { createLoop } from '../application/schedule';
import type { Loop } from '../application/schedule';
import type { Clock, DeadLetters, Log, Outbox } from '../application/ports';
import type { ServiceMetrics } from './metrics';

const EVERY_MS = 10_000;

/** Keeps the metrics of what waits in the database fresh, off the path of whoever scrapes them. */
export function createBacklogWatch(deps: {
  outbox: Pick<Outbox, 'backlog'>;
  deadLetters: Pick<DeadLetters, 'count'>;
  clock: Clock;
  metrics: Pick<ServiceMetrics, 'setBacklog' | 'setDeadLetters'>;
  log: Pick<Log, 'debug'>;
}): Loop {
  return createLoop({
    clock: deps.clock,
    everyMs: EVERY_MS,
    async task() {
      const [backlog, letters] = await Promise.all([deps.outbox.backlog(), deps.deadLetters.count()]);
      deps.metrics.setBacklog(backlog, deps.clock.now());
      deps.metrics.setDeadLetters(letters);
    },
    // The database's own metric tells that it is away.
    onError: (error) => deps.log.debug({ err: error }, 'counting what waits failed'),
  });
}
