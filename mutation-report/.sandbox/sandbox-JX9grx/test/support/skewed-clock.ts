import type { Clock } from '../../src/application/ports';

export type SkewedClock = Omit<Clock, 'now'> & {
  /** Lets time pass at once. */
  advance(ms: number): void;
};

/** Real time, plus what a test lets pass. Chance is nearly one: what is done every now and then comes late. */
export function createSkewedClock(): SkewedClock {
  let skew = 0;
  return {
    monotonic: () => performance.now() + skew,
    after(ms, task) {
      const timer = setTimeout(task, ms);
      return () => clearTimeout(timer);
    },
    random: () => 0.999,
    advance(ms) {
      skew += ms;
    },
  };
}
