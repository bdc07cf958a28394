import { comparable, format, verdictOf, type Circumstances, type Row } from './report';

const WIDTH = 1_100;
const LINE = 26;
const TOP = 60;
const BARS = { left: 420, right: 820 };
/** Bars end here: twice as far left or right is four times as bad or good as "at least". */
const FARTHEST = 4;
const COLOURS = { 'aim met': '#2e7d32', 'at least met': '#1565c0', below: '#c62828', '': '#757575' };

/**
 * A picture of all rows with a target, as SVG: bars to the right reach more than "at least", bars to the left less, on a
 * logarithmic scale; a mark shows the aim.
 */
export function drawPicture(rows: readonly Row[], about: Circumstances): string {
  const drawn = rows.filter(({ target }) => target !== undefined);
  const height = TOP + drawn.length * LINE + 60;
  const middle = xOf(1);
  const foot = ['date', 'commit', 'machine'].map((name) => about[name] ?? '').join(' · ');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="13">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    text(16, 26, 'Order Service: what was measured, against its targets', 'font-size="17"'),
    text(middle, TOP - 12, 'at least', 'text-anchor="middle" fill="#555"'),
    ...drawn.map((row, index) => drawRow(row, TOP + index * LINE)),
    `<line x1="${middle}" x2="${middle}" y1="${TOP - 6}" y2="${height - 56}" stroke="#333"/>`,
    text(
      16,
      height - 34,
      'Bars: medians, logarithmic; right of the line is better than “at least”, the mark is the aim.',
    ),
    text(16, height - 14, foot, 'fill="#555"'),
    '</svg>',
    '',
  ].join('\n');
}

function drawRow(row: Row, y: number): string {
  const { target, against, better } = row;
  if (!target) return '';
  const value = target.of === 'figure' ? row.ours : comparable(row);
  const goodness = (of: number): number => (better === 'higher' ? of / target.atLeast : target.atLeast / of);
  const [from, to] = [xOf(1), xOf(goodness(value))].sort((a, b) => a - b) as [number, number];
  const aim = xOf(goodness(target.aim));
  const unit = target.of === 'figure' ? ` ${row.unit}` : '';
  const sides = against ? ` (${format(row.ours)} / ${format(against.figure)} ${row.unit})` : '';
  const sign = better === 'higher' ? '≥' : '≤';
  return [
    text(16, y + 15, `${row.name}${against ? `, against ${against.name}` : ''}`),
    `<rect x="${from}" y="${y + 3}" width="${round(to - from)}" height="16" fill="${COLOURS[verdictOf(row)]}"/>`,
    `<line x1="${aim}" x2="${aim}" y1="${y}" y2="${y + 22}" stroke="#333" stroke-dasharray="3 2"/>`,
    text(
      BARS.right + 14,
      y + 15,
      `${format(value)}${unit} ${sign} ${target.atLeast}, aim ${target.aim}${sides}`,
      'font-size="12"',
    ),
  ].join('\n');
}

/** `goodness`: 1 is exactly "at least". */
function xOf(goodness: number): number {
  const limited = Math.min(FARTHEST, Math.max(1 / FARTHEST, goodness));
  const share = (Math.log(limited) / Math.log(FARTHEST) + 1) / 2;
  return round(BARS.left + share * (BARS.right - BARS.left));
}

function round(x: number): number {
  return Math.round(x * 10) / 10;
}

function text(x: number, y: number, content: string, attributes = ''): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<text x="${x}" y="${y}" ${attributes}>${escaped}</text>`;
}
