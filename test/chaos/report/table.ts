import { total, type Result, type Verdict } from '../checker/verdict';

/** Hits are named `<group>: <what>`; these groups come first. */
const GROUPS = new Map([
  ['fault', 'Faults'],
  ['crash point', 'Crash points'],
  ['cell', 'Cells of the state table'],
  ['answer', 'Answers'],
  ['message', 'Messages'],
]);
const BESIDES = 'Besides';
const NUMBER_WIDTH = 11;

/** For the screen: what was checked, what broke, and what was met. */
export function renderTable(
  verdict: Verdict,
  hits: ReadonlyMap<string, number>,
  toBeMet: readonly string[],
): string {
  return [...renderResults(verdict), '', ...renderNotes(verdict), ...renderHits(hits, toBeMet)].join('\n');
}

function renderResults(verdict: Verdict): string[] {
  const { results } = verdict;
  const width = longest(results.map(({ title }) => title));
  const row = (invariant: string, title: string, checked: number, violated: number) =>
    `  ${invariant.padEnd(5)}${title.padEnd(width)}${count(checked)}${count(violated)}`;
  return [
    `  ${''.padEnd(5 + width)}${'checked'.padStart(NUMBER_WIDTH)}${'violations'.padStart(NUMBER_WIDTH)}`,
    ...results.flatMap((result) => [
      row(result.invariant, result.title, result.checked, result.violated) + markOf(result),
      ...violationsOf(result),
    ]),
    row('', 'in all', total(verdict, 'checked'), total(verdict, 'violated')),
  ];
}

function markOf({ checked, violated }: Result): string {
  if (violated > 0) return '  BROKEN';
  return checked === 0 ? '  NEVER CHECKED' : '';
}

function violationsOf({ violations, violated }: Result): string[] {
  const told = violations.map((violation) => `         ${violation}`);
  const more = violated - violations.length;
  return more > 0 ? [...told, `         and ${more} more`] : told;
}

function renderNotes({ notes }: Verdict): string[] {
  if (notes.length === 0) return [];
  const width = longest(notes.map(({ what }) => what));
  return ['Noted', ...notes.map((note) => `  ${note.what.padEnd(width)}${count(note.count)}`), ''];
}

function renderHits(hits: ReadonlyMap<string, number>, toBeMet: readonly string[]): string[] {
  const names = [...new Set([...toBeMet, ...[...hits.keys()].sort()])];
  const width = longest(names);
  const row = (name: string) => {
    const times = hits.get(name) ?? 0;
    return `  ${name.padEnd(width)}${count(times)}${times === 0 ? '  NEVER MET' : ''}`;
  };
  return [...GROUPS.values(), BESIDES].flatMap((title) => {
    const ofGroup = names.filter((name) => groupOf(name) === title);
    return ofGroup.length === 0 ? [] : [title, ...ofGroup.map(row)];
  });
}

function groupOf(name: string): string {
  return GROUPS.get(name.slice(0, Math.max(0, name.indexOf(': ')))) ?? BESIDES;
}

function longest(texts: readonly string[]): number {
  return Math.max(0, ...texts.map(({ length }) => length));
}

function count(number: number): string {
  return String(number).padStart(NUMBER_WIDTH);
}
