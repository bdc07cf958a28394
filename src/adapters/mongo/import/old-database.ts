import { mongo } from 'mongoose';
import {
  ImportFailed,
  ImportRefused,
  type OldBatch,
  type OldSystem,
} from '../../../application/import/ports';
import { allOf } from '../../../application/schedule';
import { createBatch, type Batch } from './old-batch';
import { idOf, looksLikeOldOrder, type Document } from './old-documents';

/** Documents of a batch: with the next batch, all that is in memory. */
const LARGEST_BATCH = 2_000;
/** Enough to see what kind of system it is. */
const LOOKED_AT = 100;

const OPTIONS: mongo.MongoClientOptions = {
  appName: 'order-service-import',
  maxPoolSize: 3,
  serverSelectionTimeoutMS: 10_000,
  connectTimeoutMS: 10_000,
  // A secondary may lack the last orders before the old service stopped.
  readPreference: 'primary',
  // One broken text must not end the import: it is refused by name.
  enableUtf8Validation: false,
};

/** The database of an earlier order service. It is only read: no method here writes. */
export async function openOldDatabase(url: string): Promise<OldSystem & { close(): Promise<void> }> {
  const client = new mongo.MongoClient(url, OPTIONS);
  try {
    await client.connect();
    await expectOldSystem(client.db());
  } catch (error) {
    await client.close();
    throw unreadable(error);
  }
  return {
    batches: () => batches(client.db()),
    textOf: (source) => mongo.BSON.EJSON.stringify(source, { relaxed: false }),
    close: () => client.close(),
  };
}

function unreadable(error: unknown): ImportRefused | ImportFailed {
  if (error instanceof ImportRefused) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new ImportFailed(`the database of OLD_MONGO_URL cannot be read: ${why}`, { cause: error });
}

async function expectOldSystem(database: mongo.Db): Promise<void> {
  const documents = await database.collection<Document>('orders').find({}, { limit: LOOKED_AT }).toArray();
  const name = `the database "${database.databaseName}"`;
  if (documents.length === 0)
    throw new ImportRefused(`${name} has no orders: is OLD_MONGO_URL the right one?`);
  if (documents.some(looksLikeOldOrder)) return;
  const isOurs = documents.some(
    ({ turn, idempotencyKey }) => turn !== undefined && idempotencyKey !== undefined,
  );
  throw new ImportRefused(
    isOurs
      ? `${name} is one of this service: OLD_MONGO_URL must name the database of the old one`
      : `${name} has other orders than such a system: none has userId, status and ticket`,
  );
}

/**
 * Orders sorted by ticket and tickets sorted by id, read side by side. The server sorts, on its disk if need be: no index
 * of the old system helps, and none is made there.
 */
async function* batches(database: mongo.Db): AsyncGenerator<OldBatch> {
  const orders = cursorOver(
    database.collection<Document>('orders').aggregate<Document>([{ $sort: { ticket: 1, _id: 1 } }], {
      allowDiskUse: true,
      batchSize: LARGEST_BATCH,
    }),
  );
  const tickets = cursorOver(
    database.collection<Document>('tickets').find({}, { sort: { _id: 1 }, batchSize: LARGEST_BATCH }),
  );
  const batch = createBatch();
  try {
    await orders.advance();
    await tickets.advance();
    while (orders.current() ?? tickets.current()) {
      await takeTicket(orders, tickets, batch);
      if (batch.size() >= LARGEST_BATCH) yield batch.take();
    }
    while (batch.beginNamedOtherwise()) {
      if (batch.size() >= LARGEST_BATCH) yield batch.take();
    }
    yield batch.take();
  } catch (error) {
    throw unreadable(error);
  } finally {
    await allOf([orders.close(), tickets.close()]);
  }
}

/** Takes the next ticket with all of its orders, or one document without a valid id. */
async function takeTicket(orders: Cursor, tickets: Cursor, batch: Batch): Promise<void> {
  const ticket = tickets.current();
  const order = orders.current();
  const ticketId = ticket && idOf(ticket['_id']);
  const orderTicketId = order && idOf(order['ticket']);
  if (ticket && ticketId === undefined) {
    batch.addTicketWithoutId(ticket);
    return tickets.advance();
  }
  if (order && orderTicketId === undefined) {
    batch.addOrderWithoutTicket(order);
    return orders.advance();
  }
  const id = [ticketId, orderTicketId].filter((one) => one !== undefined).sort()[0] ?? '';
  batch.begin(id);
  if (ticket && ticketId === id) {
    batch.setCopy(ticket);
    await tickets.advance();
  }
  for (let next = order; next; next = orders.current()) {
    // An array sorts by one of its elements: it may stand between the orders of a ticket.
    const idOfNext = idOf(next['ticket']);
    if (idOfNext === undefined) batch.addOrderWithoutTicket(next);
    else if (idOfNext === id) batch.addOrder(next);
    else break;
    await orders.advance();
  }
}

type Cursor = ReturnType<typeof cursorOver>;

function cursorOver(cursor: mongo.AggregationCursor<Document> | mongo.FindCursor<mongo.WithId<Document>>) {
  let current: Document | undefined;
  return {
    /** Undefined at the end. */
    current: () => current,
    async advance(): Promise<void> {
      current = (await cursor.next()) ?? undefined;
    },
    close: () => cursor.close(),
  };
}
