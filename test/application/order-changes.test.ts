import { createOrderChanges } from '../../src/application/order-changes';
import { Unavailable } from '../../src/application/ports';
import { createTestClock } from '../support/clock';
import { newId } from '../support/new-id';

/** Jitter is 1 with the test's clock: a poll comes each quarter of a second. */
const POLL_MS = 250;

function setUp() {
  const clock = createTestClock();
  const stored = new Map<string, number>();
  const polls: (readonly string[])[] = [];
  const logged: string[] = [];
  let isDown = false;
  /** Set: a poll is answered later, with what was stored when it was asked. */
  let hold: Promise<unknown> | undefined;
  const changes = createOrderChanges({
    orders: {
      async versions(ids) {
        polls.push(ids);
        const answer = new Map([...stored].filter(([id]) => ids.includes(id)));
        await hold;
        if (isDown) throw new Unavailable('the database is not ready');
        return answer;
      },
    },
    clock,
    log: { debug: (_, text) => logged.push(`debug ${text}`), warn: (_, text) => logged.push(`warn ${text}`) },
  });

  /** Waits, and remembers how it ended. */
  function wait(id: string, { version = 0, ms = 10_000, signal = new AbortController().signal } = {}) {
    const one = { ended: undefined as boolean | undefined };
    void changes.after({ id, version }, ms, signal).then((toRead) => (one.ended = toRead));
    return one;
  }

  return {
    ...changes,
    clock,
    stored,
    polls,
    logged,
    wait,
    down: (now: boolean) => void (isDown = now),
    hold: (until: Promise<unknown> | undefined) => void (hold = until),
  };
}

const order = newId();

describe('a wait for a change of an order', () => {
  it('ends when a poll finds a higher version, and only for that order', async () => {
    const { clock, stored, wait } = setUp();
    const other = newId();
    stored.set(order, 3).set(other, 3);
    const waits = [wait(order, { version: 3 }), wait(order, { version: 3 }), wait(other, { version: 3 })];

    await clock.advance(3 * POLL_MS);
    expect(waits.map(({ ended }) => ended)).toEqual([undefined, undefined, undefined]);
    stored.set(order, 4);
    await clock.advance(POLL_MS);

    expect(waits.map(({ ended }) => ended)).toEqual([true, true, undefined]);
  });

  it('ends at once when this replica changes the order, without a poll', async () => {
    const { clock, polls, changed, wait } = setUp();
    const [waiting, later] = [wait(order), wait(order, { version: 1 })];

    changed({ id: newId(), version: 1 });
    changed({ id: order, version: 0 });
    await clock.advance(0);
    expect([waiting.ended, later.ended]).toEqual([undefined, undefined]);
    changed({ id: order, version: 1 });
    await clock.advance(0);

    expect([waiting.ended, later.ended, polls.length]).toEqual([true, undefined, 0]);
  });

  it('does not end for an answer that is older than what its caller has seen', async () => {
    const { clock, stored, hold, wait } = setUp();
    stored.set(order, 1);
    let answer = (): void => {};
    hold(new Promise<void>((resolve) => (answer = resolve)));
    const first = wait(order, { version: 1 });
    await clock.advance(POLL_MS);
    stored.set(order, 2);
    const second = wait(order, { version: 2 });
    answer();
    hold(undefined);
    await clock.advance(0);
    expect([first.ended, second.ended]).toEqual([undefined, undefined]);
    await clock.advance(POLL_MS);

    expect([first.ended, second.ended]).toEqual([true, undefined]);
  });

  it('ends when its time is up', async () => {
    const { clock, wait } = setUp();
    const waiting = wait(order, { ms: 1_000 });

    await clock.advance(999);
    expect(waiting.ended).toBeUndefined();
    await clock.advance(1);

    expect(waiting.ended).toBe(true);
  });

  it('ends when nobody needs its answer any more, or is not begun', async () => {
    const { clock, wait } = setUp();
    const [client, another] = [new AbortController(), new AbortController()];
    const waiting = wait(order, { signal: client.signal });

    client.abort();
    another.abort();
    const tooLate = wait(order, { signal: another.signal });
    await clock.advance(0);

    expect([waiting.ended, tooLate.ended]).toEqual([false, false]);
  });

  it('goes on while the database is unavailable', async () => {
    const { clock, stored, down, logged, wait } = setUp();
    const waiting = wait(order);
    down(true);
    stored.set(order, 1);

    await clock.advance(4 * POLL_MS);
    expect(waiting.ended).toBeUndefined();
    expect(logged).toHaveLength(4);
    expect(logged.every((line) => line.startsWith('debug '))).toBe(true);
    down(false);
    await clock.advance(POLL_MS);

    expect(waiting.ended).toBe(true);
  });
});

