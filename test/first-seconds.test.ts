import { createMemoryBroker } from '../src/adapters/memory/bus';
import { connectMemoryStore, createMemoryDatabase } from '../src/adapters/memory/store';
import { createCore } from '../src/wiring/core';
import { createTestClock } from './support/clock';
import { silentLog, silentMetrics } from './support/silent';

const ticket = { id: 'b'.repeat(24), version: 0, title: 'Concert', price: 10, userId: 'seller' };

/** The core on a memory store whose readiness is told to it, and a broker that has a ticket waiting. */
async function setUp() {
  const clock = createTestClock();
  const store = connectMemoryStore(createMemoryDatabase(), { replicaId: 'r', clock, leaseMs: 15_000 });
  const broker = createMemoryBroker({ clock, log: silentLog, redeliveryWaitSeconds: 5 });
  const bus = broker.connect({ queueGroup: 'g' });
  bus.start();
  const publishing = bus.publish('ticket:created', JSON.stringify(ticket));
  await clock.advance(0);
  await publishing;
  const verdicts: string[] = [];
  let ready = false;
  let stops = 0;
  const core = createCore({
    store: { ...store, ready: () => ready },
    bus: { ...bus, stopReceiving: () => ((stops += 1), bus.stopReceiving()) },
    clock,
    newId: () => 'a'.repeat(24),
    metrics: {
      ...silentMetrics,
      messageHandled: (subject, verdict) => verdicts.push(`${subject} ${verdict}`),
    },
    log: silentLog,
    expiration: { windowSeconds: 900, graceSeconds: 60, catchUpSeconds: 15, catchUpLimitSeconds: 600 },
    maxOpenOrdersPerUser: 0,
  });
  return {
    clock,
    core,
    verdicts,
    stops: () => stops,
    databaseIs(isReady: boolean) {
      ready = isReady;
      core.databaseChanged(isReady);
    },
  };
}

describe('the first seconds', () => {
  it('leave with the broker what waits there until the database is ready, and hear each message once', async () => {
    const { core, clock, verdicts, databaseIs } = await setUp();
    core.subscribe();
    await clock.advance(60_000);
    expect(verdicts).toEqual([]);
    databaseIs(true);
    await clock.advance(60_000);
    expect(verdicts).toEqual(['ticket:created done']);
    databaseIs(false);
    databaseIs(true);
    await clock.advance(60_000);
    expect(verdicts).toEqual(['ticket:created done']);
  });

  it('hear nothing where the service is stopped before the database is ready', async () => {
    const { core, clock, verdicts, databaseIs, stops } = await setUp();
    core.subscribe();
    const stopping = core.stopReceiving();
    await clock.advance(0);
    await stopping;
    databaseIs(true);
    await clock.advance(60_000);
    expect([verdicts, stops()]).toEqual([[], 1]);
  });

  it('hear nothing before they are asked to', async () => {
    const { core, clock, verdicts, databaseIs } = await setUp();
    databaseIs(true);
    await clock.advance(60_000);
    expect(verdicts).toEqual([]);
    core.subscribe();
    await clock.advance(60_000);
    expect(verdicts).toEqual(['ticket:created done']);
  });
});
