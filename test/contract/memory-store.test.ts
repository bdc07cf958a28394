import { connectMemoryStore, createMemoryDatabase } from '../../src/adapters/memory/store';
import { createSkewedClock } from '../support/skewed-clock';
import { newPlacement } from '../support/placements';
import { LEASE_MS, type StoreHarness } from './store-harness';
import { storeContract } from './store.contract';

function openMemory(): StoreHarness {
  const database = createMemoryDatabase();
  const ticking = createSkewedClock();
  const startedAt = Date.now() - ticking.monotonic();
  const clock = { ...ticking, now: () => new Date(startedAt + ticking.monotonic()) };
  return {
    connect: async (replicaId) => connectMemoryStore(database, { replicaId, clock, leaseMs: LEASE_MS }),
    monotonic: ticking.monotonic,
    advance: ticking.advance,
    close: () => Promise.resolve(),
  };
}

describe('the store in memory', () => {
  storeContract(async () => openMemory());

  it('answers later than it is asked, so that callers interleave as they would with a server', async () => {
    const { orders } = await openMemory().connect('a');
    let answered = false;
    const inserting = orders.insert(newPlacement()).then(() => {
      answered = true;
    });

    for (let i = 0; i < 10; i += 1) await Promise.resolve();

    expect(answered).toBe(false);
    await inserting;
  });
});
