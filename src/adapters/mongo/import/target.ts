import { createConnection, mongo, type Connection } from 'mongoose';
import {
  ImportFailed,
  ImportRefused,
  type ImportTarget,
  type TicketPlan,
} from '../../../application/import/ports';
import { Unavailable, type Clock } from '../../../application/ports';
import { pause } from '../../../application/schedule';
import { databaseTime } from '../database-clock';
import { createModels, type Models } from '../documents';
import { toUnavailable } from '../errors';
import { makeOrderIndexes, refuseForeign } from '../indexes';
import { lastingFailure } from '../lasting-failure';
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
  let writing: Promise<void> = Promise.resolve();
  let isClosing = false;
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
    await writePlans(models, plans, { now, hold });
  }

  async function hold(): Promise<void> {
    if (isClosing) throw new ImportFailed('the import was interrupted');
    await marker.hold();
  }

  /** A write that does not end keeps the lease: it could still be carried out while the next import writes. */
  async function close(): Promise<void> {
    isClosing = true;
    await writing.catch(() => {});
    // Without it the lease ends by itself.
    await marker.release().catch(() => {});
    await connection.destroy();
  }

  async function finish(): Promise<void> {
    if (await wasUsedByAService(connection)) await refuseOwnOrders(models);
    await marker.finish();
  }

  return {
    begin: () => ask(begin),
    isUnfinished: () => ask(marker.isUnfinished),
    stored: (ticketIds) => ask(() => readStored(models, ticketIds)),
    write(plans) {
      writing = ask(() => write(plans));
      return writing;
    },
    finish: () => ask(finish),
    close,
  };
}

async function ask<T>(operation: () => Promise<T>): Promise<T> {
  return operation().catch((error: unknown) => {
    const isDatabases = toUnavailable(error) instanceof Unavailable || lastingFailure(error) !== undefined;
    throw isDatabases ? toFailure(error, 'did not answer') : error;
  });
}

function toFailure(error: unknown, otherwise: string): ImportRefused | ImportFailed {
  const why = lastingFailure(error);
  if (why !== undefined) return new ImportRefused(`the database of MONGO_URL cannot be used: ${why}`);
  const what = error instanceof mongo.MongoServerError ? 'answered with an error' : otherwise;
  const { message } = error as Error;
  return new ImportFailed(`the database of MONGO_URL ${what}: ${message}`, { cause: error });
}

async function connect(url: string): Promise<Connection> {
  const connection = createConnection(url, OPTIONS);
  try {
    return await connection.asPromise();
  } catch (error) {
    await connection.destroy();
    throw toFailure(error, 'cannot be reached');
  }
}

async function expectOwnDatabase(models: Models): Promise<void> {
  await refuseForeign(models, INDEX_TIMEOUT_MS);
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
