import { CLIENT_CONNECTIONS, type Vitals } from '../history';
import type { Evidence } from './evidence';
import type { Ledger } from './verdict';

/** Fewer say nothing about growth. */
const ENOUGH_LOOKS = 20;
const WARM_UP = 0.2;
const MEGABYTE = 1024 * 1024;

/**
 * How high the floor of each may rise, from the first third to the last. What leaks raises the floor; a burst, as when a
 * broker delivers its whole history again, comes and goes. Memory that was once needed is given back to the system late.
 */
const GROWTH = [
  {
    what: 'heapBytes',
    title: 'memory in use stays level',
    limit: (from: number) => from * 1.2 + 8 * MEGABYTE,
  },
  {
    what: 'residentBytes',
    title: 'resident memory stays level',
    limit: (from: number) => from * 2 + 64 * MEGABYTE,
  },
  // As many as one client keeps open, and as the pool to the database may grow.
  {
    what: 'clients',
    title: 'connections of clients stay level',
    limit: (from: number) => from + CLIENT_CONNECTIONS,
  },
  { what: 'handles', title: 'other open handles stay level', limit: (from: number) => from + 20 },
  { what: 'listeners', title: 'event listeners stay level', limit: (from: number) => from + 5 },
] as const;

/** I11 and I12: nothing grows for ever, ends by itself, or complains. */
export function checkEndurance({ start, vitals, exits, complaints }: Evidence, { rule }: Ledger): void {
  for (const { what, title, limit } of GROWTH) {
    const isLevel = rule('I11', title);
    for (const [replica, looks] of vitals) {
      if (looks.length < ENOUGH_LOOKS) continue;
      const { from, to } = levels(looks, what);
      isLevel(to <= limit(from), () => `replica ${replica}: ${what} went from ${from} to ${to}`);
    }
  }

  const isWanted = rule('I12', 'no process ends by itself');
  for (const { t, target, code, signal, expected } of exits) {
    isWanted(expected, () => `${target} ended with ${signal ?? code} at ${t} ms`);
  }

  const isQuiet = rule('I12', 'no replica says what it should never say');
  const complaining = new Set(complaints.map(({ target }) => target));
  for (const replica of start.replicas) {
    if (!complaining.has(`replica ${replica}`)) isQuiet(true, String);
  }
  for (const { t, target, text } of complaints) isQuiet(false, () => `${target} at ${t} ms: ${text}`);
}

function levels(
  looks: readonly Vitals[],
  what: (typeof GROWTH)[number]['what'],
): { from: number; to: number } {
  const values = looks.slice(Math.floor(looks.length * WARM_UP)).map((look) => look[what]);
  const third = Math.floor(values.length / 3);
  return { from: Math.min(...values.slice(0, third)), to: Math.min(...values.slice(-third)) };
}
