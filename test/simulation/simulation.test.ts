import { PLANTED } from './planted';
import { simulate } from './run';

/** More are looked at by `npm run simulate -- --seeds N`. */
const SEEDS = 200;
/** How many seeds a planted bug may hide from. */
const PATIENCE = 150;

const range = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

describe('a simulation', () => {
  it('keeps every promise, whatever goes wrong', async () => {
    const failures: string[] = [];
    for (const seed of range(SEEDS)) {
      const { failure, steps } = await simulate(seed);
      if (failure) failures.push(`seed ${seed}: ${failure.message}`);
      expect(steps).toBeGreaterThan(100);
    }
    expect(failures).toEqual([]);
  }, 120_000);

  it('publishes nothing twice where nothing goes wrong', async () => {
    for (const seed of range(20)) {
      expect((await simulate(seed, { faultless: true })).failure).toBeUndefined();
    }
  }, 60_000);

  it('is the same for the same seed', async () => {
    const first = await simulate(7);
    await simulate(8);
    const again = await simulate(7);
    expect(again.hash).toBe(first.hash);
    expect(again.steps).toBe(first.steps);
  });

  it.each(Object.keys(PLANTED))(
    'catches: %s',
    async (name) => {
      for (const seed of range(PATIENCE)) {
        if ((await simulate(seed, PLANTED[name])).failure) return;
      }
      throw new Error(`no seed up to ${PATIENCE} shows it`);
    },
    120_000,
  );
});
