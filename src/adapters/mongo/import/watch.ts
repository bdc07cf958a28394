import { Unavailable, type Clock } from '../../../application/ports';
import { createLoop } from '../../../application/schedule';
import type { MongoConnection } from '../connection';
import { LOOK_FOR_IMPORT_EVERY_MS, refuseUnfinishedImport } from './marker';

/** Longer than from one look to the end of the next one, and well within the time that an import waits for services. */
const LOOK_COUNTS_FOR_MS = 20_000;

/**
 * Looks for an unfinished import again and again. A process that was frozen, or whose looks fail, may have missed one: without
 * a recent look nothing is asked of the database.
 */
export function createImportWatch(
  connection: MongoConnection,
  {
    clock,
    onError,
  }: { clock: Pick<Clock, 'monotonic' | 'after' | 'random'>; onError: (error: unknown) => void },
) {
  /** When the last look that succeeded was begun. */
  let lookedAt = -Infinity;
  let looking: Promise<void> | undefined;
  // By itself: an import waits for a limited time, whatever the other checks wait for.
  const loop = createLoop({
    clock,
    everyMs: LOOK_FOR_IMPORT_EVERY_MS,
    task: () => connection.ask(look),
    onError,
  });

  function isRecent(): boolean {
    return clock.monotonic() - lookedAt <= LOOK_COUNTS_FOR_MS;
  }

  /** Rejects with {@link UnfinishedImport}. */
  async function look(): Promise<void> {
    const begunAt = clock.monotonic();
    await refuseUnfinishedImport(connection.mongoose);
    lookedAt = begunAt;
  }

  /** One look for all who wait for it. */
  async function lookAgain(): Promise<void> {
    looking ??= connection.ask(look).finally(() => (looking = undefined));
    try {
      await looking;
    } catch (error) {
      onError(error);
      throw new Unavailable('the database may have an unfinished import', { cause: error });
    }
    if (!isRecent()) throw new Unavailable('looking for an unfinished import took too long');
  }

  return {
    look,
    start: loop.start,
    stop: loop.stop,
    /** The connection, ready only with a recent look. An operation without one waits for a look. */
    guarded: {
      ...connection,
      ready: () => connection.ready() && isRecent(),
      async ask<T>(operation: () => Promise<T>): Promise<T> {
        if (connection.ready() && !isRecent()) await lookAgain();
        return connection.ask(operation);
      },
    } satisfies MongoConnection,
  };
}
