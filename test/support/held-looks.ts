/** The longest pause before a retry. Only the next look at the database is further away. */
const LONGEST_PAUSE_MS = 5_000;

/** A clock for a store whose looks at the database come when they are told to, and not before. */
export function createHeldLooks() {
  const held = new Set<() => void>();
  let skew = 0;
  return {
    /** Lets time pass at once, as for a process that was frozen. */
    advance: (ms: number) => void (skew += ms),
    comeNow(): void {
      const tasks = [...held];
      held.clear();
      for (const task of tasks) task();
    },
    clock: {
      monotonic: () => performance.now() + skew,
      random: () => 0.9,
      after(ms: number, task: () => void) {
        if (ms > LONGEST_PAUSE_MS) {
          held.add(task);
          return () => void held.delete(task);
        }
        const timer = setTimeout(task, ms);
        return () => clearTimeout(timer);
      },
    },
  };
}
