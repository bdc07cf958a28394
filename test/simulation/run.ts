import type { Config } from '../../src/config/load-config';
import type { OrderDocument } from '../invariants/stored-order';
import { createBroker, type BrokerFaults } from './broker';
import { createDatabase, type DatabaseFaults, type RewriteUpdate } from './database';
import { createInvariants, ticketOf, Violation } from './invariants';
import { startMarketplace } from './marketplace';
import { countingMetrics } from './metrics';
import { createSlot, LEASE_MS, startReplica, type Planted, type Replica, type Slot } from './replica';
import { createWorld, withClockOf, type World } from './world';

const REQUEST = { type: 'request', requestId: 'a-request' } as const;

/** All of it shorter than in the service, so that less has to happen until everything is over. */
const EXPIRATION = { windowSeconds: 0.4, graceSeconds: 0.2, catchUpLimitSeconds: 15 };
/** How soon a message that was not acknowledged comes again, and what expiry waits: more than that. */
const PACES = [
  { ackWaitMs: 500, catchUpSeconds: 1 },
  { ackWaitMs: 3_000, catchUpSeconds: 4 },
] as const;
/** The limits of open orders of a user; 0: none. Low, because there are few tickets. */
const MOST_OPEN = [0, 0, 1] as const;
/** Each time a replica sends something or gets to hear that it arrived. */
const CRASH_AT_A_POINT = 0.008;
const TICKETS = ['5f0000000000000000000001', '5f0000000000000000000002'];
const USERS = ['ann', 'bob', 'cid'];
/** How long faults last. */
const FAULTS_MS = 900;
/** How long it may take after the last of them until everything is as it should be. */
const CONVERGED_WITHIN_MS = 60_000;

const DATABASE_FAULTS: DatabaseFaults = {
  refused: 0.01,
  answerLost: 0.03,
  notAcknowledged: 0.02,
  late: 0.01,
};
const BROKER_FAULTS: BrokerFaults = {
  lost: 0.04,
  buffered: 0.05,
  answerLost: 0.06,
  lateAnswer: 0.08,
  duplicated: 0.1,
  ackLost: 0.05,
  delayed: 0.2,
};

/** Each seed draws how often each fault comes: some of them are met only where others are rare. */
const TIMES = [0, 1, 3] as const;

function scaled<T extends object>(rates: T, times: () => number): T {
  return Object.fromEntries(
    Object.entries(rates).map(([what, rate]) => [what, (rate as number) * times()]),
  ) as T;
}

const NO_DATABASE_FAULTS = scaled(DATABASE_FAULTS, () => 0);
const NO_BROKER_FAULTS = scaled(BROKER_FAULTS, () => 0);

/** How often what goes wrong is drawn on average, for whoever reads the table of what was met. */
export const RATES: Readonly<Record<string, number>> = {
  ...named('database', scaled(DATABASE_FAULTS, mean)),
  ...named('broker', scaled(BROKER_FAULTS, mean)),
  'replica crashes': CRASH_AT_A_POINT * mean(),
};

function mean(): number {
  return TIMES.reduce((sum: number, times) => sum + times, 0) / TIMES.length;
}

function named(where: string, rates: object): Record<string, number> {
  return Object.fromEntries(
    Object.entries(rates).map(([what, rate]) => [`${where}: ${what}`, rate as number]),
  );
}

/** What is put into a run to be caught by it. */
export interface Bug {
  readonly planted?: Planted;
  readonly missingIndexes?: readonly string[];
  readonly expiration?: Partial<Config['expiration']>;
  readonly trustsConnectionsInDoubt?: boolean;
  /** Changes every update before the database gets it. */
  readonly rewriteUpdate?: RewriteUpdate;
}

export interface Outcome {
  readonly seed: number;
  readonly steps: number;
  /** Of everything that happened: the same for the same seed, everywhere. */
  readonly hash: string;
  readonly hits: ReadonlyMap<string, number>;
  readonly checked: ReadonlyMap<string, number>;
  /** What went wrong, and all that led to it. */
  readonly failure?: {
    /** The name of the promise that was broken; undefined where something else was thrown. */
    readonly invariant: string | undefined;
    readonly message: string;
    readonly trace: readonly string[];
  };
}

