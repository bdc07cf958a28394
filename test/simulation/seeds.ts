import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { add, createTotals, type Totals } from './coverage';
import { simulate, type Outcome } from './run';

export interface Range {
  readonly first: number;
  readonly count: number;
}

export type SeedOutcome = Omit<Outcome, 'hits' | 'checked'>;

/** What came of some seeds, and what they met together. */
export interface Batch {
  readonly outcomes: readonly SeedOutcome[];
  readonly totals: Totals;
}

/** About half a second of work. */
const SEEDS_PER_BATCH = 25;
/** Below this, starting processes takes longer than it saves. */
const SEEDS_PER_PROCESS = 100;

/**
 * Simulates all seeds of the range, in several processes where there are many: a seed gives the same run in each of
 * them. Resolves early, with what there is, once `interrupted` is aborted.
 */
export async function simulateSeeds(
  range: Range,
  {
    processes = availableParallelism(),
    interrupted,
    onOutcome = () => {},
  }: {
    processes?: number;
    interrupted?: AbortSignal;
    onOutcome?: (outcome: SeedOutcome) => void;
  } = {},
): Promise<Totals> {
  const batches = batchesOf(range);
  const totals = createTotals();
  const merge = (batch: Batch): void => {
    add(totals.hits, batch.totals.hits);
    add(totals.checked, batch.totals.checked);
    batch.outcomes.forEach(onOutcome);
  };
  const next = () => (interrupted?.aborted ? undefined : batches.shift());

  const useful = Math.min(processes, Math.ceil(range.count / SEEDS_PER_PROCESS));
  if (useful > 1) {
    await Promise.all(Array.from({ length: useful }, () => inAnotherProcess(next, merge, interrupted)));
    return totals;
  }
  for (let batch = next(); batch; batch = next()) merge(await simulateBatch(batch));
  return totals;
}

function batchesOf({ first, count }: Range): Range[] {
  return Array.from({ length: Math.ceil(count / SEEDS_PER_BATCH) }, (_, i) => {
    const done = i * SEEDS_PER_BATCH;
    return { first: first + done, count: Math.min(SEEDS_PER_BATCH, count - done) };
  });
}

/** One after the other, here. */
export async function simulateBatch({ first, count }: Range): Promise<Batch> {
  const totals = createTotals();
  const outcomes: SeedOutcome[] = [];
  for (let seed = first; seed < first + count; seed += 1) {
    const { hits, checked, ...outcome } = await simulate(seed);
    add(totals.hits, hits);
    add(totals.checked, checked);
    outcomes.push(outcome);
  }
  return { outcomes, totals };
}

function inAnotherProcess(
  next: () => Range | undefined,
  merge: (batch: Batch) => void,
  interrupted?: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = fork(join(__dirname, 'worker.ts'), {
      execArgv: ['--require', 'tsx/cjs'],
      cwd: join(__dirname, '../..'),
      // Takes maps as they are.
      serialization: 'advanced',
    });
    const stop = (): void => void worker.kill();
    const sendNext = (): void => {
      const range = next();
      if (range) worker.send(range);
      else worker.disconnect();
    };
    worker.on('message', (batch) => {
      merge(batch as Batch);
      sendNext();
    });
    worker.on('error', reject);
    worker.on('exit', (code) => {
      interrupted?.removeEventListener('abort', stop);
      if (code === 0 || interrupted?.aborted) resolve();
      else reject(new Error(`a process that simulates seeds ended with ${code}`));
    });
    interrupted?.addEventListener('abort', stop);
    sendNext();
  });
}
