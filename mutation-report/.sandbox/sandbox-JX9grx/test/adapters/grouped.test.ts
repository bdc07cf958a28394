import { grouped } from '../../src/adapters/mongo/grouped';

/** A call that ends when the test says so. */
function createCall() {
  const groups: (readonly number[])[] = [];
  const waiting: { answer: (results: readonly number[]) => void; fail: (error: Error) => void }[] = [];
  const run = (items: readonly number[]) =>
    new Promise<readonly number[]>((answer, fail) => {
      groups.push(items);
      waiting.push({ answer, fail });
    });
  /** Answers the oldest call with ten times each item. */
  const answer = async (results = groups.at(-waiting.length)!.map((item) => item * 10)) => {
    waiting.shift()!.answer(results);
    await turn();
  };
  const fail = async (error: Error) => {
    waiting.shift()!.fail(error);
    await turn();
  };
  return { run, groups, answer, fail };
}

async function turn(): Promise<void> {
  for (let i = 0; i < 3; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('grouped calls', () => {
  it('go together with what came in the same turn, and each caller gets its own result', async () => {
    const { run, groups, answer } = createCall();
    const ask = grouped(run, 10);

    const results = Promise.all([1, 2, 3].map(ask));
    await turn();
    await answer();

    expect(groups).toEqual([[1, 2, 3]]);
    expect(await results).toEqual([10, 20, 30]);
  });

  it('wait while one is on its way, and then go together', async () => {
    const { run, groups, answer } = createCall();
    const ask = grouped(run, 10);

    const first = ask(1);
    await turn();
    const later = [ask(2)];
    await turn();
    later.push(ask(3));
    await turn();
    expect(groups).toEqual([[1]]);
    await answer();

    expect(groups).toEqual([[1], [2, 3]]);
    await answer();
    expect(await Promise.all([first, ...later])).toEqual([10, 20, 30]);
  });

  it('are no larger than the limit', async () => {
    const { run, groups, answer } = createCall();
    const ask = grouped(run, 2);

    const results = Promise.all([1, 2, 3, 4, 5].map(ask));
    await turn();
    for (let i = 0; i < 3; i += 1) await answer();

    expect(groups).toEqual([[1, 2], [3, 4], [5]]);
    expect(await results).toEqual([10, 20, 30, 40, 50]);
  });

  it('fail together, and the next ones do not', async () => {
    const { run, answer, fail } = createCall();
    const ask = grouped(run, 2);

    const results = Promise.allSettled([1, 2, 3].map(ask));
    await turn();
    await fail(new Error('broken'));
    await answer();

    expect(await results).toMatchObject([
      { status: 'rejected', reason: { message: 'broken' } },
      { status: 'rejected', reason: { message: 'broken' } },
      { status: 'fulfilled', value: 30 },
    ]);
  });

  it('reject when the call throws before it begins', async () => {
    const ask = grouped<number, number>(() => {
      throw new Error('at once');
    }, 2);

    await expect(ask(1)).rejects.toThrow('at once');
    await expect(ask(2)).rejects.toThrow('at once');
  });

  it('give nobody the result of another when their number is wrong', async () => {
    const { run, answer } = createCall();
    const ask = grouped(run, 10);

    const results = Promise.allSettled([1, 2].map(ask));
    await turn();
    await answer([10]);

    expect((await results).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });

  it('begin again after a pause', async () => {
    const { run, groups, answer } = createCall();
    const ask = grouped(run, 10);
    for (const item of [1, 2]) {
      const result = ask(item);
      await turn();
      await answer();
      expect(await result).toBe(item * 10);
    }

    expect(groups).toEqual([[1], [2]]);
  });
});
