import { readFileSync } from 'node:fs';
import { comparable, type Row } from './report';

/** A fifth: less is what rounds differ by on a busy machine. */
const WORSE_BY = 0.2;

/** What became of one row since the baseline. */
export interface Comparison {
  readonly name: string;
  /** Of the ratio, or of the figure where there is no ratio. */
  readonly before: number;
  readonly now: number;
  /** By a fifth or more. */
  readonly isWorse: boolean;
}

/** The rows of an earlier run. Throws where the file is not one of ours. */
export function readBaseline(path: string): readonly Row[] {
  let content: { rows?: unknown };
  try {
    content = JSON.parse(readFileSync(path, 'utf8')) as typeof content;
  } catch (error) {
    throw new Error(`--baseline ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  if (!Array.isArray(content?.rows)) throw new Error(`--baseline ${path} has no rows: it is no results.json`);
  return content.rows as readonly Row[];
}

/** Each row that both runs have, by its name and whom ours is compared with. */
export function compare(rows: readonly Row[], baseline: readonly Row[]): Comparison[] {
  const earlier = new Map(baseline.map((row) => [nameOf(row), row]));
  return rows.flatMap((row) => {
    const other = earlier.get(nameOf(row));
    if (!other) return [];
    const [before, now] = [comparable(other), comparable(row)];
    const isWorse = row.better === 'higher' ? now <= before * (1 - WORSE_BY) : now >= before * (1 + WORSE_BY);
    return [{ name: nameOf(row), before, now, isWorse }];
  });
}

function nameOf({ name, against }: Row): string {
  return against ? `${name} / ${against.name}` : name;
}

export function renderComparison(comparisons: readonly Comparison[], path: string): string {
  const width = Math.max(0, ...comparisons.map(({ name }) => name.length));
  const lines = comparisons.map(
    ({ name, before, now, isWorse }) =>
      `  ${name.padEnd(width)}  ${before.toFixed(2).padStart(8)} → ${now.toFixed(2).padStart(8)}${isWorse ? '  A FIFTH WORSE' : ''}`,
  );
  const worse = comparisons.filter(({ isWorse }) => isWorse).length;
  return [`Against ${path}: ${worse} of ${comparisons.length} became a fifth worse`, ...lines].join('\n');
}
