import { createLifecycle, type Part } from '../../src/wiring/lifecycle';
import { silentLog } from '../support/silent';

/** Longer than any test: only what a test lets end, ends. */
const NO_DEADLINE_MS = 60_000;

function setUp({ deadlineMs = NO_DEADLINE_MS } = {}) {
  const steps: string[] = [];
  const errors: object[] = [];
  const log = { ...silentLog, error: (fields: object) => void errors.push(fields) };
  const part = (
    name: string,
    { start = async () => {}, stop = async () => {} }: Partial<Part> = {},
  ): Part => ({
    name,
    async start() {
      steps.push(`start ${name}`);
      await start();
      steps.push(`${name} is started`);
    },
    async stop() {
      steps.push(`stop ${name}`);
      await stop();
      steps.push(`${name} is stopped`);
    },
  });
  return { steps, errors, part, of: (...parts: Part[]) => createLifecycle(parts, { deadlineMs, log }) };
}

function gate() {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('the parts of a process', () => {
  it('are started one after the other, and stopped the other way round, each when the one before it is done', async () => {
    const { steps, part, of } = setUp();
    const slowly = { start: turn, stop: turn } as unknown as Partial<Part>;
    const lifecycle = of(part('a', slowly), part('b', slowly), part('c', slowly));

    await lifecycle.start();
    expect(steps).toEqual(['a', 'b', 'c'].flatMap((name) => [`start ${name}`, `${name} is started`]));
    steps.length = 0;

    expect(await lifecycle.stop()).toBe(true);
    expect(steps).toEqual(['c', 'b', 'a'].flatMap((name) => [`stop ${name}`, `${name} is stopped`]));
  });

  it('need neither a start nor a stop', async () => {
    const { of } = setUp();
    const lifecycle = of({ name: 'still' });
    await lifecycle.start();
    expect(await lifecycle.stop()).toBe(true);
  });

  it('are all stopped, though one of them fails at it, and it is said which', async () => {
    const { steps, errors, part, of } = setUp();
    const failure = new Error('it would not');
    const failing = { stop: () => Promise.reject(failure) };
    const lifecycle = of(part('a'), part('b', failing), part('c'));
    await lifecycle.start();

    expect(await lifecycle.stop()).toBe(true);

    expect(steps.filter((step) => step.startsWith('stop '))).toEqual(['stop c', 'stop b', 'stop a']);
    expect(steps).toContain('a is stopped');
    expect(errors).toEqual([{ err: failure, part: 'b' }]);
  });

  it('are all stopped, though one of them throws before it begins', async () => {
    const { steps, part, of } = setUp();
    const throwing: Part = {
      name: 'b',
      stop() {
        throw new Error('at once');
      },
    };
    const lifecycle = of(part('a'), throwing);
    await lifecycle.start();
    expect(await lifecycle.stop()).toBe(true);
    expect(steps).toContain('a is stopped');
  });

  it('are not started any further where one of them cannot be, and what was begun is stopped', async () => {
    const { steps, part, of } = setUp();
    const lifecycle = of(part('a'), part('b', { start: () => Promise.reject(new Error('no')) }), part('c'));

    await expect(lifecycle.start()).rejects.toThrow('no');
    expect(await lifecycle.stop()).toBe(true);

    expect(steps).not.toContain('start c');
    expect(steps.filter((step) => step.startsWith('stop '))).toEqual(['stop b', 'stop a']);
  });

  it('are not started any further once they are to stop', async () => {
    const { steps, part, of } = setUp();
    const starting = gate();
    const lifecycle = of(part('a'), part('b', { start: () => starting.opened }), part('c'));

    const started = lifecycle.start();
    await turn();
    expect(steps.at(-1)).toBe('start b');
    expect(await lifecycle.stop()).toBe(true);
    starting.open();
    await started;

    expect(steps).not.toContain('start c');
    expect(steps.filter((step) => step.startsWith('stop '))).toEqual(['stop b', 'stop a']);
  });

  it('are stopped once, however often they are told to, and each caller hears how that ended', async () => {
    const { steps, part, of } = setUp();
    const stopping = gate();
    const lifecycle = of(part('a', { stop: () => stopping.opened }));
    await lifecycle.start();

    const calls = [lifecycle.stop(), lifecycle.stop()];
    stopping.open();

    expect(await Promise.all([...calls, lifecycle.stop()])).toEqual([true, true, true]);
    expect(steps.filter((step) => step === 'stop a')).toHaveLength(1);
  });

  it('are given up when the deadline has come', async () => {
    const { steps, part, of } = setUp({ deadlineMs: 1 });
    const lifecycle = of(part('a'), part('b', { stop: () => new Promise(() => {}) }));
    await lifecycle.start();

    expect(await lifecycle.stop()).toBe(false);
    expect(steps.at(-1)).toBe('stop b');
  });

  it('leave no timer of the deadline behind when they end in time', async () => {
    const { part, of } = setUp();
    const lifecycle = of(part('a'));
    await lifecycle.start();
    const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
    const before = timers();
    await lifecycle.stop();
    expect(timers()).toBe(before);
  });

  it('drain from the moment on that they are told to stop', async () => {
    const { part, of } = setUp();
    const stopping = gate();
    const lifecycle = of(part('a', { stop: () => stopping.opened }));
    await lifecycle.start();
    expect(lifecycle.draining()).toBe(false);

    const stopped = lifecycle.stop();
    expect(lifecycle.draining()).toBe(true);
    stopping.open();
    await stopped;
    expect(lifecycle.draining()).toBe(true);
  });

  it('say of each that it is stopped', async () => {
    const said: unknown[] = [];
    const log = {
      ...silentLog,
      debug: (fields: object, text: string) => void said.push({ ...fields, text }),
    };
    const lifecycle = createLifecycle([{ name: 'a' }, { name: 'b' }], { deadlineMs: NO_DEADLINE_MS, log });
    await lifecycle.start();
    await lifecycle.stop();
    expect(said).toEqual([
      { part: 'b', text: 'stopped' },
      { part: 'a', text: 'stopped' },
    ]);
  });
});