describe('all waits of a replica', () => {
  it('share one query each time, however many they are', async () => {
    const { clock, stored, polls, wait } = setUp();
    const ids = Array.from({ length: 500 }, newId);
    const waits = [...ids, ...ids].map((id) => wait(id));

    await clock.advance(4 * POLL_MS);
    expect(polls).toHaveLength(4);
    for (const asked of polls) expect([...asked].sort()).toEqual([...ids].sort());
    for (const id of ids) stored.set(id, 1);
    await clock.advance(POLL_MS);

    expect(waits.filter(({ ended }) => ended === true)).toHaveLength(1_000);
    expect(polls).toHaveLength(5);
  });

  it.each([
    ['their time is up', 'time'],
    ['their clients are gone', 'clients'],
    ['the orders have changed', 'change'],
    ['the replica stops', 'end'],
  ])('leave no timer, listener or query when %s', async (_, how) => {
    const { clock, stored, polls, changed, end, wait } = setUp();
    const clients = Array.from({ length: 3 }, () => new AbortController());
    const removed = clients.map(({ signal }) => jest.spyOn(signal, 'removeEventListener'));
    const waits = clients.map(({ signal }) => wait(order, { ms: 5 * POLL_MS, signal }));
    await clock.advance(POLL_MS);
    expect([polls.length, clock.pendingTimers()]).toEqual([1, 4]);

    if (how === 'time') await clock.advance(4 * POLL_MS);
    if (how === 'clients') for (const client of clients) client.abort();
    if (how === 'change') changed({ id: order, version: 1 });
    if (how === 'end') end();
    await clock.advance(0);

    expect(waits.every(({ ended }) => ended !== undefined)).toBe(true);
    expect(clock.pendingTimers()).toBe(0);
    for (const spy of removed) expect(spy).toHaveBeenCalledTimes(1);
    const before = polls.length;
    stored.set(order, 9);
    await clock.advance(10 * POLL_MS);
    expect(polls).toHaveLength(before);
  });

  it('are looked for again when another one comes after a break', async () => {
    const { clock, stored, changed, wait } = setUp();
    wait(order);
    changed({ id: order, version: 1 });
    stored.set(order, 2);
    const later = wait(order, { version: 1 });

    await clock.advance(POLL_MS);

    expect(later.ended).toBe(true);
  });

  it('are 10,000 at most: a further one is answered at once, until one has ended', async () => {
    const { clock, changed, wait } = setUp();
    const first = wait(order);
    for (let i = 1; i < 10_000; i += 1) wait(newId());

    const further = wait(newId());
    await clock.advance(0);
    expect([first.ended, further.ended]).toEqual([undefined, false]);
    changed({ id: order, version: 1 });
    const next = wait(newId());
    await clock.advance(0);

    expect([first.ended, next.ended]).toEqual([true, undefined]);
  });

  it('end when the replica stops, and none begins after that', async () => {
    const { clock, polls, end, wait } = setUp();
    const waiting = wait(order);
    end();
    const later = wait(order);
    await clock.advance(0);

    expect([waiting.ended, later.ended]).toEqual([true, false]);
    await clock.advance(2 * POLL_MS);
    expect(polls).toEqual([]);
  });
});
