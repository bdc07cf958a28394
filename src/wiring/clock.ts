import type { Clock } from '../application/ports';

/** The process's own time; stored times are database time. */
export const ticking: Omit<Clock, 'now'> = {
  monotonic: () => performance.now(),
  random: Math.random,
  after(ms, task) {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
};

export const systemClock: Clock = { ...ticking, now: () => new Date() };
