import type { Clock } from '../application/ports';

/** The process's own time; what is stored goes by the database's. */
export const ticking: Omit<Clock, 'now'> = {
  monotonic: () => performance.now(),
  random: Math.random,
  after(ms, task) {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
};

export const systemClock: Clock = { ...ticking, now: () => new Date() };
