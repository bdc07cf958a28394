import type { Clock, Log } from '../../application/ports';
import type { MemoryDatabase } from './database';
import { createFailedMessages } from './failed-messages';
import { createOrders } from './orders';
import { createOutbox } from './outbox';
import { createTickets } from './tickets';

export { createMemoryDatabase } from './database';

/** One replica's view of the database. It gives the guarantees of the real one, as long as the process runs. */
export function connectMemoryStore(
  database: MemoryDatabase,
  deps: { replicaId: string; clock: Clock; leaseMs: number; log?: Log },
) {
  const { clock } = deps;
  const leasing = { owner: deps.replicaId, ms: deps.leaseMs };
  return {
    tickets: createTickets(database),
    orders: createOrders(database, clock, leasing),
    outbox: createOutbox(database, clock, leasing),
    failedMessages: createFailedMessages(database, clock),
    now: clock.now,
    ready: () => true,
    start() {},
    close: () => Promise.resolve(),
  };
}
