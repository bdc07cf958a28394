import { Unavailable } from '../../src/application/ports';
import { backoff, createLoop, reportTo, untilKnown } from '../../src/application/schedule';
import { createSlots } from '../../src/application/slots';
import { createTestClock } from '../support/clock';

describe('a loop', () => {
  function setUp(task: () => Promise<void | 'again'>) {
    const clock = createTestClock();
    const errors: unknown[] = [];
    const loop = createLoop({ clock, everyMs: 1_000, task, onError: (error) => errors.push(error) });
    return { clock, loop, errors };
  }

  it('runs its task every so often until it is stopped', async () => {
    let runs = 0;
    const { clock, loop } = setUp(async () => void (runs += 1));
    loop.start();
    await clock.advance(3_000);
    expect(runs).toBe(3);
    await loop.stop();
    await clock.advance(10_000);
    expect(runs).toBe(3);
    expect(clock.pendingTimers()).toBe(0);
  });

  it('goes on at once when there is more', async () => {
    let left = 5;
    const { clock, loop } = setUp(async () => (--left > 0 ? 'again' : undefined));
    loop.start();
    await clock.advance(1_000);
    expect(left).toBe(0);
  });

  it('does not run before it is started, nor later because it is woken for later', async () => {
    let runs = 0;
    const { clock, loop } = setUp(async () => void (runs += 1));
    loop.wake();
    await clock.advance(10_000);
    expect(runs).toBe(0);
    loop.start();
    await clock.advance(900);
    loop.wake(1_000);
    await clock.advance(100);
    expect(runs).toBe(1);
    await loop.stop();
  });

  it('survives a failing run and reports it', async () => {
    let runs = 0;
    const { clock, loop, errors } = setUp(async () => {
      runs += 1;
      throw new Error('no');
    });
    loop.start();
    await clock.advance(2_000);
    expect(runs).toBe(2);
    expect(errors).toHaveLength(2);
  });

  it('runs sooner when woken, and again right after a run during which it was woken', async () => {
    let runs = 0;
    let finish = () => {};
    const { clock, loop } = setUp(() => {
      runs += 1;
      return new Promise((resolve) => (finish = resolve));
    });
    loop.start();
    loop.wake(10);
    await clock.advance(10);
    expect(runs).toBe(1);
    loop.wake();
    await clock.advance(500);
    expect(runs).toBe(1);
    finish();
    await clock.advance(0);
    expect(runs).toBe(2);
  });

  it('is stopped only when the run in flight has ended', async () => {
    let finish = () => {};
    const { clock, loop } = setUp(() => new Promise((resolve) => (finish = resolve)));
    loop.start();
    await clock.advance(1_000);
    let stopped = false;
    const stopping = loop.stop().then(() => (stopped = true));
    await clock.advance(0);
    expect(stopped).toBe(false);
    finish();
    await stopping;
    expect(clock.pendingTimers()).toBe(0);
  });
});

describe('a backoff', () => {
  it('doubles up to its longest', () => {
    const clock = { random: () => 0.5 };
    const delays = [1, 2, 3, 10, 1_000].map((attempt) =>
      backoff(clock, attempt, { firstMs: 10, longestMs: 100 }),
    );
    expect(delays).toEqual([10, 20, 40, 100, 100]);
  });
});

