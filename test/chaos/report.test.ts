import { check } from './checker/check';
import { createExample } from './checker/example';
import type { HistoryLine } from './history';
import { createMinutes } from './report/minutes';
import { renderTable } from './report/table';

const HITS = new Map([
  ['fault: SIGKILL replica', 12],
  ['crash point: after an insert, before its publish', 3],
  ['answer: place 201', 1_234],
  ['retried: change', 5],
]);

function verdictOf({ history, remains } = createExample()) {
  return check(history, remains, { convergenceMs: 10_000 });
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

describe('the minutes', () => {
  test('count what was answered and what was broken, and the most that was pending', () => {
    const at = { target: 'replica a', id: 1 };
    const history: HistoryLine[] = [
      { kind: 'answer', t: 0, call: 1, status: 201 },
      { kind: 'answer', t: 59_999, call: 2, status: 503 },
      { kind: 'fault', t: 5_000, phase: 'begin', fault: 'SIGKILL', ...at },
      { kind: 'fault', t: 6_000, phase: 'end', fault: 'SIGKILL', ...at },
      { kind: 'sample', t: 1_000, pending: 7 },
      { kind: 'sample', t: 2_000, pending: 3 },
      { kind: 'answer', t: 120_000, call: 3, status: 0 },
      { kind: 'fault', t: 121_000, phase: 'begin', fault: 'delay', ...at },
      { kind: 'sample', t: 122_000 },
    ];
    const minutes = createMinutes();
    for (const line of history) minutes.add(line);

    expect(
      minutes
        .table()
        .split('\n')
        .map((line) => line.trim().split(/ {2,}/)),
    ).toEqual([
      ['Minute', 'placed', 'other answers', 'no answer', 'faults', 'kills', 'most pending'],
      ['1', '1', '1', '0', '1', '1', '7'],
      ['2', '0', '0', '0', '0', '0', '-'],
      ['3', '0', '0', '1', '1', '0', '-'],
      ['in all', '1', '1', '1', '2', '1'],
    ]);
  });
});
