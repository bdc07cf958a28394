import { Unavailable, type Outbox, type PublishingLease } from '../../application/ports';
import { unknownIfUnavailable, untilKnown } from '../../application/schedule';
import type { MongoConnection } from './connection';
import {
  HAS_PENDING,
  NO_LEASE,
  LEASE_FIELDS,
  toObjectId,
  toLease,
  type Models,
  type OrderDocument,
} from './documents';
import { grouped } from './grouped';
import type { OrderDeps } from './placing';

const LARGEST_GROUP = 200;
/** A mark that is lost in a crash costs one more publish of the same event. */
const LINGER = { ms: 20, enough: 32 };
/** How long a mark is retried while the database is unavailable: unmarked events are published once more. */
const SETTLE_WITHIN_MS = 5_000;
const RETRY = { firstMs: 50, longestMs: 500 };

const FREE = { 'publishing.owner': null, 'publishing.leaseUntil': NO_LEASE };

/** The first `count` events of the lease were published. */
interface Published {
  readonly lease: PublishingLease;
  readonly count: number;
}

/**
 * Marks events as published. Nearly always all pending events of an order are published: such orders are marked in
 * bulk, and the same write gives the lease back. All others are marked one by one.
 */
export function createMarkPublished(
  { orders }: Models,
  connection: Pick<MongoConnection, 'ask'>,
  deps: Pick<OrderDeps, 'clock' | 'leasing' | 'onRetry'>,
): Outbox['markPublished'] {
  const { clock, leasing } = deps;
  const markNow = grouped(markAll, LARGEST_GROUP);
  const markLater = grouped(markAll, LARGEST_GROUP, { ...LINGER, clock });

  return async function markPublished(lease, count, haste) {
    const published: Published = { lease, count };
    // If more events are known to be pending, the bulk would only fail.
    const isAll = lease.events.length === count;
    if (isAll && (await (haste === 'now' ? markNow : markLater)(published))) return undefined;
    // Guarded by owner and position, so it can be repeated after any outcome.
    let cause: unknown;
    const markOnce = () =>
      connection
        .ask(() => markOne(published))
        .then(
          (rest) => ({ rest }),
          (error: unknown) => unknownIfUnavailable((cause = error)),
        );
    const known = await untilKnown(markOnce, {
      clock,
      withinMs: Math.min(SETTLE_WITHIN_MS, lease.leaseUntil - clock.monotonic()),
      pauses: RETRY,
      onRetry: () => deps.onRetry('booking'),
    });
    if (!known) throw new Unavailable('whether the events are marked as published is not known', { cause });
    return known.rest;
  };

  /** For each: whether it is certainly marked, and its lease given back. */
  async function markAll(all: readonly Published[]): Promise<boolean[]> {
    const alike = new Map<string, Published[]>();
    for (const one of all) {
      const key = `${seqOf(one.lease)} ${one.count}`;
      const group = alike.get(key);
      if (group) group.push(one);
      else alike.set(key, [one]);
    }
    const marked = new Set<Published>();
    for (const group of alike.values()) {
      if (await markAlike(group)) for (const one of group) marked.add(one);
    }
    return all.map((one) => marked.has(one));
  }

  /** Marks leases at the same position with as many events. False also if the outcome is not known. */
  async function markAlike(group: readonly Published[]): Promise<boolean> {
    const [first] = group;
    if (!first) return true;
    const ids = new Set(group.map(({ lease }) => lease.orderId));
    const seq = seqOf(first.lease);
    try {
      const { matchedCount } = await connection.ask(() =>
        orders.collection.updateMany(
          {
            _id: { $in: [...ids].map(toObjectId) },
            'publishing.owner': leasing.owner,
            'publishing.next': seq,
            // Not if events were added meanwhile: they must be published first.
            'publishing.pending': first.count,
          },
          {
            $set: {
              'publishing.next': seq + first.count,
              'publishing.pending': 0,
              'publishing.attempts': 0,
              ...FREE,
            },
            $push: publishedNow(seq, first.count),
          },
        ),
      );
      return matchedCount === ids.size;
    } catch (error) {
      return unknownIfUnavailable(error) ?? false;
    }
  }

  function publishedNow(firstSeq: number, count: number) {
    const at = clock.now();
    const times = Array.from({ length: count }, (_, index) => ({ seq: firstSeq + index, at }));
    return { published: { $each: times } } as object;
  }

  async function markOne({ lease, count }: Published): Promise<PublishingLease | undefined> {
    const sentAt = clock.monotonic();
    const seq = seqOf(lease);
    const document = await orders
      .findOneAndUpdate(
        {
          _id: toObjectId(lease.orderId),
          'publishing.owner': leasing.owner,
          'publishing.next': seq,
          'publishing.pending': { $gte: count },
        },
        {
          $inc: { 'publishing.next': count, 'publishing.pending': -count },
          $set: {
            'publishing.leaseUntil': new Date(clock.now().getTime() + leasing.ms),
            'publishing.attempts': 0,
            // Events that are not known here were added while these were published.
            'publishing.since': lease.events[count]?.at ?? clock.now(),
          },
          $push: publishedNow(seq, count),
        },
        { returnDocument: 'after', projection: LEASE_FIELDS },
      )
      .lean<OrderDocument>();
    // An earlier attempt succeeded after all, or the lease was lost.
    if (!document) return undefined;
    if (document.publishing.pending > 0) return toLease(document, sentAt + leasing.ms);
    return giveBack(lease.orderId);
  }

  /** Gives the lease back, unless events were added since the mark: then renews it with those. */
  async function giveBack(orderId: string): Promise<PublishingLease | undefined> {
    const _id = toObjectId(orderId);
    const { matchedCount } = await orders.collection.updateOne(
      { _id, 'publishing.owner': leasing.owner, 'publishing.pending': 0 },
      { $set: FREE },
    );
    if (matchedCount === 1) return undefined;
    const sentAt = clock.monotonic();
    const leaseUntil = new Date(clock.now().getTime() + leasing.ms);
    const document = await orders
      .findOneAndUpdate(
        { _id, 'publishing.owner': leasing.owner, ...HAS_PENDING },
        { $set: { 'publishing.leaseUntil': leaseUntil } },
        { returnDocument: 'after', projection: LEASE_FIELDS },
      )
      .lean<OrderDocument>();
    return document ? toLease(document, sentAt + leasing.ms) : undefined;
  }
}

/** The `seq` of the first event of a lease. */
export function seqOf(lease: PublishingLease): number {
  const [first] = lease.events;
  if (!first) throw new RangeError('a lease has at least one event');
  return first.seq;
}
