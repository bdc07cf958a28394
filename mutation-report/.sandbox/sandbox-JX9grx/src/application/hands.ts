export interface Hands {
  /**
   * Works at `key` when a hand is free. While one is at this key already, nothing is begun; instead `again` runs
   * once that hand is done, for it may not see what is new. Never rejects; resolves when the work is done or left
   * to the other hand.
   */
  take(key: string, work: () => Promise<void>, again: (key: string) => Promise<void>): Promise<void>;
  /** Nothing more is taken; resolves when what was taken is done. */
  close(): Promise<void>;
}

/** A bounded number of keys are worked at side by side, each by one hand at a time, first come first served. */
export function createHands(deps: { limit: number; onError: (error: unknown, key: string) => void }): Hands {
  const waiting: (() => Promise<void>)[] = [];
  /** Keys that a hand is at, and what to run afterwards because something new came meanwhile. */
  const busy = new Map<string, (() => void) | undefined>();
  let running = 0;
  let closed = false;
  let notifyIdle = (): void => {};

  function take(
    key: string,
    work: () => Promise<void>,
    again: (key: string) => Promise<void>,
  ): Promise<void> {
    if (closed) return Promise.resolve();
    return new Promise((resolve) => {
      waiting.push(() => oneHand(key, work, again).finally(resolve));
      runNext();
    });
  }

  async function oneHand(
    key: string,
    work: () => Promise<void>,
    again: (key: string) => Promise<void>,
  ): Promise<void> {
    if (busy.has(key)) {
      busy.set(key, () => void take(key, () => again(key), again));
      return;
    }
    busy.set(key, undefined);
    try {
      await work();
    } catch (error) {
      deps.onError(error, key);
    }
    const afterwards = busy.get(key);
    busy.delete(key);
    afterwards?.();
  }

  function runNext(): void {
    while (running < deps.limit) {
      const work = waiting.shift();
      if (!work) break;
      running += 1;
      void work().finally(() => {
        running -= 1;
        runNext();
      });
    }
    if (running === 0) notifyIdle();
  }

  return {
    take,
    close() {
      closed = true;
      if (running === 0) return Promise.resolve();
      return new Promise((resolve) => {
        notifyIdle = resolve;
      });
    },
  };
}
