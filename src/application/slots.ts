export interface Slots {
  /**
   * Runs the work when a slot is free and the earlier work at `key` is done. Never rejects; resolves when the work is
   * done, or at once after `close`.
   */
  take(key: string, work: () => Promise<void>): Promise<void>;
  /** Whether work at the key is not done yet. */
  isAt(key: string): boolean;
  /** Whether fewer keys than `mostWaiting` wait for a slot. */
  hasRoom(): boolean;
  /** Resolves when there is room. */
  room(): Promise<void>;
  /** Takes no more work, except at keys with unfinished work; resolves when all work is done. */
  close(): Promise<void>;
}

/**
 * Runs work at a bounded number of keys concurrently, one at a time per key, first come first served.
 * @param deps.limit how many keys
 * @param deps.mostWaiting there is room while fewer keys than that wait for a slot
 */
export function createSlots(deps: {
  limit: number;
  mostWaiting: number;
  onError: (error: unknown, key: string) => void;
}): Slots {
  /** The unfinished work at each key; the first is in flight, or waits for a slot. */
  const taken = new Map<string, (() => Promise<void>)[]>();
  const waiting: string[] = [];
  let running = 0;
  let closed = false;
  let waitForRoom: (() => void)[] = [];
  let notifyDone = (): void => {};

  function take(key: string, work: () => Promise<void>): Promise<void> {
    if (closed && !taken.has(key)) return Promise.resolve();
    return new Promise((resolve) => {
      const works = taken.get(key) ?? [];
      works.push(() => reported(key, work).then(resolve));
      taken.set(key, works);
      if (works.length > 1) return;
      waiting.push(key);
      runNext();
    });
  }

  async function reported(key: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      deps.onError(error, key);
    }
  }

  const hasRoom = (): boolean => waiting.length < deps.mostWaiting;

  function runNext(): void {
    while (running < deps.limit) {
      const key = waiting.shift();
      if (key === undefined) break;
      running += 1;
      void runFirst(key);
    }
    if (hasRoom()) {
      for (const resolve of waitForRoom) resolve();
      waitForRoom = [];
    }
    if (taken.size === 0) notifyDone();
  }

  async function runFirst(key: string): Promise<void> {
    const works = taken.get(key) ?? [];
    await works[0]?.();
    running -= 1;
    works.shift();
    // Behind the other keys: much work at one key must not keep them from a slot.
    if (works.length > 0) waiting.push(key);
    else taken.delete(key);
    runNext();
  }

  return {
    take,
    isAt: (key) => taken.has(key),
    hasRoom,
    room: () =>
      hasRoom()
        ? Promise.resolve()
        : new Promise((resolve) => {
            waitForRoom.push(resolve);
          }),
    close() {
      closed = true;
      if (taken.size === 0) return Promise.resolve();
      return new Promise((resolve) => {
        notifyDone = resolve;
      });
    },
  };
}
