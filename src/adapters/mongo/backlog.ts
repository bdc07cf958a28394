import type { FilterQuery } from 'mongoose';
import { Unavailable, type Clock, type Outbox } from '../../application/ports';
import { HAS_PENDING, NO_LEASE, type Models, type OrderDocument } from './documents';

/** A larger number is of no use to an operator, and counting the backlog of a long outage would take ever longer. */
export const MOST_COUNTED = 10_000;

/** For all ranges together: a stop of the service waits for it. */
const TIMEOUT_MS = 5_000;
const FIRST_RANGE_MS = 1_000;

/** A range of `publishing.since`. */
export interface Range {
  readonly $gt: Date;
  readonly $lte?: Date;
}

/**
 * How many orders have events to publish, and since when the oldest has. Queries narrow ranges of time, from the last
 * oldest one on: a server that reads all of a range before it applies a limit then reads the whole backlog only at the
 * first query.
 */
export function createBacklog(
  { orders }: { orders: Pick<Models['orders'], 'findOne' | 'countDocuments'> },
  clock: Pick<Clock, 'now' | 'monotonic'>,
): Outbox['backlog'] {
  let lastOldest: Date | undefined;

  return async function backlog() {
    const now = clock.now();
    const deadline = clock.monotonic() + TIMEOUT_MS;
    const checkTime = (): void => {
      if (clock.monotonic() > deadline) throw new Unavailable('counting the backlog took too long');
    };
    const oldest = await findOldest(now, checkTime);
    lastOldest = oldest;
    const pending = oldest ? await countFrom(oldest, now, checkTime) : 0;
    // They may have been published between the two queries.
    return oldest && pending > 0 ? { pending, oldest } : { pending: 0 };
  };

  async function findOldest(now: Date, checkTime: () => void): Promise<Date | undefined> {
    const ranges: readonly Range[] = lastOldest
      ? [{ $gt: NO_LEASE, $lte: lastOldest }, ...rangesFrom(lastOldest, now)]
      : [{ $gt: NO_LEASE }];
    for (const range of ranges) {
      checkTime();
      const found = await orders
        .findOne(waiting(range), { 'publishing.since': 1 })
        .sort({ 'publishing.since': 1 })
        .lean<Pick<OrderDocument, 'publishing'>>();
      if (found) return found.publishing.since;
    }
    return undefined;
  }

  async function countFrom(oldest: Date, now: Date, checkTime: () => void): Promise<number> {
    let pending = 0;
    for (const range of rangesFrom(new Date(oldest.getTime() - 1), now)) {
      checkTime();
      pending += await orders.countDocuments(waiting(range), { limit: MOST_COUNTED - pending }).exec();
      if (pending >= MOST_COUNTED) break;
    }
    return pending;
  }
}

// Orders of earlier releases have no such time and are not counted: they are soon published.
function waiting(since: Range): FilterQuery<OrderDocument> {
  return { ...HAS_PENDING, 'publishing.since': since };
}

/** Ranges for all time after `start`: each twice as long as the one before, the last one without an end. */
export function rangesFrom(start: Date, now: Date): Range[] {
  const ranges: Range[] = [];
  let from = start;
  for (let ms = FIRST_RANGE_MS; from.getTime() + ms < now.getTime(); ms *= 2) {
    const to = new Date(from.getTime() + ms);
    ranges.push({ $gt: from, $lte: to });
    from = to;
  }
  return [...ranges, { $gt: from }];
}
