import type { Clock, Log, Metrics } from '../../application/ports';
import { allOf, createLoop } from '../../application/schedule';
import { createMongoConnection } from './connection';
import { createDatabaseClock, databaseTime } from './database-clock';
import { createFailedMessages } from './failed-messages';
import { createModels } from './documents';
import { ForeignData, refuseForeignOrders } from './foreign-data';
import { UnfinishedImport } from './import/marker';
import { createImportWatch } from './import/watch';
import { LOOK_TIMEOUT_MS, refuseForeign, verifyIndexes } from './indexes';
import { createOperatorReads } from './operator-reads';
import { createOrderHistory } from './order-history';
import { createOrderStore } from './orders';
import { createOutbox } from './outbox';
import { createOutboxHistory } from './outbox-history';
import { createReadBarrier } from './read-barrier';
import { createTicketStore } from './tickets';

/** How often clocks are compared, and the database is checked for documents of another service. */
const LOOK_EVERY_MS = 10_000;

export type MongoStore = ReturnType<typeof createMongoStore>;

/** The stores on MongoDB, standalone or replica set. */
export function createMongoStore(deps: {
  url: string;
  /** Owns the publishing leases: unique per process. */
  replicaId: string;
  leaseMs: number;
  clock: Omit<Clock, 'now'>;
  log: Log;
  onReadyChange?: (ready: boolean) => void;
  onRetry?: Metrics['retried'];
  /**
   * For a process that does no more than a few reads and changes of what is there: makes no index and no collection, and
   * connecting ends when this answers `true` to a failure.
   */
  visit?: { readonly givesUp: (error: unknown) => boolean };
}) {
  const { log, onRetry = () => {} } = deps;
  const unguarded = createMongoConnection({
    url: deps.url,
    clock: deps.clock,
    log,
    verify,
    onReadyChange: deps.onReadyChange ?? (() => {}),
    onRetry: () => onRetry('database_connection'),
    ...deps.visit,
  });
  const watch = createImportWatch(unguarded, { clock: deps.clock, onError: onFailedLook });
  const connection = watch.guarded;
  const { mongoose } = connection;
  const models = createModels(mongoose);
  const databaseClock = createDatabaseClock(deps.clock, () => databaseTime(mongoose));
  const clock: Clock = { ...deps.clock, now: databaseClock.now };
  const leasing = { owner: deps.replicaId, ms: deps.leaseMs };
  const confirmReads = createReadBarrier(mongoose, connection);
  const lookLoop = createLoop({
    clock,
    everyMs: LOOK_EVERY_MS,
    async task() {
      await connection.ask(databaseClock.synchronise);
      await connection.ask(() => refuseForeignOrders(models));
    },
    onError: onFailedLook,
  });

  function onFailedLook(error: unknown): void {
    if (error instanceof ForeignData || error instanceof UnfinishedImport) connection.distrust();
    else log.debug({ err: error }, 'checking the database failed');
  }

  async function verify(): Promise<void> {
    await (deps.visit ? refuseForeign(models, LOOK_TIMEOUT_MS) : verifyIndexes(models));
    await databaseClock.synchronise();
    // After the indexes: an import that finds none of them knows that no service uses the database. And last: from here
    // on the import's patience counts.
    await watch.look();
  }

  return {
    tickets: createTicketStore(models, connection, confirmReads),
    orders: createOrderStore(models, connection, { clock, leasing, confirmReads, onRetry }),
    outbox: createOutbox(models, connection, { clock, leasing, confirmReads, onRetry }),
    outboxHistory: createOutboxHistory(models),
    orderHistory: createOrderHistory(models, connection),
    operatorReads: createOperatorReads(models, connection),
    failedMessages: createFailedMessages(models, connection, { now: clock.now, confirmReads }),
    /** Database time. */
    now: clock.now,
    /** Connected, the indexes verified since then, and a recent look for an unfinished import. */
    ready: connection.ready,
    /** Connects in the background, for as long as it takes. */
    start() {
      connection.start();
      lookLoop.start();
      watch.start();
    },
    async close() {
      // Together: a request to a server that hangs ends with the connection.
      await allOf([lookLoop.stop(), watch.stop(), connection.close()]);
    },
  };
}
