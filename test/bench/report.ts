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

/** What the ratio is to be, or the figure itself. */
export interface Target {
  readonly of: 'ratio' | 'figure';
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

/** One row for each contender that ours is compared with. The first figures are ours; targets go by the others' names. */
export function rowsAgainstAll(
  text: RowText,
  figures: ReadonlyMap<string, readonly number[]>,
  targets: Readonly<Record<string, Target>> = {},
): Row[] {
  const [[, ours], ...others] = [...figures] as [
    [string, readonly number[]],
    ...[string, readonly number[]][],
  ];
  return others.map(([name, theirs]) => rowOf(text, ours, { name, figures: theirs }, targets[name]));
}

/** A target for the ratio. */
export function ratio(atLeast: number, aim: number): Target {
  return { of: 'ratio', atLeast, aim };
}

/** A target for the figure itself. */
export function figure(atLeast: number, aim: number): Target {
  return { of: 'figure', atLeast, aim };
}

/** What can be compared from run to run: the ratio, where there is one. */
export function comparable({ ours, against }: Row): number {
  return against?.ratio ?? ours;
}

export type Verdict = 'aim met' | 'at least met' | 'below' | '';

export function verdictOf(row: Row): Verdict {
  const { target, better } = row;
  if (!target) return '';
  const value = target.of === 'figure' ? row.ours : comparable(row);
  const reaches = (goal: number): boolean => (better === 'higher' ? value >= goal : value <= goal);
  if (reaches(target.aim)) return 'aim met';
  return reaches(target.atLeast) ? 'at least met' : 'below';
}

/** Versions, machine, options: a figure says nothing without them. */
export type Circumstances = Readonly<Record<string, string>>;

export function renderTable(rows: readonly Row[], circumstances: Circumstances): string {
  const head = ['scenario', 'unit', 'ours', 'against', 'theirs', 'ratio', 'at least', 'aim', 'of the', ''];
  const lines = rows.map((row) => {
    const { target, against } = row;
    const goal = (value?: number): string =>
      value === undefined ? '' : `${row.better === 'higher' ? '≥' : '≤'} ${value}`;
    return [
      row.name,
      row.unit,
      format(row.ours),
      against?.name ?? '–',
      against ? format(against.figure) : '–',
      against ? against.ratio.toFixed(2) : '–',
      goal(target?.atLeast),
      goal(target?.aim),
      target?.of ?? '',
      verdictOf(row),
    ];
  });
  const widths = head.map((_, column) => Math.max(...[head, ...lines].map((line) => line[column]!.length)));
  const numeric = new Set([2, 4, 5, 6, 7]);
  const aligned = [head, ...lines].map((line) =>
    line
      .map((cell, column) =>
        numeric.has(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
      .trimEnd(),
  );
  const meanings = new Map(rows.map(({ name, what }) => [name, what]));
  const foot = [...meanings, ...Object.entries(circumstances)].map(([name, text]) => `${name}: ${text}`);
  return [...aligned, '', ...foot].join('\n');
}

/** Three significant digits, and no exponent. */
export function format(value: number): string {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 6));
}
