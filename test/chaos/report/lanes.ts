import type { Fault } from '../history';
import { clock, escape, LEFT, RIGHT, round } from './axes';
import type { X } from './axes';

const LANE_HEIGHT = 22;
const GAP = 4;
/** Of a fault that is over at once. */
const NARROWEST = 1.6;

/** The order of the colours in the legend; what is not named gets the last one. */
const KINDS = [
  'SIGKILL',
  'crash point',
  'SIGSTOP',
  'rolling restart',
  'cut',
  'black hole',
  'delay',
  'answer swallowed',
  'disk full',
];

/** A fault and what ended it. */
export interface Span {
  readonly begin: Fault;
  end?: Fault;
}

/** One lane for each target, links by the side that they lead to; a bar for each fault. */
export function renderLanes(
  spans: readonly Span[],
  targets: readonly string[],
  at: { readonly top: number; readonly endMs: number; readonly x: X },
): { readonly svg: string; readonly bottom: number } {
  const lanes = [...new Set([...targets, ...spans.map(({ begin }) => laneOf(begin.target)).sort()])];
  const topOf = (lane: string) => at.top + lanes.indexOf(lane) * (LANE_HEIGHT + GAP);
  const backgrounds = lanes.map(
    (lane) =>
      `<rect class="lane" x="${LEFT}" y="${topOf(lane)}" width="${RIGHT - LEFT}" height="${LANE_HEIGHT}"/>` +
      `<text class="name end" x="${LEFT - 8}" y="${topOf(lane) + 15}">${escape(lane)}</text>`,
  );
  const bars = spans.map(({ begin, end }) => {
    const from = at.x(begin.t);
    const width = round(Math.max(NARROWEST, at.x(end?.t ?? at.endMs) - from));
    return (
      `<rect class="fault ${colourOf(begin.fault)}" x="${from}" y="${topOf(laneOf(begin.target))}" ` +
      `width="${width}" height="${LANE_HEIGHT}"><title>${escape(describe(begin, end))}</title></rect>`
    );
  });
  return {
    svg: [...backgrounds, ...bars].join('\n'),
    bottom: at.top + lanes.length * (LANE_HEIGHT + GAP),
  };
}

/** How often each kind of fault happened, by its colour. */
export function faultLegend(spans: readonly Span[]): { colour: string; text: string }[] {
  const counts = new Map<string, number>();
  for (const { begin } of spans) counts.set(begin.fault, (counts.get(begin.fault) ?? 0) + 1);
  const rank = (kind: string) => (KINDS.includes(kind) ? KINDS.indexOf(kind) : KINDS.length);
  return [...counts]
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([kind, count]) => ({ colour: colourOf(kind), text: `${kind} ${count}` }));
}

function laneOf(target: string): string {
  const [from, to] = target.split(' → ');
  if (to === undefined) return target;
  return from === 'clients' ? 'links from clients' : `links to ${to}`;
}

function colourOf(kind: string): string {
  const index = KINDS.indexOf(kind);
  return `k${index < 0 ? KINDS.length : index}`;
}

function describe(begin: Fault, end: Fault | undefined): string {
  const what = `${begin.fault}, ${begin.target}`;
  const detail = end?.detail ?? begin.detail;
  const more = detail ? `; ${detail}` : '';
  if (!end) return `${what}: from ${clock(begin.t)} to the end${more}`;
  const seconds = ((end.t - begin.t) / 1000).toFixed(1);
  return `${what}: ${clock(begin.t)} to ${clock(end.t)}, ${seconds} s${more}`;
}
