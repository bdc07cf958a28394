import { createClosers } from '../../src/wiring/closers';

describe('closers', () => {
  it('close the last one first and once, and go on after one that fails', async () => {
    const done: string[] = [];
    const closers = createClosers((error) => void done.push((error as Error).message));
    for (const name of ['first', 'second', 'third']) {
      closers.add(async () => {
        if (name === 'second') throw new Error('failed');
        done.push(name);
      });
    }
    await closers.closeAll();
    await closers.closeAll();
    expect(done).toEqual(['third', 'failed', 'first']);
  });
});
