import fc from 'fast-check';
import { CHANGES_OF_ORDERS } from './checker/changes-of-orders';
import { CHANGES_OF_THE_WHOLE } from './checker/changes-of-the-whole';
import { check } from './checker/check';
import { at, createExample, TICKETS, type Example } from './checker/example';
import { narrow } from './checker/windows';

const CHANGES = [...CHANGES_OF_ORDERS, ...CHANGES_OF_THE_WHOLE];
const CRASH = { kind: 'exit', target: 'database', code: null, signal: 'SIGKILL', expected: true } as const;
const LIMITS = { convergenceMs: 10_000 };

/** The rules that are broken, by the invariant and the title. */
function broken({ history, remains }: Pick<Example, 'history' | 'remains'>): string[] {
  const { results } = check(history, remains, LIMITS);
  return results
    .filter(({ violated }) => violated > 0)
    .map(({ invariant, title }) => `${invariant} ${title}`);
}

describe('the checker', () => {
  test('finds nothing where everything went well, and looks at something for every rule', () => {
    const { history, remains } = createExample();
    const { results } = check(history, remains, LIMITS);
    expect(results.filter(({ violated }) => violated > 0)).toEqual([]);
    expect(results.filter(({ checked }) => checked === 0)).toEqual([]);
  });

  const changes = CHANGES.map(([what, change, ...rules]) => ({ what, change, rules }));

  test.each(changes)('finds it when $what', ({ change, rules }) => {
    const example = createExample();
    change(example);
    expect(broken(example)).toEqual(rules);
  });

  test('has a change for every rule', () => {
    const { history, remains } = createExample();
    const rules = check(history, remains, LIMITS).results.map(
      ({ invariant, title }) => `${invariant} ${title}`,
    );
    expect(new Set(changes.flatMap((each) => each.rules))).toEqual(new Set(rules));
  });
});

describe('a broker whose disk was full', () => {
  const fill = ({ history }: Example, from: number, to: number) => {
    const fault = { kind: 'fault', id: 9, fault: 'disk full', target: 'broker' } as const;
    history.push({ ...fault, t: from, phase: 'begin' }, { ...fault, t: to, phase: 'end' });
  };

  test('may have delivered a copy of a payment that it never stored, then and only then', () => {
    const example = createExample();
    example.orders.bought.payments[0]!.at = at(6_300);
    expect(broken(example)).toHaveLength(1);
    fill(example, 6_200, 6_310);
    expect(broken(example)).toEqual([]);
  });

  test('may have delivered what nobody can read and it never stored, then and only then', () => {
    const example = createExample();
    const id = `ticket:updated:99:${at(6_300).getTime()}`;
    example.remains.failedMessages.push({ id, data: '"poison', parked: false });
    expect(broken(example)).toHaveLength(1);
    fill(example, 6_200, 6_310);
    expect(broken(example)).toEqual([]);
  });
});

describe('the checker of holders', () => {
  const refuse = ({ ask }: Example, t: number) =>
    ask(t, { op: 'place', user: 'dan', ticketId: TICKETS.resold }, 50, { status: 409 });

  test('allows a refusal for which a request without an answer may have been the reason', () => {
    const example = createExample();
    example.ask(2_150, { op: 'place', user: 'eve', ticketId: TICKETS.resold }, 10, { status: 0 });
    refuse(example, 2_200);
    expect(broken(example)).toEqual([]);
  });

  test('allows no refusal for a request without an answer that was made later', () => {
    const example = createExample();
    example.ask(2_300, { op: 'place', user: 'eve', ticketId: TICKETS.resold }, 10, { status: 0 });
    refuse(example, 2_200);
    expect(broken(example)).toHaveLength(1);
  });

  test('allows no refusal for a request without an answer whose order is there', () => {
    const example = createExample();
    const refused = { op: 'place', user: 'dan', ticketId: TICKETS.expired } as const;
    example.ask(5_400, refused, 50, { status: 409 });
    expect(broken(example)).toEqual([]);
    example.ask(900, refused, 50, { status: 409 });
    expect(broken(example)).toHaveLength(1);
  });

  test('allows a refusal by an order that a crash of the database took away under a request', () => {
    const example = createExample();
    const lost = example.ask(2_150, { op: 'place', user: 'eve', ticketId: TICKETS.resold }, 90, {
      status: 409,
    });
    refuse(example, 2_200);
    expect(broken(example)).toHaveLength(1);
    example.history.push({ ...CRASH, t: 2_230 });
    expect(broken(example)).toEqual([]);
    lost.t = 2_229;
    expect(broken(example)).toHaveLength(1);
  });

  test('allows no refusal where the database crashed long after, or only when all was over', () => {
    const example = createExample();
    example.unask(({ ticketId }) => ticketId === TICKETS.unsold);
    const crash = example.history.find((line) => line.kind === 'exit' && line.target === 'database')!;
    example.ask(2_150, { op: 'place', user: 'eve', ticketId: TICKETS.resold }, 10, { status: 0 });
    refuse(example, 2_200);
    expect(broken(example)).toEqual([]);
    crash.t = 13_000;
    expect(broken(example)).toHaveLength(1);
    example.line('end').t = 3_000;
    crash.t = 3_100;
    expect(broken(example)).toContain('I9 a ticket that was refused can have been held by somebody');
  });

  test('allows no refusal for a request without an answer that was placed when it was asked again', () => {
    const example = createExample();
    example.answerTo(({ key, t }) => key === 'k' && t === 1_000).status = 0;
    refuse(example, 2_200);
    expect(broken(example)).toHaveLength(1);
  });

  const window = fc
    .tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 5 }))
    .map(([from, to]) => ({ from, to }));

  test('finds a sequence of moments exactly where there is one', () => {
    fc.assert(
      fc.property(fc.array(window, { minLength: 1, maxLength: 6 }), (windows) => {
        // The earliest possible moment for each is the best for those that follow.
        let moment = 0;
        const exists = windows.every(({ from, to }) => (moment = Math.max(moment, from)) <= to);
        expect(narrow(windows).every(({ from, to }) => from <= to)).toBe(exists);
      }),
    );
  });
});
