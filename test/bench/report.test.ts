import { compare, renderComparison } from './baseline';
import { drawPicture } from './picture';
import {
  figure,
  format,
  ratio,
  renderTable,
  rowOf,
  rowsAgainstAll,
  verdictOf,
  type Row,
  type RowText,
  type Target,
} from './report';
import { median, medianRatio } from './statistics';

const RATE: RowText = { name: 'list', what: 'pages read', unit: '1/s', better: 'higher' };
const LATENCY: RowText = { name: 'latency', what: 'p50', unit: 'ms', better: 'lower' };
const ABOUT = { node: 'v1', machine: 'one & only' };

function row(text: RowText, ours: number, floor: number, target?: Target): Row {
  return rowOf(text, [ours], { name: 'floor', figures: [floor] }, target);
}

describe('medians and ratios', () => {
  it('a median is the middle value, or the mean of the two in the middle', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([7])]).toEqual([2, 2.5, 7]);
    expect(() => median([])).toThrow(RangeError);
  });

  it('a ratio is the median of the ratios of each round, whatever slowed a round down', () => {
    expect(medianRatio([100, 20, 300], [50, 10, 100])).toBe(2);
    expect(() => medianRatio([1], [1, 2])).toThrow(RangeError);
  });

  it('compares ours, which comes first, with each of the others', () => {
    const figures = new Map([
      ['ours', [10, 20, 30]],
      ['floor', [10, 10, 10]],
      ['usual', [1, 2, 3]],
    ]);
    const rows = rowsAgainstAll(RATE, figures, { usual: ratio(8, 10) });
    expect(
      rows.map(({ ours, against, target }) => [ours, against?.name, against?.ratio, target?.aim]),
    ).toEqual([
      [20, 'floor', 2, undefined],
      [20, 'usual', 10, 10],
    ]);
  });
});

describe('the verdict on a row', () => {
  it.each([
    [RATE, 130, 'aim met'],
    [RATE, 100, 'at least met'],
    [RATE, 99, 'below'],
    [LATENCY, 50, 'aim met'],
    [LATENCY, 60, 'at least met'],
    [LATENCY, 61, 'below'],
  ])('%j with %d to 100', (text, ours, verdict) => {
    const target = text === RATE ? ratio(1, 1.3) : ratio(0.6, 0.5);
    expect(verdictOf(row(text, ours, 100, target))).toBe(verdict);
  });

  it('is of the figure itself where the target is', () => {
    expect(verdictOf(row(LATENCY, 40, 1, figure(50, 10)))).toBe('at least met');
    expect(verdictOf(row(LATENCY, 40, 1))).toBe('');
  });
});

describe('against a baseline', () => {
  const before = [row(RATE, 100, 100), row(LATENCY, 10, 10)];

  it.each([
    [81, 11.9, [false, false]],
    [80, 12, [true, true]],
    [500, 1, [false, false]],
  ])('a fifth worse is worse: %d and %d', (rate, latency, isWorse) => {
    const now = [row(RATE, rate, 100), row(LATENCY, latency, 10)];
    expect(compare(now, before).map((each) => each.isWorse)).toEqual(isWorse);
  });

  it('compares ratios, not figures of another machine, and only what both have', () => {
    const now = [row(RATE, 10, 10), row({ ...RATE, name: 'show' }, 1, 10)];
    const comparisons = compare(now, before);
    expect(comparisons).toEqual([{ name: 'list / floor', before: 1, now: 1, isWorse: false }]);
    expect(renderComparison(comparisons, 'old.json')).toMatch(
      /^Against old.json: 0 of 1 became a fifth worse\n/,
    );
  });

  it('compares the figure where there is no ratio', () => {
    expect(compare([rowOf(LATENCY, [12])], [rowOf(LATENCY, [10])])).toMatchObject([{ isWorse: true }]);
  });
});

describe('what is shown', () => {
  const rows = [row(RATE, 1234, 617, ratio(1, 3)), rowOf(LATENCY, [0.5], undefined, figure(1, 0.1))];

  it('the table names ours, theirs, the ratio and the targets, and the circumstances below', () => {
    const lines = renderTable(rows, ABOUT).split('\n');
    expect(lines[1]).toMatch(/list +1\/s +1234 +floor +617 +2\.00 +≥ 1 +≥ 3 +ratio +at least met/);
    expect(lines[2]).toMatch(/latency +ms +0\.500 +– +– +– +≤ 1 +≤ 0\.1 +figure +at least met/);
    expect(lines.slice(-4)).toEqual(['list: pages read', 'latency: p50', 'node: v1', 'machine: one & only']);
  });

  it('numbers have three significant digits and no exponent', () => {
    expect([0, 0.01234, 1.234, 12.34, 1234567].map(format).join(' ')).toBe('0 0.0123 1.23 12.3 1234567');
  });

  it('the picture has a bar for each target, within its borders, and is well-formed', () => {
    const svg = drawPicture(
      [...rows, row(RATE, 1e9, 1, ratio(1, 2)), row(LATENCY, 0, 1, ratio(1, 2))],
      ABOUT,
    );
    expect(svg.match(/<rect x=/g)).toHaveLength(4);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(svg).toContain('one &amp; only');
  });
});
