import type { Connection } from 'mongoose';
import { ImportFailed } from '../../../application/import/ports';
import type { Clock } from '../../../application/ports';
import { createLoop, pause } from '../../../application/schedule';
import { databaseTime } from '../database-clock';
import { isDuplicateKey } from '../errors';

const LEASE_MS = 20_000;
const RENEW_EVERY_MS = 4_000;
/** Work stops this long before the lease ends: a write in flight must end within it. */
export const MARGIN_MS = 10_000;

/** How often a running service looks for the marker, and how long one look may take. */
export const LOOK_FOR_IMPORT_EVERY_MS = 5_000;
const LOOK_TIMEOUT_MS = 5_000;
/**
 * An import that has written the marker waits for this long. The last look without it ends within 5 seconds, the next one
 * begins at most 7.5 seconds later and ends within 5, and 20 seconds after the last one nothing is begun without another; an
 * order that the service is placing then is stored within 15 seconds, or not at all. An order that is placed nevertheless is
 * found at the end, and the import is refused.
 */
export const UNTIL_SERVICES_STOP_MS = 40_000;

/** The one document of `imports`: whether an import is unfinished, and which process works on it. */
interface Marker {
  readonly _id: 'orders';
  readonly unfinished: boolean;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
  readonly owner: string | null;
  readonly leaseUntil: Date;
}

const FREE = { owner: null, leaseUntil: new Date(0) };

/** Another import may have taken over. */
class LeaseLost extends ImportFailed {
  constructor() {
    super('this import does not hold its lease any more: run it again');
  }
}

/** An import into this database is unfinished: orders that hold tickets are missing. */
export class UnfinishedImport extends Error {
  readonly code = 'unfinished-import';
  override readonly name = 'UnfinishedImport';
  constructor(readonly startedAt: Date) {
    super(
      `an import into it is unfinished since ${startedAt.toISOString()}. Nothing is read or written there. ` +
        'Run `order-service import` again, until it ends',
    );
  }
}

/** Rejects with {@link UnfinishedImport} while an import is unfinished. */
export async function refuseUnfinishedImport(connection: Connection): Promise<void> {
  const marker = await findUnfinished(connection, { timeoutMS: LOOK_TIMEOUT_MS });
  if (marker) throw new UnfinishedImport(marker.startedAt);
}

/** Marks a database as imported into. One process at a time holds the marker, under a lease. */
export function createMarker(
  connection: Connection,
  { owner, clock }: { owner: string; clock: Pick<Clock, 'monotonic' | 'after' | 'random'> },
) {
  /** By the monotonic clock, counted from before the request. */
  let heldUntil = -Infinity;
  let wasUnfinished = false;
  /** An order or a ticket may have been written under the lease. */
  let hasWritten = false;
  const renewing = createLoop({
    clock,
    everyMs: RENEW_EVERY_MS,
    task: renew,
    // The next run is the retry; writes stop before the lease ends.
    onError: () => {},
  });

  async function take(): Promise<void> {
    const sentAt = clock.monotonic();
    const now = await databaseTime(connection);
    const before = await markers(connection).findOneAndUpdate(
      { _id: 'orders', $or: [{ leaseUntil: { $lte: now } }, { owner }] },
      {
        $set: { unfinished: true, startedAt: now, finishedAt: null, owner, leaseUntil: until(now) },
      },
      { upsert: true, returnDocument: 'before' },
    );
    heldUntil = sentAt + LEASE_MS;
    wasUnfinished = before?.unfinished === true;
    renewing.start();
  }

  async function renew(): Promise<void> {
    const sentAt = clock.monotonic();
    const leaseUntil = until(await databaseTime(connection));
    const { matchedCount } = await markers(connection).updateOne(
      { _id: 'orders', owner },
      { $set: { leaseUntil } },
    );
    heldUntil = matchedCount === 1 ? sentAt + LEASE_MS : -Infinity;
  }

  async function finish(): Promise<void> {
    await expectHeld();
    await renewing.stop();
    const finishedAt = await databaseTime(connection);
    const { matchedCount } = await markers(connection).updateOne(
      { _id: 'orders', owner },
      { $set: { unfinished: false, finishedAt, ...FREE } },
    );
    if (matchedCount === 0) throw new LeaseLost();
    heldUntil = -Infinity;
  }

  async function expectHeld(): Promise<void> {
    const isShort = () => clock.monotonic() + MARGIN_MS > heldUntil;
    if (isShort()) await renew();
    if (isShort()) throw new LeaseLost();
  }

  return {
    isUnfinished: async () => (await findUnfinished(connection)) !== null,
    /**
     * Rejects with {@link ImportFailed} if another import runs; waits for the lease of one that was killed. Resolves to
     * whether an import was unfinished before.
     */
    async begin(onWait: (text: string) => void): Promise<boolean> {
      let seen: number | undefined;
      for (;;) {
        try {
          await take();
          return wasUnfinished;
        } catch (error) {
          if (!isDuplicateKey(error)) throw error;
        }
        const marker = await markers(connection).findOne({ _id: 'orders' });
        const leaseUntil = marker?.leaseUntil.getTime() ?? 0;
        if (seen !== undefined && leaseUntil > seen) {
          throw new ImportFailed('another import into this database is running');
        }
        if (seen === undefined) onWait('another import may be running here: waiting until its lease ends');
        seen = leaseUntil;
        await pause(clock, RENEW_EVERY_MS * 2);
      }
    },
    /** Before each write. Rejects with {@link LeaseLost} unless one that begins now ends under the lease. */
    async hold(): Promise<void> {
      await expectHeld();
      hasWritten = true;
    },
    finish,
    /**
     * Gives the lease back, so that the next import need not wait for its end. If nothing was written, the import is as
     * unfinished as it was before {@link begin}: a service that uses the database goes on.
     */
    async release(): Promise<void> {
      await renewing.stop();
      if (heldUntil === -Infinity) return;
      heldUntil = -Infinity;
      const unfinished = hasWritten || wasUnfinished;
      await markers(connection).updateOne({ _id: 'orders', owner }, { $set: { unfinished, ...FREE } });
    },
  };
}

function until(now: Date): Date {
  return new Date(now.getTime() + LEASE_MS);
}

function findUnfinished(connection: Connection, options?: { timeoutMS: number }): Promise<Marker | null> {
  return markers(connection).findOne({ _id: 'orders', unfinished: true }, options);
}

function markers(connection: Connection) {
  return connection.collection<Marker>('imports');
}