describe('slots', () => {
  function setUp(limit: number) {
    const log: string[] = [];
    const slots = createSlots({
      limit,
      mostWaiting: 1,
      onError: (error, key) => log.push(`${key} failed: ${String(error)}`),
    });
    const gates = new Map<string, () => void>();
    const work = (name: string) => async () => {
      log.push(`${name} begins`);
      await new Promise<void>((resolve) => gates.set(name, resolve));
      log.push(`${name} ends`);
    };
    return { slots, log, work, open: (name: string) => gates.get(name)?.() };
  }

  it('works at no more keys at once than it has', async () => {
    const { slots, log, work, open } = setUp(1);
    void slots.take('a', work('a'));
    void slots.take('b', work('b'));
    expect(log).toEqual(['a begins']);
    open('a');
    await new Promise((resolve) => setImmediate(resolve));
    expect(log).toEqual(['a begins', 'a ends', 'b begins']);
    open('b');
    await slots.close();
  });

  it('works at a key by one slot at a time, in the order in which it was asked to', async () => {
    const { slots, log, work, open } = setUp(2);
    const first = slots.take('a', work('first'));
    const second = slots.take('a', work('second'));
    expect(log).toEqual(['first begins']);
    expect([slots.isAt('a'), slots.isAt('b')]).toEqual([true, false]);
    open('first');
    await first;
    await new Promise((resolve) => setImmediate(resolve));
    expect(log).toEqual(['first begins', 'first ends', 'second begins']);
    open('second');
    await second;
    await new Promise((resolve) => setImmediate(resolve));
    expect(slots.isAt('a')).toBe(false);
  });

  it('lets other keys have a slot between two works at one', async () => {
    const { slots, log, work, open } = setUp(1);
    void slots.take('a', work('first'));
    void slots.take('a', work('second'));
    void slots.take('b', work('other'));
    for (const name of ['first', 'other', 'second']) {
      open(name);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(log.filter((line) => line.endsWith('begins'))).toEqual([
      'first begins',
      'other begins',
      'second begins',
    ]);
  });

  it('has room while fewer keys wait for a slot than may', async () => {
    const { slots, work, open } = setUp(1);
    await slots.room();
    void slots.take('a', work('a'));
    await slots.room();
    void slots.take('b', work('b'));
    expect(slots.hasRoom()).toBe(false);
    let hasRoom = false;
    const room = slots.room().then(() => (hasRoom = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(hasRoom).toBe(false);
    open('a');
    await room;
    expect(slots.hasRoom()).toBe(true);
    open('b');
  });

  it('reports what fails and goes on', async () => {
    const { slots, log } = setUp(1);
    await slots.take('a', () => Promise.reject(new Error('no')));
    await slots.take('b', () => Promise.resolve(void log.push('b done')));
    expect(log).toEqual(['a failed: Error: no', 'b done']);
  });

  it('is closed when the last of all work has ended, and at once without any', async () => {
    const { slots, work, open } = setUp(2);
    void slots.take('a', work('a'));
    void slots.take('b', work('b'));
    let closed = false;
    const closing = slots.close().then(() => (closed = true));
    open('a');
    await new Promise((resolve) => setImmediate(resolve));
    expect(closed).toBe(false);
    open('b');
    await closing;
    await slots.close();
  });

  it('takes nothing more once closed, but where it is at work, and is closed when all is done', async () => {
    const { slots, log, work, open } = setUp(1);
    void slots.take('a', work('a'));
    void slots.take('b', work('b'));
    const closed = slots.close();
    await slots.take('c', work('c'));
    void slots.take('a', work('more of a'));
    for (const name of ['a', 'b', 'more of a']) {
      open(name);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await closed;
    expect(log.filter((line) => line.endsWith('begins'))).toEqual([
      'a begins',
      'b begins',
      'more of a begins',
    ]);
  });
});

describe('what a loop says of an error', () => {
  it.each([
    [
      'nothing loud while the database is unavailable: that was said once',
      new Unavailable('unavailable'),
      'debug',
    ],
    ['all there is to say of any other', new Error('a mistake'), 'warn'],
  ])('is %s', (_, error, level) => {
    const said: unknown[] = [];
    const log = { debug: say('debug'), warn: say('warn') };
    reportTo(log, 'the sweep failed')(error);
    expect(said).toEqual([[level, { err: error }, 'the sweep failed']]);

    function say(level: string) {
      return (fields: object, message: string) => void said.push([level, fields, message]);
    }
  });
});

describe('what is attempted until its outcome is known', () => {
  const setUp = (
    outcomes: readonly (string | undefined)[],
    limits: { withinMs: number; attempts?: number; atLeast?: number },
  ) => {
    const clock = createTestClock();
    const pauses: number[] = [];
    let attempts = 0;
    let retries = 0;
    const attempt = async () => {
      await clock.advance(1_000);
      return outcomes[attempts++];
    };
    const outcome = untilKnown(attempt, {
      ...limits,
      clock: { ...clock, after: (ms, task) => (pauses.push(ms), setImmediate(task), () => {}) },
      pauses: { firstMs: 50, longestMs: 150 },
      onRetry: () => (retries += 1),
    });
    return { outcome, pauses, attempts: () => attempts, retries: () => retries };
  };

  it('is attempted again with growing pauses, each of which is counted', async () => {
    const { outcome, pauses, retries } = setUp([undefined, undefined, undefined, 'x'], { withinMs: 9_000 });
    expect(await outcome).toBe('x');
    expect([pauses, retries()]).toEqual([[50, 100, 150], 3]);
  });

  it.each([
    [undefined, 1],
    [2, 2],
  ])('is attempted at least %s times, and not again when time is up', async (atLeast, expected) => {
    const { outcome, attempts, retries } = setUp([], { withinMs: 500, ...(atLeast && { atLeast }) });
    expect(await outcome).toBeUndefined();
    expect([attempts(), retries()]).toEqual([expected, expected - 1]);
  });

  it('is attempted no more often than it may', async () => {
    const { outcome, attempts, retries } = setUp([], { withinMs: 60_000, attempts: 3 });
    expect(await outcome).toBeUndefined();
    expect([attempts(), retries()]).toEqual([3, 2]);
  });
});
