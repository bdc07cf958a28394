import { createHash } from 'node:crypto';
import { createChance } from '../support/chance';

/** When everything begins, by the right clock. */
const EPOCH = Date.UTC(2026, 0, 1);

/** Something that can be killed and frozen: what it had planned does not happen then, or happens later. */
export interface Process {
  readonly name: string;
  alive: boolean;
  frozenUntil: number;
  /** How wrong its clock is, in milliseconds. */
  skew: number;
  /** What it waits for: where a crash would find it. */
  readonly doing: Map<string, number>;
}

interface Planned {
  readonly at: number;
  readonly order: number;
  readonly process: Process;
  readonly task: () => void;
}

/**
 * Time, chance and processes of one simulation. Nothing happens but what was planned here, one thing after the other,
 * so the same seed gives the same run, whatever machine it runs on.
 */
export type World = ReturnType<typeof createWorld>;

export function createWorld(seed: number) {
  const { random, between, pick, happens: chance } = createChance(seed);
  const queue: Planned[] = [];
  const lines: string[] = [];
  const hits = new Map<string, number>();
  const digest = createHash('sha256');
  let elapsed = 0;
  let planned = 0;
  let steps = 0;
  let current: Process | undefined;
  /** What is to run in the next turn of the event loop. */
  let turn: (() => void)[] = [];
  let onPoint: (process: Process) => void = () => {};

  function at(process: Process, ms: number, task: () => void): () => void {
    const entry = { at: elapsed + Math.max(0, ms), order: planned++, process, task };
    put(entry);
    return () => {
      const index = queue.indexOf(entry);
      if (index >= 0) queue.splice(index, 1);
    };
  }

  /** Sorted from the last to the first, so that the next one is at the end. */
  function put(entry: Planned): void {
    let low = 0;
    let high = queue.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = queue[middle]!;
      const isLater = other.at > entry.at || (other.at === entry.at && other.order > entry.order);
      if (isLater) low = middle + 1;
      else high = middle;
    }
    queue.splice(low, 0, entry);
  }

  function trace(line: string): void {
    const full = `${elapsed.toFixed(3)} ${line}`;
    lines.push(full);
    digest.update(`${full}\n`);
  }

  function hit(what: string): void {
    hits.set(what, (hits.get(what) ?? 0) + 1);
  }

  /** Lets everything run that needs no more than promises and turns of the event loop. */
  async function settle(): Promise<void> {
    await nextTurn();
    while (turn.length > 0) {
      const tasks = turn;
      turn = [];
      for (const task of tasks) task();
      await nextTurn();
    }
  }

  return {
    at,
    trace,
    lines: lines as readonly string[],
    /** How often each thing that a run is to meet was met. */
    hits: hits as ReadonlyMap<string, number>,
    hit,
    random,
    chance,
    between,
    pick,
    /** Milliseconds since the beginning. */
    elapsed: () => elapsed,
    /** The right time. */
    now: () => new Date(EPOCH + elapsed),
    /** What the process that is running would read from the clock on its wall. */
    wallClock: () => EPOCH + elapsed + (current?.skew ?? 0),
    steps: () => steps,
    createProcess: (name: string): Process => ({
      name,
      alive: true,
      frozenUntil: 0,
      skew: 0,
      doing: new Map(),
    }),
    /** Until the returned function is called, a crash of the process finds it there. */
    during(process: Process, what: string): () => void {
      process.doing.set(what, (process.doing.get(what) ?? 0) + 1);
      onPoint(process);
      let ended = false;
      return () => {
        if (ended) return;
        ended = true;
        process.doing.set(what, process.doing.get(what)! - 1);
      };
    },
    /** Calls back each time a process has come to a point. */
    atEachPoint(listener: typeof onPoint): void {
      onPoint = listener;
    },
    /** Never for less than before: what has waited already would be overtaken by what came later. */
    freeze(process: Process, ms: number): void {
      process.frozenUntil = Math.max(process.frozenUntil, elapsed + ms);
    },
    /** Ends the process, wherever it is. */
    kill(process: Process): void {
      for (const [what, count] of process.doing) if (count > 0) hit(`crash point: ${what}`);
      process.alive = false;
    },
    /** The next thing that happens, and all that follows from it at once. False when nothing is planned any more. */
    async step(): Promise<boolean> {
      const next = queue.pop();
      if (!next) return false;
      const { process, task } = next;
      elapsed = next.at;
      if (!process.alive) return true;
      if (process.frozenUntil > elapsed) {
        put({ ...next, at: process.frozenUntil });
        return true;
      }
      steps += 1;
      current = process;
      task();
      await settle();
      current = undefined;
      return true;
    },
    /** As Node's, but nothing is left over for the next step. */
    setImmediate: (task: () => void) => void turn.push(task),
    hash: () => digest.copy().digest('hex'),
  };
}

const { setImmediate } = globalThis;

/** When all promises that can be settled are. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** While a simulation runs, the clock on the wall is the running process's, and turns of the event loop are steps. */
export async function withClockOf<T>(world: World, run: () => Promise<T>): Promise<T> {
  const { now } = Date;
  const { stackTraceLimit } = Error;
  Date.now = world.wallClock;
  globalThis.setImmediate = world.setImmediate as unknown as typeof setImmediate;
  // Errors are many here, and nobody reads where they were made.
  Error.stackTraceLimit = 0;
  try {
    return await run();
  } finally {
    Date.now = now;
    globalThis.setImmediate = setImmediate;
    Error.stackTraceLimit = stackTraceLimit;
  }
}
