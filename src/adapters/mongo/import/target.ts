import { createConnection, type Connection } from 'mongoose';
import {
  ImportFailed,
  ImportRefused,
  type ImportTarget,
  type TicketPlan,
} from '../../../application/import/ports';
import type { Clock } from '../../../application/ports';
import { pause } from '../../../application/schedule';
import { databaseTime } from '../database-clock';
import { createModels, type Models } from '../documents';
import { toUnavailable } from '../errors';
import { ForeignData } from '../foreign-data';
import { makeOrderIndexes, refuseForeign } from '../indexes';
import { createMarker, UNTIL_SERVICES_STOP_MS } from './marker';
import { readStored } from './stored';
import { writePlans } from './write-plans';

const OPTIONS = {
  maxPoolSize: 5,
  serverSelectionTimeoutMS: 10_000,
  connectTimeoutMS: 10_000,
  w: 'majority',
  journal: true,
  readPreference: 'primary',
  bufferCommands: false,
} as const;

const INDEX_TIMEOUT_MS = 10 * 60_000;
/** The service makes it before it looks for the marker: without it, no service has used the database. */
const MADE_BY_A_SERVICE = 'dead_letters';

/** This service's database, to import into. Rejects with {@link ImportRefused} if it holds anything else. */
export async function openTarget(deps: {
  url: string;
  /** Unique per process. */
  owner: string;
  clock: Pick<Clock, 'monotonic' | 'after' | 'random'>;
  /** Why the import waits. */
  note: (text: string) => void;
}): Promise<ImportTarget & { close(): Promise<void> }> {
  const connection = await connect(deps.url);
  const models = createModels(connection);
  const marker = createMarker(connection, deps);
  try {
    await ask(() => expectOwnDatabase(models));
  } catch (error) {
    await connection.destroy();
    throw error;
  }

  async function begin(): Promise<boolean> {
    const wasUnfinished = await marker.begin(deps.note);
    if (await wasUsedByAService(connection)) {
      deps.note(
        `waiting ${UNTIL_SERVICES_STOP_MS / 1000} s, until every running service has noticed the import`,
      );
      await pause(deps.clock, UNTIL_SERVICES_STOP_MS);
      await refuseOwnOrders(models);
    }
    await makeOrderIndexes(models, INDEX_TIMEOUT_MS);
    return wasUnfinished;
  }

  async function write(plans: readonly TicketPlan[]): Promise<void> {
    const now = await databaseTime(connection);
    await writePlans(models, plans, { now, hold: marker.hold });
  }

  async function finish(): Promise<void> {
    if (await wasUsedByAService(connection)) await refuseOwnOrders(models);
    await marker.finish();
  }

  return {
    begin: () => ask(begin),
    isUnfinished: () => ask(marker.isUnfinished),
    stored: (ticketIds) => ask(() => readStored(models, ticketIds)),
    write: (plans) => ask(() => write(plans)),
    finish: () => ask(finish),
    async close() {
      await marker.release().finally(() => connection.destroy());
    },
  };
}

async function ask<T>(operation: () => Promise<T>): Promise<T> {
  return operation().catch((error: unknown) => {
    throw toUnavailable(error);
  });
}

async function connect(url: string): Promise<Connection> {
  try {
    return await createConnection(url, OPTIONS).asPromise();
  } catch (error) {
    throw new ImportFailed(`the database of MONGO_URL cannot be reached: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

async function expectOwnDatabase(models: Models): Promise<void> {
  try {
    await refuseForeign(models, INDEX_TIMEOUT_MS);
  } catch (error) {
    throw error instanceof ForeignData ? new ImportRefused(error.message) : error;
  }
  await refuseOwnOrders(models);
}

/** With orders that were placed here, an import could give a ticket two owners. */
async function refuseOwnOrders({ orders }: Models): Promise<void> {
  const own = await orders.collection.findOne({ imported: null }, { projection: { _id: 1 } });
  if (!own) return;
  throw new ImportRefused(
    `this database has orders that were placed with this service, ${String(own._id)} for example: ` +
      'nothing can be imported after the first of them. If the service does not use it because an import is unfinished, ' +
      'see "An unfinished import" in docs/operations.md',
  );
}

async function wasUsedByAService(connection: Connection): Promise<boolean> {
  const collections = await connection.listCollections();
  return collections.some(({ name }) => name === MADE_BY_A_SERVICE);
}
