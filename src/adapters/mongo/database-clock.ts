import type { Connection } from 'mongoose';
import type { Clock } from '../../application/ports';

const SAMPLES = 3;

export interface DatabaseClock {
  now(): Date;
  /** Compares the clocks again. */
  synchronise(): Promise<void>;
}

/**
 * Database time without a query each time: the difference between the database's clock and this process's monotonic
 * one, which does not jump when this machine's clock is set.
 * @param askTime the database's time, in one round trip
 */
export function createDatabaseClock(
  clock: Pick<Clock, 'monotonic'>,
  askTime: () => Promise<Date>,
): DatabaseClock {
  // This machine's clock, until the database has been asked: nothing can be stored before that.
  let offset = Date.now() - clock.monotonic();

  return {
    now: () => new Date(offset + clock.monotonic()),
    async synchronise() {
      let shortest = Infinity;
      let best = offset;
      for (let i = 0; i < SAMPLES; i += 1) {
        const sentAt = clock.monotonic();
        const time = await askTime();
        const roundTrip = clock.monotonic() - sentAt;
        if (roundTrip >= shortest) continue;
        shortest = roundTrip;
        best = time.getTime() - (sentAt + roundTrip / 2);
      }
      offset = best;
    },
  };
}

/** The database's time, in one round trip. */
export async function databaseTime(connection: Connection): Promise<Date> {
  const { localTime } = await connection.getClient().db().command({ hello: 1 });
  return localTime as Date;
}
