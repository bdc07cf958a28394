import { Types } from 'mongoose';
import type { FilterQuery, Model } from 'mongoose';
import { Unavailable } from '../../application/ports';
import type { Models, OrderDocument, TicketDocument } from './documents';

/** Beyond that it is not counted any more: a collection may hold millions. */
const COUNTED = 1_000;

/** Documents of another service were found where this one keeps its own. Nothing of theirs may be sold, served or changed. */
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

/** Each field is set in every order of ours and has an index, which finds an order without it at once. */
const FOREIGN_ORDERS: FilterQuery<OrderDocument> = {
  $or: [{ idempotencyKey: null }, { 'ticket.id': null }, { userId: null }],
};
/** Ours have all of them, some with the value null. */
const FOREIGN_TICKETS: FilterQuery<TicketDocument> = {
  $or: [{ version: null }, { userId: { $exists: false } }, { orderId: { $exists: false } }],
};

/** Rejects with {@link ForeignData} where an order is not one of ours. */
export async function refuseForeignOrders({ orders }: Models, timeoutMS?: number): Promise<void> {
  await refuse(orders, FOREIGN_ORDERS, timeoutMS);
}

/** The same of tickets. No index answers it. */
export async function refuseForeignTickets({ tickets }: Models, timeoutMS: number): Promise<void> {
  await refuse(tickets, FOREIGN_TICKETS, timeoutMS);
}

async function refuse<T>(model: Model<T>, filter: FilterQuery<T>, timeoutMS?: number): Promise<void> {
  const options = timeoutMS === undefined ? {} : { timeoutMS };
  const found = await model.collection.findOne(filter as object, { projection: { _id: 1 }, ...options });
  if (!found) return;
  const count = await model.collection.countDocuments(filter as object, { limit: COUNTED, ...options });
  // Counted a moment later: it may be gone again.
  throw new ForeignData(model.collection.collectionName, Math.max(1, count), String(found._id));
}

/**
 * For what is read between two looks at the whole: {@link Unavailable} rather than an answer made of another service's
 * document.
 */
export function expectOwn(
  document: Pick<OrderDocument, '_id' | 'createdAt'> & { ticket?: { id?: unknown } },
): void {
  if (!(document.ticket?.id instanceof Types.ObjectId && document.createdAt)) refuseDocument(document);
}

/** The same of what only is read to change an order. */
export function expectPublishing(document: Pick<OrderDocument, '_id'> & { publishing?: object }): void {
  if (!document.publishing) refuseDocument(document);
}

function refuseDocument({ _id }: Pick<OrderDocument, '_id'>): never {
  throw new Unavailable(`the document ${String(_id)} was written by another service`);
}
