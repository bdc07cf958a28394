import { setTimeout as sleep } from 'node:timers/promises';
import type { Chance } from '../support/chance';
import type { Child } from './child';
import { CRASH_POINTS, type CrashPoint } from './crash-points';
import { forgetWhatMayBeWrong, saysDiskIsFull, startBrokerAgain } from './broker-repair';
import type { Link } from './link';
import { WITNESS, type Marketplace, type Replica } from './marketplace';
import type { Recorder } from './recorder';

const GAP_MS = [500, 3_000] as const;
const ROUNDS_WITH_REDELIVERY = 2;
/** How wrong the clock of a replica is that is started. */
const SKEWS_MS = [0, 0, -3_600_000, 3_600_000, -20_000, 20_000] as const;
const CRASH_POINT_WITHIN_MS = 4_000;
const FREEZE_MS = [300, 5_000] as const;
const FREEZE_PAST_A_LEASE_MS = [16_000, 17_000] as const;

/** What is broken right now, so that two faults do not undo each other's work. */
export type Broken = Set<string>;

/** One fault that is to come. */
interface Card {
  readonly perRound: number;
  /** Only in so many first rounds. */
  readonly rounds: number;
  /** As the history calls it. */
  readonly fault: string;
  /** As it is counted: what happens, and to what sort of thing. */
  readonly name: string;
  /** One that is whole is drawn. */
  readonly targets: readonly Target[];
  /** Breaks it; resolves when it is whole again. */
  readonly happen: (target: never) => Promise<string | void>;
}

type Target = { readonly name: string };

