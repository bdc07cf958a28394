import { unmet } from './coverage';
import { PLANTED } from './planted';
import { simulate } from './run';
import { simulateSeeds, type SeedOutcome } from './seeds';

/** More are looked at by `npm run simulate -- --seeds N`. */
const SEEDS = 2_000;
const FEWEST_STEPS = 100;
/** How many seeds a planted bug may hide from. */
const PATIENCE = 2_000;

const range = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

async function simulateAll() {
  const outcomes: SeedOutcome[] = [];
  const totals = await simulateSeeds(
    { first: 1, count: SEEDS },
    { onOutcome: (outcome) => outcomes.push(outcome) },
  );
  return { outcomes, totals };
}

/** Once for all who look at it. */
let run: ReturnType<typeof simulateAll> | undefined;
const all = () => (run ??= simulateAll());

describe('a simulation', () => {
  it('keeps every promise, whatever goes wrong', async () => {
    const { outcomes } = await all();

    const broken = outcomes.flatMap(({ seed, failure }) => (failure ? [`${seed}: ${failure.message}`] : []));
    expect(broken).toEqual([]);
    expect(outcomes).toHaveLength(SEEDS);
    expect(Math.min(...outcomes.map(({ steps }) => steps))).toBeGreaterThanOrEqual(FEWEST_STEPS);
  }, 300_000);

  it('meets everything that can go wrong, and every state with every input', async () => {
    const { totals } = await all();

    expect(unmet(totals)).toEqual([]);
  }, 300_000);

  it('is the same for the same seed, in any process and whatever was simulated before', async () => {
    const { outcomes } = await all();

    for (const seed of [7, 1_204, 7]) {
      const { hash, steps } = await simulate(seed);
      expect(outcomes.find((outcome) => outcome.seed === seed)).toMatchObject({ hash, steps });
    }
  }, 300_000);

  it('publishes nothing twice where nothing goes wrong', async () => {
    for (const seed of range(20)) {
      expect((await simulate(seed, { faultless: true })).failure).toBeUndefined();
    }
  }, 60_000);

  it.each(Object.entries(PLANTED))(
    'catches: %s',
    async (_, { breaks, ...options }) => {
      for (const seed of range(PATIENCE)) {
        const { failure } = await simulate(seed, options);
        if (!failure) continue;
        expect(breaks).toContain(failure.invariant);
        return;
      }
      throw new Error(`no seed up to ${PATIENCE} shows it`);
    },
    300_000,
  );
});
