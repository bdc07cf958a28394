import type { FilterQuery } from 'mongoose';
import type { Outbox, Publication } from '../../application/ports';
import { createBooking, seqOf } from './booking';
import type { MongoConnection } from './connection';
import { PUBLICATION_FIELDS, toObjectId, toPublication } from './documents';
import type { Models, OrderDocument } from './documents';
import { grouped } from './grouped';
import { PENDING_OF_TICKET } from './indexes';
import type { OrderDeps } from './placing';

const LARGEST_GROUP = 200;

export function createOutbox(
  models: Models,
  connection: Pick<MongoConnection, 'ask'>,
  deps: OrderDeps,
): Outbox {
  const { orders } = models;
  const { ask } = connection;
  const { clock, lease } = deps;
  const hasPending: FilterQuery<OrderDocument> = { 'publishing.pending': { $gt: 0 } };
  const isFree = (): FilterQuery<OrderDocument> => ({ 'publishing.leaseUntil': { $lte: clock.now() } });

  async function pendingBeforeEach(
    asked: readonly { ticketId: string; turn: number }[],
  ): Promise<string[][]> {
    const tickets = [...new Set(asked.map(({ ticketId }) => ticketId))].map(toObjectId);
    const found = await orders
      .find({ 'ticket.id': { $in: tickets }, ...hasPending }, { 'ticket.id': 1, turn: 1 })
      // Another index would let a booking hide an order from the scan.
      .hint(PENDING_OF_TICKET)
      .readConcern('majority')
      .lean<Pick<OrderDocument, '_id' | 'ticket' | 'turn'>[]>();
    // A booking that a crash undoes would be published again, after the event that waited for it.
    await deps.confirmReads();
    return asked.map(({ ticketId, turn }) =>
      found
        .filter((other) => other.turn < turn && other.ticket.id.toHexString() === ticketId)
        .map(({ _id }) => _id.toHexString()),
    );
  }

  async function claimable(limit: number): Promise<string[]> {
    const found = await orders
      .find({ ...hasPending, ...isFree() }, { _id: 1 })
      .limit(limit)
      .lean();
    return found.map(({ _id }) => _id.toHexString());
  }

  async function claim(orderId: string): Promise<Publication | undefined> {
    const sentAt = clock.monotonic();
    const leaseUntil = new Date(clock.now().getTime() + lease.ms);
    const document = await orders
      .findOneAndUpdate(
        { _id: toObjectId(orderId), ...hasPending, ...isFree() },
        { $set: { 'publishing.owner': lease.owner, 'publishing.leaseUntil': leaseUntil } },
        { returnDocument: 'after', projection: PUBLICATION_FIELDS },
      )
      .lean<OrderDocument>();
    return document ? toPublication(document, sentAt + lease.ms) : undefined;
  }

  async function release(publication: Publication, delayMs: number, attempts: number): Promise<void> {
    await orders.collection.updateOne(
      {
        _id: toObjectId(publication.orderId),
        'publishing.owner': lease.owner,
        'publishing.next': seqOf(publication),
      },
      {
        $set: {
          'publishing.owner': null,
          'publishing.leaseUntil': new Date(clock.now().getTime() + delayMs),
          'publishing.attempts': attempts,
        },
      },
    );
  }

  async function backlog(): Promise<{ pending: number; oldest?: Date }> {
    const [found] = await orders.aggregate<{ pending: number; oldest: Date | null }>([
      { $match: hasPending },
      { $project: { event: { $arrayElemAt: ['$outbox', '$publishing.next'] } } },
      { $group: { _id: null, pending: { $sum: 1 }, oldest: { $min: '$event.at' } } },
    ]);
    if (!found) return { pending: 0 };
    return { pending: found.pending, ...(found.oldest ? { oldest: found.oldest } : {}) };
  }

  const pendingBefore = grouped(pendingBeforeEach, LARGEST_GROUP);

  return {
    pendingBefore: (ticketId, turn) => ask(() => pendingBefore({ ticketId, turn })),
    claimable: (limit) => ask(() => claimable(limit)),
    claim: (orderId) => ask(() => claim(orderId)),
    book: createBooking(models, connection, deps),
    release: (publication, delayMs, attempts) => ask(() => release(publication, delayMs, attempts)),
    backlog: () => ask(backlog),
  };
}
