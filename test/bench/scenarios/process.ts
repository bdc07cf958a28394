import { execFileSync } from 'node:child_process';
import { startFloor, startOurs, type Contender, type StartContender } from '../contenders';
import { closedLoop, type Call } from '../load';
import type { KnownOrder } from '../preload';
import { ratio, rowsAgainstAll, type Row } from '../report';
import { median } from '../statistics';
import { listing, ordering, showing } from './http';
import { inTurns, type Bench, type Scenario } from './scenario';

const CONNECTIONS = 20;
/** A third each of placing, listing and showing. */
const REQUESTS = 12_000;
const PRELOADED = 1_000;
const STARTS_IN_A_ROUND = 3;

export const processScenarios: readonly Scenario[] = [
  { name: 'memory', run: memory },
  { name: 'start', run: start },
];

const CONTENDERS = [
  { name: 'ours', start: startOurs },
  { name: 'floor', start: startFloor },
] satisfies { name: string; start: StartContender }[];

async function memory(bench: Bench): Promise<Row[]> {
  const third = Math.ceil(bench.scaled(REQUESTS) / 3);
  const figures = await inTurns(
    bench,
    CONTENDERS,
    async (one) => {
      const contender = await one.start(bench);
      const known = await contender.addOrders(PRELOADED);
      const limits = { connections: CONNECTIONS, seconds: Infinity };
      await closedLoop(ordering(contender, await contender.addTickets(third)), limits);
      for (const read of [listing, showing]) {
        await closedLoop(
          { origin: contender.origin, status: 200, next: times(third, contender, known, read) },
          limits,
        );
      }
      await contender.published();
      const megabytes = residentMegabytes(contender.program!.pid);
      await contender.stop();
      return megabytes;
    },
    // Each process is new: there is nothing to warm up.
    async () => {},
  );
  const what = `resident memory after ${3 * third} requests`;
  return rowsAgainstAll({ name: 'memory', what, unit: 'MB', better: 'lower' }, figures, {
    floor: ratio(1.3, 1.1),
  });
}

function times(
  count: number,
  contender: Contender,
  known: readonly KnownOrder[],
  call: (contender: Contender, order: KnownOrder) => Call,
): () => Call | undefined {
  let index = 0;
  return () => (index < count ? call(contender, known[index++ % known.length]!) : undefined);
}

function residentMegabytes(pid: number): number {
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024;
}

/** Milliseconds from the start of the process until it answers; its database has its indexes already. */
async function start(bench: Bench): Promise<Row[]> {
  const figures = await inTurns(bench, CONTENDERS, async (one) => {
    const readyAfterMs: number[] = [];
    for (let i = 0; i < STARTS_IN_A_ROUND; i += 1) {
      const contender = await one.start(bench);
      readyAfterMs.push(contender.program!.readyAfterMs);
      await contender.stop();
    }
    return median(readyAfterMs);
  });
  return rowsAgainstAll(
    {
      name: 'start',
      what: 'from the start of the process until /readyz is 200',
      unit: 'ms',
      better: 'lower',
    },
    figures,
    { floor: ratio(1.6, 1.3) },
  );
}
