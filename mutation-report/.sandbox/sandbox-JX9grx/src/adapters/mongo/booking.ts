import { Unavailable } from '../../application/ports';
import type { Publication } from '../../application/ports';
import { backoff, pause } from '../../application/schedule';
import type { MongoConnection } from './connection';
import { NO_LEASE, PUBLICATION_FIELDS, toObjectId, toPublication } from './documents';
import type { Models, OrderDocument } from './documents';
import { grouped } from './grouped';
import type { OrderDeps } from './placing';

const LARGEST_GROUP = 200;
/** How long a booking is tried again while the database is away: what is not booked will be published once more. */
const SETTLE_WITHIN_MS = 5_000;
const RETRY = { firstMs: 50, longestMs: 500 };

/**
 * Books published events. Nearly always an order has a single event to publish: those are booked in bulk, and the
 * same write gives the lease back. Whatever does not fit into that is booked one by one.
 */
export function createBooking(
  { orders }: Models,
  connection: Pick<MongoConnection, 'ask'>,
  deps: Pick<OrderDeps, 'clock' | 'lease' | 'onRetry'>,
): (publication: Publication) => Promise<Publication | undefined> {
  const { clock, lease } = deps;
  const bookGrouped = grouped(bookAll, LARGEST_GROUP);
  const free = { 'publishing.owner': null, 'publishing.leaseUntil': NO_LEASE };

  return async function book(publication) {
    // More than one is known to be pending: the bulk would only fail.
    const isLast = publication.events.length === 1;
    if (isLast && (await bookGrouped(publication))) return undefined;
    const deadline = Math.min(publication.leaseUntil, clock.monotonic() + SETTLE_WITHIN_MS);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await connection.ask(() => bookOne(publication));
      } catch (error) {
        // Guarded by owner and position, it may be repeated whatever became of it.
        if (!(error instanceof Unavailable) || clock.monotonic() > deadline) throw error;
      }
      deps.onRetry('booking');
      await pause(clock, backoff(clock, attempt, RETRY));
    }
  };

  /** For each: whether it is certainly booked and given back. */
  async function bookAll(publications: readonly Publication[]): Promise<boolean[]> {
    const positions = new Map<number, Publication[]>();
    for (const publication of publications) {
      const seq = seqOf(publication);
      positions.set(seq, [...(positions.get(seq) ?? []), publication]);
    }
    const booked = new Set<Publication>();
    for (const [seq, group] of positions) {
      if (await bookPosition(seq, group)) for (const publication of group) booked.add(publication);
    }
    return publications.map((publication) => booked.has(publication));
  }

  /** Whether all of them are booked; false also where that is not known. */
  async function bookPosition(seq: number, group: readonly Publication[]): Promise<boolean> {
    const ids = new Set(group.map(({ orderId }) => orderId));
    try {
      const { matchedCount } = await connection.ask(() =>
        orders.collection.updateMany(
          {
            _id: { $in: [...ids].map(toObjectId) },
            'publishing.owner': lease.owner,
            'publishing.next': seq,
            // Not if something was added meanwhile: that has to be published first.
            'publishing.pending': 1,
          },
          {
            $set: { 'publishing.next': seq + 1, 'publishing.pending': 0, 'publishing.attempts': 0, ...free },
          },
        ),
      );
      return matchedCount === ids.size;
    } catch (error) {
      if (error instanceof Unavailable) return false;
      throw error;
    }
  }

  async function bookOne(publication: Publication): Promise<Publication | undefined> {
    const sentAt = clock.monotonic();
    const seq = seqOf(publication);
    const document = await orders
      .findOneAndUpdate(
        {
          _id: toObjectId(publication.orderId),
          'publishing.owner': lease.owner,
          'publishing.next': seq,
          'publishing.pending': { $gt: 0 },
        },
        {
          $inc: { 'publishing.next': 1, 'publishing.pending': -1 },
          $set: {
            'publishing.leaseUntil': new Date(clock.now().getTime() + lease.ms),
            'publishing.attempts': 0,
          },
        },
        { returnDocument: 'after', projection: PUBLICATION_FIELDS },
      )
      .lean<OrderDocument>();
    // An earlier attempt took it after all, or the lease was lost.
    if (!document) return undefined;
    if (document.publishing.pending > 0) return toPublication(document, sentAt + lease.ms);
    return giveBack(publication.orderId);
  }

  /** Unless something was added since the booking: then the lease goes on, with that. */
  async function giveBack(orderId: string): Promise<Publication | undefined> {
    const _id = toObjectId(orderId);
    const { matchedCount } = await orders.collection.updateOne(
      { _id, 'publishing.owner': lease.owner, 'publishing.pending': 0 },
      { $set: free },
    );
    if (matchedCount === 1) return undefined;
    const sentAt = clock.monotonic();
    const leaseUntil = new Date(clock.now().getTime() + lease.ms);
    const document = await orders
      .findOneAndUpdate(
        { _id, 'publishing.owner': lease.owner, 'publishing.pending': { $gt: 0 } },
        { $set: { 'publishing.leaseUntil': leaseUntil } },
        { returnDocument: 'after', projection: PUBLICATION_FIELDS },
      )
      .lean<OrderDocument>();
    return document ? toPublication(document, sentAt + lease.ms) : undefined;
  }
}

/** Of the first event of a publication: where it stands. */
export function seqOf(publication: Publication): number {
  const [first] = publication.events;
  if (!first) throw new RangeError('a publication has at least one event');
  return first.seq;
}