const slots: Slot[] = [];

export interface Options {
  readonly bug?: Bug;
  /** Nothing goes wrong: then everything happens once. */
  readonly faultless?: boolean;
}

/** One simulation: replicas, a database, a broker and a marketplace, some seconds of faults, and the time after. */
export function simulate(seed: number, { bug = {}, faultless = false }: Options = {}): Promise<Outcome> {
  const world = createWorld(seed);
  return withClockOf(world, async () => {
    const run = createRun(world, bug, faultless);
    const outcome = () => ({
      seed,
      steps: world.steps(),
      hash: world.hash(),
      hits: world.hits,
      checked: run.invariants.checked,
    });
    try {
      await run.all();
      return outcome();
    } catch (error) {
      const isViolation = error instanceof Violation;
      const failure = {
        invariant: isViolation ? error.invariant : undefined,
        message: isViolation ? error.message : String((error as Error).stack),
        trace: world.lines,
      };
      return { ...outcome(), failure };
    }
  });
}

function asOrder(document: object): OrderDocument {
  return document as OrderDocument;
}

function createRun(world: World, bug: Bug, faultless: boolean) {
  const maxOpenOrdersPerUser = world.pick(MOST_OPEN);
  const invariants = createInvariants(world, { maxOpenOrdersPerUser });
  const director = world.createProcess('director');
  let faulty = true;
  let outageAtNextOrder = false;
  let databaseUpAt = 0;
  let violation: unknown;
  const changed = new Set<OrderDocument>();
  let ids = 0;

  /** Invariants are checked within callbacks of others, whose promises would swallow what is thrown. */
  function guard(check: () => void): void {
    try {
      check();
    } catch (error) {
      violation ??= error;
    }
  }

  const hasFaults = () => faulty && !faultless;
  const { ackWaitMs, catchUpSeconds } = world.pick(PACES);
  const times = () => world.pick(TIMES);
  const databaseFaults = scaled(DATABASE_FAULTS, times);
  const brokerFaults = scaled(BROKER_FAULTS, times);
  const crashAtAPoint = CRASH_AT_A_POINT * times();
  const database = createDatabase(world, {
    faults: () => (hasFaults() ? databaseFaults : NO_DATABASE_FAULTS),
    ...(bug.missingIndexes ? { missingIndexes: bug.missingIndexes } : {}),
    ...(bug.rewriteUpdate ? { rewriteUpdate: bug.rewriteUpdate } : {}),
    onChange(name, document) {
      if (name === 'orders') changed.add(asOrder(document));
    },
    onDurable(name, before, after) {
      if (name === 'orders') guard(() => invariants.becameDurable(before && asOrder(before), asOrder(after)));
    },
  });
  const broker = createBroker(world, {
    faults: () => (hasFaults() ? brokerFaults : NO_BROKER_FAULTS),
    ackWaitMs,
    ...(bug.trustsConnectionsInDoubt ? { trustsConnectionsInDoubt: true } : {}),
    onStored: (stored) => guard(() => invariants.stored(database, stored)),
    onDelivered: (...delivery) => guard(() => invariants.delivered(...delivery)),
    onAcknowledged: (stored) => guard(() => invariants.acknowledged(database, stored)),
    onPublished: (...publish) => guard(() => invariants.published(...publish)),
  });
  const metrics = countingMetrics(world);
  const marketplace = startMarketplace(world, broker, TICKETS);
  const count = world.chance(0.8) ? 2 : 3;
  const replicas: Replica[] = [];
  const starts: number[] = [];

  function start(slotIndex: number): void {
    while (slots.length <= slotIndex) slots.push(createSlot());
    starts[slotIndex] = (starts[slotIndex] ?? 0) + 1;
    replicas[slotIndex] = startReplica({
      world,
      slot: slots[slotIndex]!,
      database,
      broker,
      name: `replica-${slotIndex}.${starts[slotIndex]}`,
      expiration: { ...EXPIRATION, catchUpSeconds, ...bug.expiration },
      maxOpenOrdersPerUser,
      metrics,
      planted: bug.planted ?? {},
      newId: () => (ids += 1).toString(16).padStart(24, '0'),
      skew: world.between(-3_600_000, 3_600_000),
    });
  }

  // --- buyers -------------------------------------------------------------------------------------------

  function anyReplica(): Replica | undefined {
    const ready = replicas.filter((replica) => replica.ready());
    return ready.length > 0 ? world.pick(ready) : undefined;
  }

  function place(): void {
    const replica = anyReplica();
    if (!replica) return;
    const userId = world.pick(USERS);
    const ticketId = world.chance(0.03) ? 'f'.repeat(24) : world.pick(TICKETS);
    const key = world.chance(0.3) ? { idempotencyKey: `key-${Math.floor(world.random() * 4)}` } : {};
    const ticketBefore = ticketOf(database, ticketId);
    void replica.core.useCases.placeOrder({ userId, ticketId, cause: REQUEST, ...key }).then(
      (result) => {
        if (result.type === 'placed') {
          guard(() => invariants.soldElsewhere(database, ticketBefore, ticketId));
        }
        world.hit(`place: ${result.type}`);
        world.trace(`${replica.process.name} place ${userId} ${ticketId}: ${JSON.stringify(result)}`);
        if (result.type !== 'placed' && result.type !== 'replayed') return;
        guard(() => invariants.answered(database, 'placed', result.order.id, userId));
      },
      (error: Error) => unavailable('place', error),
    );
  }

  function cancel(): void {
    const replica = anyReplica();
    const orders = database.documents('orders');
    if (!replica || orders.length === 0) return;
    const order = world.pick(orders.slice(-4));
    const orderId = String(order._id);
    const userId = world.chance(0.1) ? 'mallory' : (order['userId'] as string);
    void replica.core.useCases.cancelOrder({ userId, orderId, cause: REQUEST }).then(
      (result) => {
        world.hit(`cancel: ${result}`);
        world.trace(`${replica.process.name} cancel ${orderId}: ${result}`);
        if (result === 'cancelled') {
          guard(() => invariants.answered(database, 'cancelled', orderId, userId));
        }
      },
      (error: Error) => unavailable('cancel', error),
    );
  }

  function unavailable(what: string, error: Error): void {
    if (error.name !== 'Unavailable')
      guard(() => {
        throw error;
      });
    world.hit(`${what}: unavailable`);
  }

  // --- what goes wrong ----------------------------------------------------------------------------------

  const FAULTS: readonly [weight: number, happen: () => void][] = [
    [2, () => crashReplica()],
    [2, outage],
    [1, () => stopReplica()],
    [1, stopAll],
    [2, freezeReplica],
    [3, crashDatabase],
    [2, planDatabaseOutage],
    [1, () => database.freeze(world.between(100, 2_000))],
    [2, crashBroker],
    [2, () => broker.cut()],
  ];

  function crashReplica(index = Math.floor(world.random() * count)): void {
    const replica = replicas[index]!;
    if (!replica.process.alive) return;
    world.hit('crash: replica');
    replica.crash();
    world.at(director, world.between(50, 600), () => start(index));
  }

  /** Crashes that hit where it hurts: between a write and its answer, a publish and its acknowledgement. */
  world.atEachPoint((process) => {
    if (!hasFaults() || !world.chance(crashAtAPoint)) return;
    const index = replicas.findIndex((replica) => replica.process === process);
    if (index >= 0) world.at(director, 0, () => crashReplica(index));
  });

  /** All of them at once: what peers send meanwhile is replayed, in no order between the subjects. */
  function outage(): void {
    world.hit('outage');
    const until = world.between(500, 1_500);
    for (const [index, { process, crash }] of replicas.entries()) {
      if (!process.alive) continue;
      crash();
      world.at(director, until, () => start(index));
    }
  }

  function stopReplica(index = Math.floor(world.random() * count)): void {
    const replica = replicas[index]!;
    if (!replica.process.alive) return;
    world.hit('stop: replica');
    const startNext = (): void => {
      // It crashed while it was stopping, and the next one is there already.
      if (replicas[index] !== replica) return;
      if (replica.process.alive) replica.crash();
      start(index);
    };
    void replica.stop().then(() => world.at(director, world.between(50, 600), startNext));
    // One that does not come to its end is killed.
    world.at(director, 4_000, startNext);
  }

  /** Nobody is left who hears messages. */
  function stopAll(): void {
    world.hit('stop: all replicas');
    for (let index = 0; index < count; index += 1) stopReplica(index);
  }

  function freezeReplica(): void {
    const replica = world.pick(replicas);
    // Sometimes for longer than its leases last.
    const ms = world.chance(0.2) ? LEASE_MS + 1_000 : world.between(50, 3_000);
    world.hit(ms > LEASE_MS ? 'freeze: replica, past its lease' : 'freeze: replica');
    world.freeze(replica.process, ms);
  }

  function crashDatabase(): void {
    keepDatabaseDown(world.between(50, 1_000));
  }

  function keepDatabaseDown(ms: number): void {
    database.crash();
    databaseUpAt = Math.max(databaseUpAt, world.elapsed() + ms);
    world.at(director, ms, () => {
      if (world.elapsed() >= databaseUpAt) database.restart();
    });
  }

  /** For longer than expiry waits, while the next order is paid: that must count after it anyway. */
  function planDatabaseOutage(): void {
    outageAtNextOrder = true;
  }

  broker.listen(({ subject, data }) => {
    if (!outageAtNextOrder || !hasFaults() || subject !== 'order:created') return;
    outageAtNextOrder = false;
    world.hit('crash: mongod, for longer than expiry waits');
    marketplace.payInTime((JSON.parse(data) as { id: string }).id);
    const limitMs = EXPIRATION.catchUpLimitSeconds * 1_000;
    keepDatabaseDown(world.between(1.1 * limitMs, 1.3 * limitMs));
  });

  function crashBroker(): void {
    broker.crash();
    world.at(director, world.between(50, 1_500), () => broker.restart());
  }

  function drawn(choices: readonly [weight: number, happen: () => void][]): () => void {
    let left = world.random() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, happen] of choices) if ((left -= weight) < 0) return happen;
    return choices[0]![1];
  }

  // --- the run ------------------------------------------------------------------------------------------

  function plan(everyMs: number, act: () => void): void {
    world.at(director, world.between(0, 2 * everyMs), () => {
      if (!faulty) return;
      act();
      plan(everyMs, act);
    });
  }

  async function step(): Promise<void> {
    await world.step();
    if (changed.size > 0) guard(() => invariants.afterStep(database, changed));
    changed.clear();
    if (violation) throw violation as Error;
  }

  async function until(holds: () => boolean): Promise<void> {
    while (!holds()) await step();
  }

  return {
    invariants,
    async all(): Promise<void> {
      for (let index = 0; index < count; index += 1) start(index);
      plan(40, place);
      plan(100, cancel);
      plan(200, marketplace.act);
      if (!faultless) plan(world.between(100, 500), () => drawn(FAULTS)());
      await until(() => world.elapsed() >= FAULTS_MS);
      faulty = false;
      marketplace.close();
      world.trace('no more faults');
      const deadline = Math.max(world.elapsed(), databaseUpAt) + CONVERGED_WITHIN_MS;
      let nextLook = 0;
      await until(() => {
        if (world.elapsed() < nextLook) return false;
        nextLook = world.elapsed() + 50;
        const graceMs = EXPIRATION.graceSeconds * 1_000;
        const missing = invariants.unfinished(database, broker, { ...marketplace, graceMs });
        if (missing !== undefined && world.elapsed() <= deadline) return false;
        invariants.converged(missing);
        return true;
      });
      invariants.atTheEnd(database, broker, marketplace.poison);
      if (faultless) invariants.nothingTwice(broker);
    },
  };
}
