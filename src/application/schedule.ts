import { Unavailable, type Cancel, type Clock, type Log } from './ports';

export function pause(clock: Pick<Clock, 'after'>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve);
  });
}

/** Resolves when all have resolved. If any rejects, it rejects too, but only after all have ended. */
export async function allOf<T extends readonly unknown[] | []>(
  pieces: T,
): Promise<{ -readonly [Index in keyof T]: Awaited<T[Index]> }> {
  // Database queries start only when they are awaited: here, and once.
  const begun = pieces.map((piece) => Promise.resolve(piece));
  await Promise.allSettled(begun);
  return Promise.all(begun) as never;
}

/** Between half and one and a half times `ms`, so that replicas do not act at the same time. */
export function jittered(clock: Pick<Clock, 'random'>, ms: number): number {
  return ms * (0.5 + clock.random());
}

/** Doubles from `firstMs` with each attempt (from 1) up to `longestMs`, with jitter. */
export function backoff(
  clock: Pick<Clock, 'random'>,
  attempt: number,
  { firstMs, longestMs }: { firstMs: number; longestMs: number },
): number {
  const exponent = Math.min(attempt - 1, 30);
  return Math.min(longestMs, jittered(clock, firstMs * 2 ** exponent));
}

/**
 * Retries until the outcome is known: an attempt resolves to undefined while it is not. Resolves to undefined when time
 * or attempts are used up.
 */
export async function untilKnown<T>(
  attempt: () => Promise<T | undefined>,
  limits: {
    clock: Pick<Clock, 'monotonic' | 'after' | 'random'>;
    withinMs: number;
    attempts?: number;
    /** Attempts that are made even if the time is up. */
    atLeast?: number;
    /** From one attempt to the next, see {@link backoff}. */
    pauses: { firstMs: number; longestMs: number };
    onRetry: () => void;
  },
): Promise<T | undefined> {
  const { clock } = limits;
  const deadline = clock.monotonic() + limits.withinMs;
  for (let count = 1; ; count += 1) {
    const outcome = await attempt();
    if (outcome !== undefined || count === limits.attempts) return outcome;
    if (count >= (limits.atLeast ?? 1) && clock.monotonic() > deadline) return undefined;
    limits.onRetry();
    await pause(clock, backoff(clock, count, limits.pauses));
  }
}

/** Undefined for an unknown outcome, so that it is retried; rethrows any other error. */
export function unknownIfUnavailable(error: unknown): undefined {
  if (!(error instanceof Unavailable)) throw error;
}

export interface Loop {
  start(): void;
  /** The next run starts within `ms`, or as soon as the run in flight has ended. */
  wake(ms?: number): void;
  /** Starts no more runs; resolves when the one in flight has ended. */
  stop(): Promise<void>;
}

/**
 * Runs a task about every `everyMs`, never two runs at once. A task resolves to `again` if it has more work than one
 * run takes: then the next run starts at once.
 */
export function createLoop(deps: {
  clock: Pick<Clock, 'after' | 'monotonic' | 'random'>;
  everyMs: number;
  task: () => Promise<void | 'again'>;
  onError: (error: unknown) => void;
}): Loop {
  const { clock, everyMs, task, onError } = deps;
  let stopped = true;
  let running = false;
  let nextRunAt = Infinity;
  let cancelTimer: Cancel = () => {};
  let inFlight: Promise<void> = Promise.resolve();

  function runWithin(ms: number): void {
    const at = clock.monotonic() + ms;
    if (stopped || at >= nextRunAt) return;
    nextRunAt = at;
    cancelTimer();
    if (!running) cancelTimer = clock.after(ms, run);
  }

  function run(): void {
    running = true;
    nextRunAt = Infinity;
    inFlight = runOnce();
  }

  async function runOnce(): Promise<void> {
    let everyOrNow = everyMs;
    try {
      if ((await task()) === 'again') everyOrNow = 0;
    } catch (error) {
      onError(error);
    }
    running = false;
    const wokenIn = Math.max(0, nextRunAt - clock.monotonic());
    nextRunAt = Infinity;
    runWithin(Math.min(wokenIn, jittered(clock, everyOrNow)));
  }

  return {
    start() {
      stopped = false;
      runWithin(jittered(clock, everyMs));
    },
    wake(ms = 0) {
      runWithin(ms);
    },
    stop() {
      stopped = true;
      cancelTimer();
      return inFlight;
    },
  };
}

/**
 * Handles the errors of a loop: logs them; the next run is the retry. `Unavailable` is logged at debug level only,
 * because the loss of the database is logged once, not by every loop with every run.
 */
export function reportTo(log: Pick<Log, 'debug' | 'warn'>, message: string): (error: unknown) => void {
  return (error) => log[error instanceof Unavailable ? 'debug' : 'warn']({ err: error }, message);
}
