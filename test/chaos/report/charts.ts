import { createScale, escape, LEFT, RIGHT, valueAxis } from './axes';
import type { X } from './axes';

/** From the bottom of the pile to its top. */
export const OUTCOMES = ['201', '204', '200', '409', 'other 4xx', '503', 'other 5xx', 'lost'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** What happened in one second, or what was seen last in it. */
export interface Second {
  readonly answers: Record<Outcome, number>;
  /** The most in that second. */
  pending?: number;
  heapBytes?: number;
}

/** As many seconds as one column of a picture stands for. */
export interface Column {
  readonly t: number;
  readonly perSecond: readonly number[];
  readonly pending: number | undefined;
  readonly heapMegabytes: number | undefined;
}

const MOST_COLUMNS = 600;
const MEGABYTE = 1024 * 1024;

export function outcomeOf(status: number): Outcome {
  if (status === 0) return 'lost';
  if (status >= 500) return status === 503 ? '503' : 'other 5xx';
  if (status >= 400) return status === 409 ? '409' : 'other 4xx';
  if (status === 201 || status === 204) return `${status}`;
  return '200';
}

export function toColumns(seconds: readonly (Second | undefined)[]): Column[] {
  const each = Math.max(1, Math.ceil(seconds.length / MOST_COLUMNS));
  const columns: Column[] = [];
  for (let i = 0; i < seconds.length; i += each) {
    const part = seconds.slice(i, i + each).filter((second) => second !== undefined);
    const length = Math.min(each, seconds.length - i);
    columns.push({
      t: i * 1000,
      perSecond: OUTCOMES.map(
        (outcome) => part.reduce((sum, { answers }) => sum + answers[outcome], 0) / length,
      ),
      pending: most(part.map(({ pending }) => pending)),
      heapMegabytes: most(part.map(({ heapBytes }) => heapBytes && heapBytes / MEGABYTE)),
    });
  }
  return columns;
}

interface Place {
  readonly top: number;
  readonly bottom: number;
  readonly endMs: number;
  readonly x: X;
}

/** Requests per second, piled up by what came of them. */
export function renderAnswers(columns: readonly Column[], at: Place): string {
  const piles = columns.map(({ perSecond }) => pileUp(perSecond));
  const scale = createScale(Math.max(0, ...piles.map((pile) => pile.at(-1)!)), at);
  const edges = columns.map(({ t }) => at.x(t));
  const areas = OUTCOMES.map((_, i) => {
    const top = steps(edges, at, (column) => scale.y(piles[column]![i + 1]!));
    const bottom = steps(edges, at, (column) => scale.y(piles[column]![i]!)).reverse();
    return `<polygon class="o${i}" points="${[...top, ...bottom].join(' ')}"/>`;
  });
  return `${valueAxis(scale)}${caption('requests per second', at)}${areas.join('\n')}`;
}

/** Orders with events to publish, and the memory of the replica that is never ended. */
export function renderBacklog(columns: readonly Column[], at: Place): string {
  const scale = createScale(Math.max(0, ...columns.map(({ pending = 0 }) => pending)), at);
  const heap = columns.filter(({ heapMegabytes }) => heapMegabytes !== undefined);
  const heapScale = createScale(Math.max(0, ...heap.map(({ heapMegabytes = 0 }) => heapMegabytes)), at);
  const heapLabels = heapScale.lines.map(
    (value) => `<text class="tick heap" x="${RIGHT + 6}" y="${heapScale.y(value) + 4}">${value} MB</text>`,
  );
  return [
    valueAxis(scale),
    caption('orders with events to publish', at),
    // Where the database could not be asked, the line is broken.
    path('pending', columns, ({ t, pending }) => pending !== undefined && [at.x(t), scale.y(pending)]),
    ...(heap.length === 0
      ? []
      : [
          ...heapLabels,
          path('heap', heap, ({ t, heapMegabytes = 0 }) => [at.x(t), heapScale.y(heapMegabytes)]),
        ]),
  ].join('\n');
}

function path(name: string, columns: readonly Column[], point: (column: Column) => false | number[]): string {
  let isDown = false;
  const commands = columns.flatMap((column) => {
    const to = point(column);
    const command = isDown ? 'L' : 'M';
    isDown = to !== false;
    return to === false ? [] : [`${command}${to.join(' ')}`];
  });
  return `<path class="${name}" d="${commands.join('')}"/>`;
}

function steps(edges: readonly number[], { x, endMs }: Place, y: (column: number) => number): string[] {
  return edges.flatMap((edge, i) => [`${edge},${y(i)}`, `${edges[i + 1] ?? x(endMs)},${y(i)}`]);
}

/** The edges of the parts of a pile, from the ground up. */
function pileUp(parts: readonly number[]): number[] {
  const edges = [0];
  for (const part of parts) edges.push(edges.at(-1)! + part);
  return edges;
}

function caption(text: string, { top }: Place): string {
  return `<text class="caption" x="${LEFT}" y="${top - 8}">${escape(text)}</text>`;
}

function most(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}
