import { Unavailable } from '../../application/ports';
import type { Outbox, Publication } from '../../application/ports';
import { backoff, pause } from '../../application/schedule';
import type { MongoConnection } from './connection';
import { HAS_PENDING, NO_LEASE, PUBLICATION_FIELDS, toObjectId, toPublication } from './documents';
import type { Models, OrderDocument } from './documents';
import { grouped } from './grouped';
import type { OrderDeps } from './placing';

const LARGEST_GROUP = 200;
/** A booking that a crash takes with it costs one more publish of the same event. */
const LINGER = { ms: 20, enough: 32 };
/** How long a booking is tried again while the database is away: what is not booked will be published once more. */
const SETTLE_WITHIN_MS = 5_000;
const RETRY = { firstMs: 50, longestMs: 500 };

const FREE = { 'publishing.owner': null, 'publishing.leaseUntil': NO_LEASE };

/** The first `count` events of the publication were published. */
interface Published {
  readonly publication: Publication;
  readonly count: number;
}

/**
 * Books published events. Nearly always all that was to be published of an order is: that is booked in bulk, and the
 * same write gives the lease back. Whatever does not fit into that is booked one by one.
 */
export function createBooking(
  { orders }: Models,
  connection: Pick<MongoConnection, 'ask'>,
  deps: Pick<OrderDeps, 'clock' | 'lease' | 'onRetry'>,
): Outbox['book'] {
  const { clock, lease } = deps;
  const bookNow = grouped(bookAll, LARGEST_GROUP);
  const bookLater = grouped(bookAll, LARGEST_GROUP, { ...LINGER, clock });

  return async function book(publication, count, haste) {
    const published: Published = { publication, count };
    // More than that is known to be pending: the bulk would only fail.
    const isAll = publication.events.length === count;
    if (isAll && (await (haste === 'now' ? bookNow : bookLater)(published))) return undefined;
    const deadline = Math.min(publication.leaseUntil, clock.monotonic() + SETTLE_WITHIN_MS);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await connection.ask(() => bookOne(published));
      } catch (error) {
        // Guarded by owner and position, it may be repeated whatever became of it.
        if (!(error instanceof Unavailable) || clock.monotonic() > deadline) throw error;
      }
      deps.onRetry('booking');
      await pause(clock, backoff(clock, attempt, RETRY));
    }
  };

  /** For each: whether it is certainly booked and given back. */
  async function bookAll(all: readonly Published[]): Promise<boolean[]> {
    const alike = new Map<string, Published[]>();
    for (const one of all) {
      const key = `${seqOf(one.publication)} ${one.count}`;
      const group = alike.get(key);
      if (group) group.push(one);
      else alike.set(key, [one]);
    }
    const booked = new Set<Published>();
    for (const group of alike.values()) {
      if (await bookAlike(group)) for (const one of group) booked.add(one);
    }
    return all.map((one) => booked.has(one));
  }

  /** Of publications at the same position with as many events. Whether all are booked; false also where that is not known. */
  async function bookAlike(group: readonly Published[]): Promise<boolean> {
    const [first] = group;
    if (!first) return true;
    const ids = new Set(group.map(({ publication }) => publication.orderId));
    const seq = seqOf(first.publication);
    try {
      const { matchedCount } = await connection.ask(() =>
        orders.collection.updateMany(
          {
            _id: { $in: [...ids].map(toObjectId) },
            'publishing.owner': lease.owner,
            'publishing.next': seq,
            // Not if something was added meanwhile: that has to be published first.
            'publishing.pending': first.count,
          },
          {
            $set: {
              'publishing.next': seq + first.count,
              'publishing.pending': 0,
              'publishing.attempts': 0,
              ...FREE,
            },
          },
        ),
      );
      return matchedCount === ids.size;
    } catch (error) {
      if (error instanceof Unavailable) return false;
      throw error;
    }
  }

  async function bookOne({ publication, count }: Published): Promise<Publication | undefined> {
    const sentAt = clock.monotonic();
    const seq = seqOf(publication);
    const document = await orders
      .findOneAndUpdate(
        {
          _id: toObjectId(publication.orderId),
          'publishing.owner': lease.owner,
          'publishing.next': seq,
          'publishing.pending': { $gte: count },
        },
        {
          $inc: { 'publishing.next': count, 'publishing.pending': -count },
          $set: {
            'publishing.leaseUntil': new Date(clock.now().getTime() + lease.ms),
            'publishing.attempts': 0,
            // Those that are not known here were added while these were published.
            'publishing.since': publication.events[count]?.at ?? clock.now(),
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
      { $set: FREE },
    );
    if (matchedCount === 1) return undefined;
    const sentAt = clock.monotonic();
    const leaseUntil = new Date(clock.now().getTime() + lease.ms);
    const document = await orders
      .findOneAndUpdate(
        { _id, 'publishing.owner': lease.owner, ...HAS_PENDING },
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
