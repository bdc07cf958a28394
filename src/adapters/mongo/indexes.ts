import { mongo } from 'mongoose';
import { HAS_OPEN_NUMBER, HAS_PENDING, HAS_REFUNDS, type Models } from './documents';
import { isServerError } from './errors';
import { refuseForeignOrders, refuseForeignTickets } from './foreign-data';

/** Enough if no index is to be built, which is nearly always the case. */
export const LOOK_TIMEOUT_MS = 5_000;
/** An index on a large collection takes long to build. */
const BUILD_TIMEOUT_MS = 10 * 60_000;

/** The server's codes for a missing collection and a missing index. */
const NAMESPACE_NOT_FOUND = 26;
const INDEX_NOT_FOUND = 27;

/** One order has a turn of a ticket. */
export const TURN_OF_TICKET = { 'ticket.id': 1, turn: 1 } as const;

/** Only of orders with events to publish: as small as the backlog, however many orders there are. */
const PENDING = { partialFilterExpression: HAS_PENDING };

/** Of earlier releases; smaller indexes replace them. */
const OUTDATED = ['publishing.pending_1_publishing.leaseUntil_1', 'ticket.id_1_publishing.pending_-1'];

/**
 * Makes the missing indexes; resolves when all exist. Rejects if duplicates prevent a unique one, and with
 * `ForeignData` if the database is another service's: nothing is made there.
 */
export async function verifyIndexes(models: Models): Promise<void> {
  try {
    await makeIndexes(models, LOOK_TIMEOUT_MS);
  } catch (error) {
    if (!(error instanceof mongo.MongoOperationTimeoutError)) throw error;
    // A long build looks like a dead connection; the next attempt has another connection.
    await makeIndexes(models, BUILD_TIMEOUT_MS);
  }
}

async function makeIndexes(models: Models, timeoutMS: number): Promise<void> {
  await makeOrderIndexes(models, timeoutMS);
  await models.failedMessages.collection.createIndexes([{ key: { retryAt: 1 } }], { timeoutMS });
}

/** Rejects with `ForeignData` if the database is another service's. Resolves to the indexes that exist. */
export async function refuseForeign(models: Models, timeoutMS: number): Promise<readonly ExistingIndex[]> {
  await refuseForeignOrders(models, timeoutMS);
  // The indexes are made before our first ticket is stored: if they exist, this was checked.
  const existing = await indexesOf(models, timeoutMS);
  if (!existing.some(isTurnOfTicket)) await refuseForeignTickets(models, timeoutMS);
  return existing;
}

/** The indexes of orders only. */
export async function makeOrderIndexes(models: Models, timeoutMS: number): Promise<void> {
  const existing = await refuseForeign(models, timeoutMS);
  await models.orders.collection.createIndexes(
    [
      // One order has a turn of a ticket; one order has a key. All else depends on these two, and none of the fields of
      // unique indexes ever changes.
      { key: TURN_OF_TICKET, unique: true },
      { key: { idempotencyKey: 1 }, unique: true },
      // One order of a user has a turn at a number. Empty without a limit of open orders.
      {
        key: { userId: 1, openNumber: 1, openTurn: 1 },
        unique: true,
        partialFilterExpression: HAS_OPEN_NUMBER,
      },
      // The listing, newest first. With a status it needs an index of its own: otherwise the server would choose the
      // sweep's, with the orders of all users.
      { key: { userId: 1, createdAt: -1, _id: -1 } },
      { key: { userId: 1, status: 1, createdAt: -1, _id: -1 } },
      // The claimable orders, for the relay.
      { key: { 'publishing.leaseUntil': 1, _id: 1 }, ...PENDING },
      // Which order of a ticket publishes next.
      { key: { 'ticket.id': 1, turn: 1, 'publishing.pending': 1 }, ...PENDING },
      // The size and the age of the backlog.
      { key: { 'publishing.since': 1, 'publishing.pending': 1 }, ...PENDING },
      // The overdue orders, for the expiry sweep.
      { key: { status: 1, expiresAt: 1 } },
      // The open refunds.
      { key: { allRefunded: 1 }, partialFilterExpression: HAS_REFUNDS },
    ],
    { timeoutMS },
  );
  for (const { name } of existing) if (OUTDATED.includes(name)) await drop(models, name, timeoutMS);
}

interface ExistingIndex {
  readonly name: string;
  readonly key: object;
}

function isTurnOfTicket({ key }: ExistingIndex): boolean {
  return JSON.stringify(key) === JSON.stringify(TURN_OF_TICKET);
}

async function indexesOf({ orders }: Models, timeoutMS: number): Promise<ExistingIndex[]> {
  try {
    const indexes = await orders.collection.listIndexes({ timeoutMS }).toArray();
    return indexes as ExistingIndex[];
  } catch (error) {
    if (isServerError(error, NAMESPACE_NOT_FOUND)) return [];
    throw error;
  }
}

async function drop({ orders }: Models, name: string, timeoutMS: number): Promise<void> {
  try {
    await orders.collection.dropIndex(name, { timeoutMS });
  } catch (error) {
    // Another replica was first.
    if (!isServerError(error, INDEX_NOT_FOUND)) throw error;
  }
}
