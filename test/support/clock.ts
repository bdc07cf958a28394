import type { Clock } from '../../src/application/ports';

export interface TestClock extends Clock {
  /** Lets time pass, running what falls due, in order, with room for promises in between. */
  advance(ms: number): Promise<void>;
  /** Sets the clock on the wall, without time passing. */
  setNow(now: Date): void;
  pendingTimers(): number;
}

/** A clock that stops until it is told to go on. Chance is always one half: jitter is exactly 1. */
export function createTestClock(start = new Date('2026-01-01T00:00:00Z')): TestClock {
  let elapsed = 0;
  let offset = start.getTime();
  let nextId = 0;
  const timers = new Map<number, { at: number; task: () => void }>();

  const settle = async () => {
    for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
  };

  return {
    now: () => new Date(offset + elapsed),
    monotonic: () => elapsed,
    random: () => 0.5,
    after(ms, task) {
      const id = nextId++;
      timers.set(id, { at: elapsed + Math.max(0, ms), task });
      return () => timers.delete(id);
    },
    async advance(ms) {
      const end = elapsed + ms;
      await settle();
      for (;;) {
        const due = [...timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
        if (!due) break;
        timers.delete(due[0]);
        elapsed = Math.max(elapsed, due[1].at);
        due[1].task();
        await settle();
      }
      elapsed = end;
      await settle();
    },
    setNow(now) {
      offset = now.getTime() - elapsed;
    },
    pendingTimers: () => timers.size,
  };
}
