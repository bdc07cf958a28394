import { mongo } from 'mongoose';

const { ObjectId } = mongo;

export type OldStatus = 'created' | 'awaiting:payment' | 'complete' | 'cancelled';
type Document = mongo.BSON.Document;

/** Two days ago. */
const BEGINNING = Math.floor(Date.now() / 1000) - 2 * 24 * 3600;
let made = 0;

/** An id that was made after all others, as by an old service of that time. */
export function oldId(): mongo.ObjectId {
  made += 1;
  const second = (BEGINNING + made).toString(16).padStart(8, '0');
  return new ObjectId(second + new ObjectId().toHexString().slice(8));
}

/** A ticket as an earlier order service of such a system stores its copy. */
export function oldTicket(more: Document = {}): Document & { _id: mongo.ObjectId } {
  return { _id: oldId(), title: 'Concert', price: 20, version: 0, ...more };
}

/** An order as an earlier order service of such a system stores it. */
export function oldOrder(
  ticket: mongo.ObjectId,
  status: OldStatus,
  more: Document = {},
): Document & { _id: mongo.ObjectId } {
  const _id = oldId();
  return {
    _id,
    userId: 'buyer',
    status,
    expiresAt: new Date(_id.getTimestamp().getTime() + 900_000),
    ticket,
    version: status === 'created' ? 0 : 1,
    ...more,
  };
}

/** A database on this server, as an earlier order service leaves it. */
export async function createOldDatabase(url: string, content: { orders: Document[]; tickets: Document[] }) {
  const client = await mongo.MongoClient.connect(url);
  const database = client.db();
  const orders = database.collection('orders');
  const tickets = database.collection('tickets');
  if (content.orders.length > 0) await orders.insertMany(content.orders);
  if (content.tickets.length > 0) await tickets.insertMany(content.tickets);
  return { url, orders, tickets, content: () => wholeContent(database), close: () => client.close() };
}

/** All documents and indexes of a database. */
export async function wholeContent(database: mongo.Db): Promise<unknown> {
  const collections = await database.listCollections().toArray();
  return Promise.all(
    collections
      .map(({ name }) => name)
      .sort()
      .map(async (name) => ({
        name,
        documents: await database.collection(name).find().sort({ _id: 1 }).toArray(),
        indexes: await database.collection(name).indexes(),
      })),
  );
}