/** Breaks things, by a seeded schedule, until it is told to stop; then fixes what is still broken. */
export function createFaults(options: {
  marketplace: Marketplace;
  recorder: Recorder;
  chance: Chance;
  broken: Broken;
}) {
  const { marketplace, recorder, chance, broken } = options;
  const { broker, database, disks } = marketplace;
  const mortals = marketplace.replicas
    .filter(({ name }) => name !== WITNESS)
    .map((replica) => ({ name: replica.child.name, replica }));
  const onTheirWay = new Set<Promise<void>>();
  let faults = 0;

  /** All of a round come up before any comes up again, so that also a short run meets the rare ones. */
  const cards: readonly Card[] = [
    card(14, 'SIGKILL', mortals, ({ replica }) => killReplica(replica)),
    card(3, 'SIGKILL', [database], killServer),
    card(3, 'SIGKILL', [broker], killServer),
    ...CRASH_POINTS.map((point) => card(3, 'crash point', mortals, ({ replica }) => crashAt(point, replica))),
    card(3, 'SIGSTOP', mortals, ({ replica }) =>
      freeze(replica.child, chance.happens(0.06) ? FREEZE_PAST_A_LEASE_MS : FREEZE_MS),
    ),
    card(1, 'SIGSTOP', [database], (server) => freeze(server, FREEZE_MS)),
    card(1, 'SIGSTOP', [broker], (server) => freeze(server, FREEZE_MS)),
    card(1, 'rolling restart', [{ name: 'all replicas' }], rollingRestart),
    ...linksByCategory().flatMap((links) => [
      card(1, 'cut', links, async (link) => link.cut()),
      card(1, 'black hole', links, blackHole),
      card(1, 'delay', links, delay),
      card(1, 'answer swallowed', links, async (link) => link.swallowAnswer()),
    ]),
    ...(disks.database.canFill ? [card(1, 'disk full', [database], fillDatabaseDisk)] : []),
    // Only early: what the operator does then has all be delivered again that was ever said. Where that is much, nothing
    // else would happen between two faults any more.
    ...(disks.broker.canFill
      ? [{ ...card(1, 'disk full', [broker], fillBrokerDisk), rounds: ROUNDS_WITH_REDELIVERY }]
      : []),
  ];
  let round: Card[] = [];
  let rounds = 0;

  function card<T extends Target>(
    perRound: number,
    fault: string,
    targets: readonly T[],
    happen: (target: T) => Promise<string | void>,
  ): Card {
    return {
      perRound,
      rounds: Infinity,
      fault,
      name: `fault: ${fault} ${categoryOf(targets[0]!.name)}`,
      targets,
      happen,
    };
  }

  function linksByCategory(): Link[][] {
    const categories = new Map<string, Link[]>();
    for (const link of marketplace.links) {
      const category = categoryOf(link.name);
      categories.set(category, [...(categories.get(category) ?? []), link]);
    }
    return [...categories.values()];
  }

  // --- what happens ----------------------------------------------------------------------------------------

  async function killReplica(replica: Replica): Promise<void> {
    await replica.child.signal('SIGKILL');
    await sleep(chance.between(0, 800));
    await startWithSomeClock(replica);
  }

  async function startWithSomeClock({ child, setClockSkew }: Replica): Promise<void> {
    const skewMs = chance.pick(SKEWS_MS);
    setClockSkew(skewMs);
    if (skewMs !== 0) recorder.hit(`fault: clock ${skewMs > 0 ? 'ahead' : 'behind'}`);
    await child.start();
  }

  async function killServer(server: Child): Promise<void> {
    await server.signal('SIGKILL');
    await sleep(chance.between(0, 1_500));
    await startAgain(server);
  }

  async function crashAt(point: CrashPoint, replica: Replica): Promise<string> {
    const { child } = replica;
    replica.arm(point);
    const crashed = await becomes(() => !child.isRunning(), CRASH_POINT_WITHIN_MS);
    // Nothing came by: an ordinary end then, so that it does not happen at another time.
    if (!crashed) await child.signal('SIGKILL');
    await startWithSomeClock(replica);
    return crashed ? point : 'not reached';
  }

  async function freeze(child: Child, ms: readonly [least: number, most: number]): Promise<void> {
    await child.signal('SIGSTOP');
    await sleep(chance.between(...ms));
    await child.signal('SIGCONT');
  }

  async function rollingRestart(): Promise<void> {
    for (const { name, replica } of mortals) {
      // All of them, in turn: whoever is just being broken comes when it is whole again.
      while (!take(name)) await sleep(10);
      try {
        await replica.child.signal('SIGTERM');
        await startWithSomeClock(replica);
      } finally {
        broken.delete(name);
      }
    }
  }

  async function blackHole(link: Link): Promise<void> {
    const end = link.blackHole();
    await sleep(chance.between(500, 7_000));
    end();
  }

  async function delay(link: Link): Promise<void> {
    const end = link.delay(chance.between(20, 400));
    await sleep(chance.between(1_000, 8_000));
    end();
  }

  /** What the database does then is its own affair: it may end, as long as it is well when it is started again. */
  async function fillDatabaseDisk(): Promise<string> {
    const free = disks.database.fill();
    await sleep(chance.between(1_000, 4_000));
    free();
    await sleep(500);
    if (database.isRunning()) return 'it went on';
    await database.start();
    return 'it ended';
  }

  /** A broker that goes on writes behind what it has written half: it is ended at the first sign. */
  async function fillBrokerDisk(): Promise<string> {
    const free = disks.broker.fill();
    const noticed = await becomes(() => !broker.isRunning() || saysDiskIsFull(marketplace), 4_000);
    await broker.signal('SIGKILL');
    await sleep(chance.between(500, 2_000));
    free();
    forgetWhatMayBeWrong(marketplace);
    await startAgain(broker);
    return noticed ? 'it noticed' : 'it had nothing to write';
  }

  async function startAgain(server: Child): Promise<void> {
    if (server === broker) recorder.hit('broker repaired', await startBrokerAgain(marketplace));
    else await server.start();
  }

  // --- when ------------------------------------------------------------------------------------------------

  function take(name: string): boolean {
    if (broken.has(name)) return false;
    broken.add(name);
    return true;
  }

  function nextRound(): Card[] {
    const inIt = cards.filter((each) => rounds < each.rounds);
    rounds += 1;
    return shuffled(inIt.flatMap(copies), chance);
  }

  /** The next card of which a target is whole. */
  function draw(): { card: Card; target: Target } | undefined {
    if (round.length === 0) round = nextRound();
    for (const [index, next] of round.entries()) {
      const whole = next.targets.filter(({ name }) => !broken.has(name));
      if (whole.length === 0) continue;
      round.splice(index, 1);
      return { card: next, target: chance.pick(whole) };
    }
    return undefined;
  }

  async function one(): Promise<void> {
    const drawn = draw();
    if (!drawn || !take(drawn.target.name)) return;
    const { card, target } = drawn;
    const id = (faults += 1);
    const line = { kind: 'fault', id, fault: card.fault, target: target.name } as const;
    recorder.record({ ...line, phase: 'begin' });
    recorder.hit(card.name);
    try {
      const detail = await card.happen(target as never);
      recorder.record({ ...line, phase: 'end', ...(detail ? { detail } : {}) });
    } finally {
      broken.delete(target.name);
    }
  }

  return {
    /** What a run is to meet. */
    toBeMet: [
      ...new Set(cards.map(({ name }) => name)),
      'fault: clock ahead',
      'fault: clock behind',
      ...CRASH_POINTS.map((point) => `crash point: ${point}`),
    ],
    /** Rejects as soon as something cannot be fixed. */
    async run(durationMs: number, stopped: AbortSignal): Promise<void> {
      const until = performance.now() + durationMs;
      let fail: (error: unknown) => void = () => {};
      const failed = new Promise<never>((_, reject) => (fail = reject));
      failed.catch(() => {});
      while (performance.now() < until && !stopped.aborted) {
        const happening = one()
          .catch(fail)
          .finally(() => onTheirWay.delete(happening));
        onTheirWay.add(happening);
        await Promise.race([sleep(chance.between(...GAP_MS)), failed]);
      }
      await Promise.race([Promise.all(onTheirWay), failed]);
    },
  };
}

function copies(card: Card): Card[] {
  return Array.from({ length: card.perRound }, () => card);
}

function shuffled<T>(items: readonly T[], chance: Chance): T[] {
  const keyed = items.map((item) => ({ item, key: chance.random() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}

/** Replicas are alike, and so are links to the same side. */
function categoryOf(target: string): string {
  return target.replace(/replica \w+/, 'replica');
}

async function becomes(holds: () => boolean, withinMs: number): Promise<boolean> {
  const until = performance.now() + withinMs;
  while (!holds() && performance.now() < until) await sleep(10);
  return holds();
}
