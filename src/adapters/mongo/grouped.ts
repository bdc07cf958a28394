import type { Cancel, Clock } from '../../application/ports';

/** Keeps items until there are `enough`, for `ms` at the longest. */
export interface Linger {
  readonly ms: number;
  readonly enough: number;
  readonly clock: Pick<Clock, 'after'>;
}

/**
 * Lets callers share round trips: items that arrive during a call go together into the next one. Without `linger`
 * nothing waits for a timer, so a single caller is as fast as without grouping.
 * @param run takes a group and resolves to one result per item, in the same order; if it rejects, all of them do.
 * @param limit the largest group
 */
export function grouped<Item, Result>(
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  limit: number,
  linger?: Linger,
): (item: Item) => Promise<Result> {
  type Waiting = { item: Item; resolve: (result: Result) => void; reject: (error: unknown) => void };
  const enough = linger?.enough ?? 1;
  let waiting: Waiting[] = [];
  let busy = false;
  let cancelTimer: Cancel | undefined;

  function runSoon(): void {
    if (busy || waiting.length === 0) return;
    if (linger && waiting.length < enough) {
      cancelTimer ??= linger.clock.after(linger.ms, () => void runAll());
      return;
    }
    busy = true;
    // After the other requests of the same turn of the event loop, to include them.
    setImmediate(() => void runAll());
  }

  async function runAll(): Promise<void> {
    busy = true;
    cancelTimer?.();
    cancelTimer = undefined;
    do {
      const group = waiting.slice(0, limit);
      waiting = waiting.slice(limit);
      await runGroup(group);
    } while (waiting.length >= enough);
    busy = false;
    runSoon();
  }

  async function runGroup(group: readonly Waiting[]): Promise<void> {
    try {
      const results = await run(group.map(({ item }) => item));
      if (results.length !== group.length) throw new RangeError('a group needs one result per item');
      group.forEach(({ resolve }, index) => resolve(results[index] as Result));
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      runSoon();
    });
}
