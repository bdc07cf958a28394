import type { HistoryLine } from '../history';

const KILLS = ['SIGKILL', 'crash point'];
const COLUMNS = ['placed', 'other answers', 'no answer', 'faults', 'kills'] as const;
const MOST_PENDING = 'most pending';
const MINUTE_MS = 60_000;

type Counts = Record<(typeof COLUMNS)[number], number>;
interface Minute {
  readonly counts: Counts;
  /** Orders with events to publish, the most at a time. Absent: the database could not be asked. */
  pending?: number;
}

/** What happened in each minute of a campaign; the history is given to it line by line. */
export function createMinutes() {
  const minutes: Minute[] = [];

  function minute(t: number): Minute {
    const index = Math.floor(t / MINUTE_MS);
    while (minutes.length <= index) minutes.push({ counts: none() });
    return minutes[index]!;
  }

  return {
    add(line: HistoryLine): void {
      const now = minute(line.t);
      const { counts } = now;
      if (line.kind === 'answer') counts[columnOf(line.status)] += 1;
      if (line.kind === 'fault' && line.phase === 'begin') {
        counts.faults += 1;
        if (KILLS.includes(line.fault)) counts.kills += 1;
      }
      if (line.kind === 'sample' && line.pending !== undefined) {
        now.pending = Math.max(line.pending, now.pending ?? 0);
      }
    },
    table(): string {
      const inAll = none();
      for (const { counts } of minutes) for (const column of COLUMNS) inAll[column] += counts[column];
      return [
        row('Minute', [...COLUMNS, MOST_PENDING]),
        ...minutes.map(({ counts, pending }, i) => row(`${i + 1}`, [...valuesOf(counts), pending ?? '-'])),
        row('in all', valuesOf(inAll)),
      ].join('\n');
    },
  };
}

function columnOf(status: number): keyof Counts {
  if (status === 0) return 'no answer';
  return status === 201 ? 'placed' : 'other answers';
}

function valuesOf(counts: Counts): number[] {
  return COLUMNS.map((column) => counts[column]);
}

function none(): Counts {
  return Object.fromEntries(COLUMNS.map((column) => [column, 0])) as Counts;
}

function row(name: string, values: readonly (string | number)[]): string {
  return name.padEnd(8) + values.map((value) => String(value).padStart(15)).join('');
}
