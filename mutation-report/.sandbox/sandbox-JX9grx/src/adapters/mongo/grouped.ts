/**
 * Lets callers share round trips: what is asked for while a call is on its way goes together in the next one. Nothing
 * waits for a timer, so a single caller is as fast as without it.
 *
 * @param run takes a group and resolves to one result per item, in the same order; if it rejects, all of them do.
 * @param limit the largest group
 */
export function grouped<Item, Result>(
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  limit: number,
): (item: Item) => Promise<Result> {
  type Waiting = { item: Item; resolve: (result: Result) => void; reject: (error: unknown) => void };
  let waiting: Waiting[] = [];
  let busy = false;

  async function runAll(): Promise<void> {
    while (waiting.length > 0) {
      const group = waiting.slice(0, limit);
      waiting = waiting.slice(limit);
      try {
        const results = await run(group.map(({ item }) => item));
        if (results.length !== group.length) throw new RangeError('a group needs one result per item');
        group.forEach(({ resolve }, index) => resolve(results[index] as Result));
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    busy = false;
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (busy) return;
      busy = true;
      // After the other requests that arrived in the same turn, so that they come along.
      setImmediate(() => void runAll());
    });
}
