import { Types, type FilterQuery, type Model } from 'mongoose';
import { Unavailable } from '../../application/ports';
import type { Models, OrderDocument, TicketDocument } from './documents';

/** Counting stops here: a collection may hold millions. */
const COUNTED = 1_000;

/** Our collections hold documents of another service, which must not be sold, served or changed. */
export class ForeignData extends Error {
  readonly code = 'foreign-data';
  override readonly name = 'ForeignData';
  constructor(
    readonly collection: string,
    /** At most {@link COUNTED}. */
    readonly count: number,
    /** The `_id` of one of them. */
    readonly example: string,
  ) {
    const many = count < COUNTED ? `${count}` : `${COUNTED} or more`;
    super(
      `the database holds data of another service: ${many} ${count === 1 ? 'document' : 'documents'} in "${collection}", ` +
        `_id ${example} for example. Nothing is read or written there. ` +
        'Give this service a database of its own: name another one in MONGO_URL',
    );
  }
}

/** Every order of ours has these fields, and each is indexed: an order without one is found at once. */
const FOREIGN_ORDERS: FilterQuery<OrderDocument> = {
  $or: [{ idempotencyKey: null }, { 'ticket.id': null }, { userId: null }],
};
/** Our tickets have all of them, some with the value null. */
const FOREIGN_TICKETS: FilterQuery<TicketDocument> = {
  $or: [{ version: null }, { userId: { $exists: false } }, { orderId: { $exists: false } }],
};

/** Rejects with {@link ForeignData} if an order is not one of ours. */
export async function refuseForeignOrders({ orders }: Models, timeoutMS?: number): Promise<void> {
  await refuse(orders, FOREIGN_ORDERS, timeoutMS);
}

/** The same for tickets. No index answers it. */
export async function refuseForeignTickets({ tickets }: Models, timeoutMS: number): Promise<void> {
  await refuse(tickets, FOREIGN_TICKETS, timeoutMS);
}

async function refuse<T>(model: Model<T>, filter: FilterQuery<T>, timeoutMS?: number): Promise<void> {
  const options = timeoutMS === undefined ? {} : { timeoutMS };
  const found = await model.collection.findOne(filter as object, { projection: { _id: 1 }, ...options });
  if (!found) return;
  const count = await model.collection.countDocuments(filter as object, { limit: COUNTED, ...options });
  // Counted a moment later: the document may be deleted by then.
  throw new ForeignData(model.collection.collectionName, Math.max(1, count), String(found._id));
}

/**
 * For reads between two checks of the collection: throws {@link Unavailable} instead of using another service's
 * document.
 */
export function expectOwn(
  document: Pick<OrderDocument, '_id' | 'createdAt'> & { ticket?: { id?: unknown } },
): void {
  if (!(document.ticket?.id instanceof Types.ObjectId && document.createdAt)) refuseDocument(document);
}

/** The same for what is read only to change an order. */
export function expectPublishing(document: Pick<OrderDocument, '_id'> & { publishing?: object }): void {
  if (!document.publishing) refuseDocument(document);
}

function refuseDocument({ _id }: Pick<OrderDocument, '_id'>): never {
  throw new Unavailable(`the document ${String(_id)} was written by another service`);
}
