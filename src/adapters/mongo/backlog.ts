import type { FilterQuery } from 'mongoose';
import type { Clock } from '../../application/ports';
import { NO_LEASE } from './documents';
import type { Models, OrderDocument } from './documents';

/** More than that makes no difference to whoever looks, and counting all of a long outage would take ever longer. */
export const MOST_COUNTED = 10_000;

const FIRST_RANGE_MS = 1_000;

/** Of times. */
interface Range {
  readonly $gt: Date;
  readonly $lte?: Date;
}

/**
 * How many orders have something to publish, and since when the oldest of them has. What it costs does not grow with the
 * backlog, also on a server that reads all of a range before it applies a limit: it looks at narrow ranges of time, and
 * begins with the oldest one that was found last.
 */
export function createBacklog(
  { orders }: Models,
  clock: Pick<Clock, 'now'>,
): () => Promise<{ pending: number; oldest?: Date }> {
  let lastOldest: Date | undefined;

  // Of orders of earlier releases the time is not known: they are soon published.
  const waiting = (since: Range): FilterQuery<OrderDocument> => ({
    'publishing.pending': { $gt: 0 },
    'publishing.since': since,
  });

  async function findOldest(now: Date): Promise<Date | undefined> {
    const ranges = lastOldest
      ? [{ $gt: NO_LEASE, $lte: lastOldest }, ...rangesFrom(lastOldest, now)]
      : [{ $gt: NO_LEASE }];
    for (const range of ranges) {
      const found = await orders
        .findOne(waiting(range), { 'publishing.since': 1 })
        .sort({ 'publishing.since': 1 })
        .lean<Pick<OrderDocument, 'publishing'>>();
      if (found) return found.publishing.since;
    }
    return undefined;
  }

  async function countFrom(oldest: Date, now: Date): Promise<number> {
    let pending = 0;
    for (const range of rangesFrom(new Date(oldest.getTime() - 1), now)) {
      pending += await orders.countDocuments(waiting(range), { limit: MOST_COUNTED - pending }).exec();
      if (pending >= MOST_COUNTED) break;
    }
    return pending;
  }

  return async function backlog() {
    const now = clock.now();
    const oldest = await findOldest(now);
    lastOldest = oldest;
    return oldest ? { pending: await countFrom(oldest, now), oldest } : { pending: 0 };
  };
}

/** All that is later than `start`, each range twice as long as the one before. */
function rangesFrom(start: Date, now: Date): Range[] {
  const ranges: Range[] = [];
  let from = start;
  for (let ms = FIRST_RANGE_MS; from.getTime() + ms < now.getTime(); ms *= 2) {
    const to = new Date(from.getTime() + ms);
    ranges.push({ $gt: from, $lte: to });
    from = to;
  }
  return [...ranges, { $gt: from }];
}
