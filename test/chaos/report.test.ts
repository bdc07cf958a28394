import { check } from './checker/check';
import { createExample } from './checker/example';
import type { HistoryLine } from './history';
import { renderTable } from './report/table';
import { createTimeline } from './report/timeline';

const HITS = new Map([
  ['fault: SIGKILL replica', 12],
  ['crash point: after an insert, before its publish', 3],
  ['answer: place 201', 1_234],
  ['retried: change', 5],
]);

function verdictOf({ history, remains } = createExample()) {
  return check(history, remains, { convergenceMs: 10_000 });
}

function page(history: Iterable<HistoryLine>, verdict = verdictOf()): string {
  const timeline = createTimeline();
  for (const line of history) timeline.add(line);
  return timeline.html(verdict);
}

describe('the table', () => {
  test('says of each rule how much of it was looked at, and of all together', () => {
    const lines = renderTable(verdictOf(), new Map(), []).split('\n');
    expect(lines.filter((line) => /^ {2}I\d+b? .* \d+ +0$/.test(line))).toHaveLength(
      verdictOf().results.length,
    );
    expect(lines.find((line) => line.includes('in all'))).toMatch(/ \d{3,} +0$/);
  });

  test('names what broke a rule, and how much more of it there is', () => {
    const example = createExample();
    for (let i = 0; i < 25; i += 1) example.send('order:cancelled', `made up ${i}`, 6_600);
    const table = renderTable(verdictOf(example), new Map(), []);
    expect(table).toMatch(/I4 .* 25 {2}BROKEN\n {9}order:cancelled 4: made up 0\n/);
    expect(table).toContain('made up 19\n         and 5 more');
  });

  test('marks a rule of which nothing was looked at', () => {
    const example = createExample();
    example.unask(({ op }) => op === 'show');
    expect(renderTable(verdictOf(example), new Map(), [])).toMatch(
      /state of its life .* 0 .* 0 {2}NEVER CHECKED/,
    );
  });

  test('groups what was met, and marks what never was', () => {
    const table = renderTable(verdictOf(), HITS, ['fault: SIGKILL replica', 'fault: disk full broker']);
    expect(table).toMatch(
      /Faults\n {2}fault: SIGKILL replica +12\n {2}fault: disk full broker +0 {2}NEVER MET/,
    );
    expect(table).toMatch(/Crash points\n {2}crash point: after an insert, before its publish +3\n/);
    expect(table).toMatch(/Answers\n {2}answer: place 201 +1234\nBesides\n {2}retried: change +5$/);
  });
});

describe('the timeline', () => {
  test('is a page that needs nothing else', () => {
    const html = page(createExample().history);
    expect(html).not.toMatch(/<script|<link|<img|@import|url\(|https?:/);
    expect(html).toContain('A campaign of 0.5 minutes, seed 7');
    expect(html).toMatch(/\d facts checked, <b class="good">0 violations<\/b>; 1 faults, 1 of them kills/);
  });

  test('shows each fault in the lane of what it hit, with its times', () => {
    const { history } = createExample();
    history.push(
      { kind: 'fault', t: 61_000, id: 2, phase: 'begin', fault: 'delay', target: 'replica a → database' },
      { kind: 'fault', t: 63_500, id: 2, phase: 'end', fault: 'delay', target: 'replica a → database' },
      {
        kind: 'fault',
        t: 70_000,
        id: 3,
        phase: 'begin',
        fault: 'new',
        target: 'clients → replica a',
        detail: '<',
      },
    );
    const html = page(history);
    expect(html).toContain('<title>SIGKILL, replica a: 0:05 to 0:05, 0.9 s</title>');
    expect(html).toContain('<title>delay, replica a → database: 1:01 to 1:03, 2.5 s</title>');
    expect(html).toContain('<title>new, clients → replica a: from 1:10 to the end; &lt;</title>');
    for (const lane of ['replica a', 'broker', 'database', 'links to database', 'links from clients']) {
      expect(html).toContain(`>${lane}</text>`);
    }
    expect(html).not.toContain('>replica witness</text>');
  });

  test('draws no number that is none, however little happened', () => {
    const [start] = createExample().history;
    for (const history of [[], [start!], createExample().history]) {
      expect(page(history)).not.toMatch(/NaN|Infinity|undefined/);
    }
  });

  test('draws no more columns for an hour than there is room for', () => {
    const timeline = createTimeline();
    for (let t = 0; t < 3_600_000; t += 1_000) timeline.add({ kind: 'answer', t, call: t, status: 201 });
    const [, points = ''] = /<polygon class="o0" points="([^"]*)"/.exec(timeline.html(verdictOf())) ?? [];
    // Two points for each column, on the upper and on the lower edge.
    expect(points.split(' ')).toHaveLength(4 * 600);
  });

  test('breaks the line of what is pending where the database could not be asked', () => {
    const line = (t: number, pending?: number) => ({
      kind: 'sample',
      t,
      ...(pending !== undefined && { pending }),
    });
    const history = [line(0, 1), line(1_000, 2), line(2_000), line(3_000, 3)] as HistoryLine[];
    const [, path = ''] = /<path class="pending" d="([^"]*)"/.exec(page(history)) ?? [];
    expect(path.replaceAll(/[^ML]/g, '')).toBe('MLM');
  });

  test('names the rules that were broken', () => {
    const example = createExample();
    example.remains.failedMessages.pop();
    expect(page(example.history, verdictOf(example))).toContain(
      '<li class="bad">I10 each message about an order of others is put aside, once: 1</li>',
    );
  });
});
