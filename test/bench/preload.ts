import { mongo } from 'mongoose';
import { HAS_PENDING, NO_LEASE } from '../../src/adapters/mongo/documents';

const { ObjectId } = mongo;

/** Whose documents are written: each contender has its own shape. */
export type Shape = 'ours' | 'floor' | 'usual';

/** An order that was preloaded, and whose it is. */
export interface KnownOrder {
  readonly id: string;
  readonly userId: string;
}

const BATCH = 1_000;
const BATCHES_AT_ONCE = 4;
/** Some of the preloaded orders, all over the collection, are what is asked for later. */
const KNOWN = 1_000;
const TITLE = 'A concert';
const PRICE = 12.5;
/** Orders of ours with events to publish, in the words of the index of how long they wait. */
export const UNPUBLISHED = { ...HAS_PENDING, 'publishing.since': { $gt: NO_LEASE } };

/** Stores tickets that nobody has ordered and resolves to their ids. */
export async function addTickets(db: mongo.Db, shape: Shape, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => new ObjectId());
  await insert(db.collection('tickets'), count, (index) => ({
    _id: ids[index]!,
    version: 0,
    title: TITLE,
    price: PRICE,
    ...(shape === 'ours' ? { userId: 'seller', orderId: null } : {}),
  }));
  return ids.map((id) => id.toHexString());
}

/**
 * Stores orders of distinct tickets, so many for each user, and resolves to some of them. `pending`: their first event is
 * still to be published; else they are paid, so that nothing is left to do for them.
 */
export async function addOrders(
  db: mongo.Db,
  shape: Shape,
  { count, perUser, pending = false }: { count: number; perUser: number; pending?: boolean },
): Promise<KnownOrder[]> {
  const known: KnownOrder[] = [];
  const stride = Math.max(1, Math.floor(count / KNOWN));
  // At another place in each stride: else they would be of a few users only.
  const isKnown = (index: number): boolean => index % stride === Math.floor(index / stride) % stride;
  const firstCreatedAt = Date.now() - count;
  const users = Math.max(1, Math.floor(count / perUser));
  await insert(db.collection('orders'), count, (index) => {
    const _id = new ObjectId();
    const userId = `user-${index % users}`;
    if (isKnown(index)) known.push({ id: _id.toHexString(), userId });
    const order = { _id, userId, createdAt: new Date(firstCreatedAt + index), pending };
    return shape === 'ours' ? ourOrder(order) : otherOrder(shape, order);
  });
  return known;
}

interface NewOrder {
  readonly _id: mongo.ObjectId;
  readonly userId: string;
  readonly createdAt: Date;
  readonly pending: boolean;
}

/** As the service stores it. */
function ourOrder({ _id, userId, createdAt, pending }: NewOrder): mongo.Document {
  const id = _id.toHexString();
  const expiresAt = new Date(createdAt.getTime() + 900_000);
  const ticketId = new ObjectId();
  const announced = { id, version: 0, status: 'created', userId, expiresAt };
  return {
    _id,
    version: pending ? 0 : 1,
    userId,
    status: pending ? 'created' : 'complete',
    createdAt,
    expiresAt,
    ticket: { id: ticketId, title: TITLE, price: PRICE },
    turn: 0,
    idempotencyKey: id,
    payments: pending ? [] : [{ id: `payment-${id}`, stripeId: `ch_${id}`, at: createdAt }],
    outbox: [
      {
        seq: 0,
        subject: 'order:created',
        data: JSON.stringify({ ...announced, ticket: { id: ticketId, price: PRICE } }),
        at: createdAt,
      },
    ],
    publishing: {
      next: pending ? 0 : 1,
      pending: pending ? 1 : 0,
      leaseUntil: NO_LEASE,
      owner: null,
      attempts: 0,
      since: createdAt,
    },
  };
}

function otherOrder(shape: 'floor' | 'usual', { _id, userId, createdAt }: NewOrder): mongo.Document {
  const ticketId = new ObjectId();
  const order = {
    _id,
    version: 0,
    userId,
    status: 'complete',
    expiresAt: new Date(createdAt.getTime() + 900_000),
  };
  return shape === 'usual'
    ? { ...order, ticket: ticketId }
    : { ...order, createdAt, ticket: { id: ticketId, title: TITLE, price: PRICE } };
}

/** In batches, some at a time. Not each is flushed: the last one waits for the journal, and so for those before it. */
async function insert(
  collection: mongo.Collection,
  count: number,
  document: (index: number) => mongo.Document,
): Promise<void> {
  let next = 0;
  async function insertBatches(): Promise<void> {
    while (next < count) {
      const first = next;
      next = Math.min(count, first + BATCH);
      const documents = Array.from({ length: next - first }, (_, index) => document(first + index));
      await collection.insertMany(documents, {
        ordered: false,
        writeConcern: { w: 1, journal: next === count },
      });
    }
  }
  await Promise.all(Array.from({ length: BATCHES_AT_ONCE }, insertBatches));
}
