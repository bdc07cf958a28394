/** The picture's frame: everything is drawn between the same two edges, over the same time. */
export const WIDTH = 1200;
export const LEFT = 150;
export const RIGHT = WIDTH - 64;

const STEPS_MS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600].map((seconds) => seconds * 1000);
const MOST_TIME_LABELS = 13;
const MOST_LINES = 4;

/** Where on the picture a time of the campaign is. */
export type X = (t: number) => number;

export function createX(endMs: number): X {
  return (t) => round(LEFT + (Math.min(t, endMs) / endMs) * (RIGHT - LEFT));
}

/** Minutes and seconds. */
export function clock(t: number): string {
  const seconds = Math.floor(t / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

export function timeAxis(endMs: number, x: X, y: { top: number; bottom: number }): string {
  const step = STEPS_MS.find((each) => endMs / each <= MOST_TIME_LABELS) ?? STEPS_MS.at(-1)!;
  const parts: string[] = [];
  for (let t = 0; t <= endMs; t += step) {
    parts.push(
      `<line class="grid" x1="${x(t)}" x2="${x(t)}" y1="${y.top}" y2="${y.bottom}"/>`,
      `<text class="tick middle" x="${x(t)}" y="${y.bottom + 16}">${clock(t)}</text>`,
    );
  }
  return parts.join('');
}

/** A scale from 0 up to a round number not below `most`. */
export interface Scale {
  readonly most: number;
  readonly lines: readonly number[];
  readonly y: (value: number) => number;
}

export function createScale(most: number, y: { top: number; bottom: number }): Scale {
  const step = roundStep(Math.max(most, 1) / MOST_LINES);
  const count = Math.max(1, Math.ceil(most / step));
  return {
    most: step * count,
    lines: Array.from({ length: count + 1 }, (_, i) => i * step),
    y: (value) => round(y.bottom - (value / (step * count)) * (y.bottom - y.top)),
  };
}

export function valueAxis({ lines, y }: Scale, unit = ''): string {
  return lines
    .map(
      (value) =>
        `<line class="grid" x1="${LEFT}" x2="${RIGHT}" y1="${y(value)}" y2="${y(value)}"/>` +
        `<text class="tick end" x="${LEFT - 6}" y="${y(value) + 4}">${value}${unit}</text>`,
    )
    .join('');
}

export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

export function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** 1, 2 or 5 times a power of ten, and never a part of one: everything here is counted. */
function roundStep(atLeast: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, atLeast)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= atLeast) ?? 10 * power;
}
