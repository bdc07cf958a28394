import type { Clock } from '../../application/ports';

const SAMPLES = 3;

export interface DatabaseClock {
  now(): Date;
  /** Compares with the database once more. */
  synchronise(): Promise<void>;
}

/**
 * Database time without asking for it each time: the difference between the database's clock and this process's
 * monotonic one, which does not jump when somebody sets the clock of this machine.
 *
 * @param askTime the database's time, in one round trip
 */
export function createDatabaseClock(
  clock: Pick<Clock, 'monotonic'>,
  askTime: () => Promise<Date>,
): DatabaseClock {
  // Until the database has been asked, and nothing can be stored yet, this machine's clock has to do.
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
