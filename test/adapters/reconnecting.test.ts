import { createNatsStreamingBus } from '../../src/adapters/nats-streaming/bus';
import { eventually } from '../support/eventually';
import { startMongoStore } from '../support/mongo-store';
import { freePort } from '../support/server-process';
import { silentLog } from '../support/silent';
import { createSkewedClock } from '../support/skewed-clock';

/** A clock whose pauses are noted, and over at once. Chance makes them a tenth longer. */
function createHurriedClock() {
  const pauses: number[] = [];
  return {
    pauses,
    clock: {
      ...createSkewedClock(),
      random: () => 0.6,
      after(ms: number, task: () => void) {
        pauses.push(Math.round(ms));
        const timer = setImmediate(task);
        return () => clearImmediate(timer);
      },
    },
  };
}

describe('a server that is unavailable for long', () => {
  it('is tried twice a second in the end: the broker', async () => {
    const { pauses, clock } = createHurriedClock();
    let retries = 0;
    const bus = createNatsStreamingBus({
      url: `nats://127.0.0.1:${await freePort()}`,
      clusterId: 'c',
      clientId: 'c',
      queueGroup: 'g',
      redeliveryWaitSeconds: 1,
      ackTimeoutMs: 1_000,
      maxInFlight: () => 1,
      clock,
      log: silentLog,
      onRetry: () => (retries += 1),
    });
    bus.start();
    await eventually(() => expect(retries).toBeGreaterThan(12));
    await bus.close();

    // The others are how long connecting and closing may take, whatever the attempt.
    const growing = pauses.filter((ms) => ms < 1_000);
    expect(growing.slice(0, 3)).toEqual([110, 220, 440]);
    expect(new Set(growing.slice(3))).toEqual(new Set([500]));
    expect(growing.length).toBeGreaterThan(10);
  });

  it('is tried less and less often, every five seconds in the end: the database', async () => {
    const { pauses, clock } = createHurriedClock();
    let retries = 0;
    // What the driver refuses by itself, so that no attempt takes long.
    const store = startMongoStore({ url: 'mongodb://', clock, onRetry: () => (retries += 1) });
    await eventually(() => expect(retries).toBeGreaterThan(12));
    await store.close();

    // The others are of the loop that compares the clocks.
    const growing = pauses.filter((ms) => ms <= 5_000);
    expect(growing.slice(0, 7)).toEqual([220, 440, 880, 1_760, 3_520, 5_000, 5_000]);
    expect(new Set(growing.slice(7))).toEqual(new Set([5_000]));
  });
});
