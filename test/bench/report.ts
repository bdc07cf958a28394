import { median, medianRatio } from './statistics';

export type Better = 'higher' | 'lower';

/** What the figures of a row are. */
export interface RowText {
  readonly name: string;
  readonly what: string;
  readonly unit: string;
  /** Of ours, and so of the ratio ours / theirs. */
  readonly better: Better;
}

/** What the ratio is to be, or, where nothing is compared with, the figure itself. */
export interface Target {
  /** Whom the ratio is against; undefined where the figure itself is to reach the target. */
  readonly against?: string;
  readonly atLeast: number;
  readonly aim: number;
}

/** One line of the report: medians, and the figures of each round behind them. */
export interface Row extends RowText {
  readonly ours: number;
  readonly against?: { readonly name: string; readonly figure: number; readonly ratio: number };
  readonly rounds: { readonly ours: readonly number[]; readonly against?: readonly number[] };
  readonly target?: Target;
}

/** The median of ours, and the ratio to one other where there is one. */
export function rowOf(
  text: RowText,
  ours: readonly number[],
  against?: { readonly name: string; readonly figures: readonly number[] },
  target?: Target,
): Row {
  return {
    ...text,
    ours: median(ours),
    ...(against
      ? {
          against: {
            name: against.name,
            figure: median(against.figures),
            ratio: medianRatio(ours, against.figures),
          },
        }
      : {}),
    rounds: { ours, ...(against ? { against: against.figures } : {}) },
    ...(target ? { target } : {}),
  };
}

/** One row for each contender that ours is compared with; the first of the figures are ours. */
export function rowsAgainstAll(
  text: RowText,
  figures: ReadonlyMap<string, readonly number[]>,
  target?: Target,
): Row[] {
  const [[, ours], ...others] = [...figures] as [
    [string, readonly number[]],
    ...[string, readonly number[]][],
  ];
  return others.map(([name, theirs]) =>
    rowOf(text, ours, { name, figures: theirs }, target?.against === name ? target : undefined),
  );
}

/** What the target is held against: the ratio, or the figure itself. */
export function judged({ ours, against, target }: Row): number {
  return against && target?.against === undefined && target !== undefined ? ours : (against?.ratio ?? ours);
}

export type Verdict = 'aim met' | 'at least met' | 'below' | '';

export function verdictOf(row: Row): Verdict {
  const { target, better } = row;
  if (!target) return '';
  const reaches = (goal: number): boolean =>
    better === 'higher' ? judged(row) >= goal : judged(row) <= goal;
  if (reaches(target.aim)) return 'aim met';
  return reaches(target.atLeast) ? 'at least met' : 'below';
}

/** Versions, machine and options: a figure says nothing without them. */
export type Circumstances = Readonly<Record<string, string>>;

export function renderTable(rows: readonly Row[], circumstances: Circumstances): string {
  const head = ['scenario', 'figure', 'unit', 'ours', 'against', 'theirs', 'ratio', 'at least', 'aim', ''];
  const lines = rows.map((row) => {
    const { target, against } = row;
    const goal = (value?: number): string =>
      value === undefined ? '' : `${row.better === 'higher' ? '≥' : '≤'} ${value}`;
    return [
      row.name,
      row.what,
      row.unit,
      format(row.ours),
      against?.name ?? '–',
      against ? format(against.figure) : '–',
      against ? against.ratio.toFixed(2) : '–',
      goal(target?.atLeast),
      goal(target?.aim),
      verdictOf(row),
    ];
  });
  const widths = head.map((_, column) => Math.max(...[head, ...lines].map((line) => line[column]!.length)));
  const numeric = new Set([3, 5, 6, 7, 8]);
  const aligned = [head, ...lines].map((line) =>
    line
      .map((cell, column) =>
        numeric.has(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
      .trimEnd(),
  );
  const foot = Object.entries(circumstances).map(([name, value]) => `${name}: ${value}`);
  return [...aligned, '', ...foot].join('\n');
}

/** Three significant digits, and no exponent. */
export function format(value: number): string {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 6));
}
