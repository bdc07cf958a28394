import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '../../support/placements';
import { announceTickets } from '../broker';
import { startFloor, startOurs, startUsual, type StartContender } from '../contenders';
import { ratio, rowsAgainstAll, type Row } from '../report';
import { inTurns, type Bench, type Scenario } from './scenario';

const EVENTS = 30_000;
const ASK_EVERY_MS = 5;
const PATIENCE_MS = 120_000;

export const eventsInScenarios: readonly Scenario[] = [{ name: 'tickets-in', run: ticketsIn }];

/**
 * Ticket events per second, from the last moment without a copy until all are stored. All events are in the channel before; each
 * measurement is of a new process with an empty database and a queue group of its own, which hears everything.
 */
async function ticketsIn(bench: Bench): Promise<Row[]> {
  const events = bench.scaled(EVENTS);
  const ids = Array.from({ length: events }, newId);
  await announceTickets(bench.servers.broker.url, 'ticket:created', ids);
  let turn = 0;
  const rate = async ({ start }: { start: StartContender }): Promise<number> => {
    const database = `bench_tickets_${(turn += 1)}`;
    const env = { NATS_URL: bench.servers.broker.url, QUEUE_GROUP_NAME: database };
    const stored = storedPerSecond(bench, database, events);
    const contender = await start({ ...bench, database, env });
    const figure = await stored;
    await contender.stop();
    await bench.servers.client.db(database).dropDatabase();
    return figure;
  };
  const contenders = [
    { name: 'ours', start: startOurs },
    { name: 'usual', start: startUsual },
    { name: 'floor', start: startFloor },
  ];
  // Each process is new: there is nothing to warm up.
  const figures = await inTurns(bench, contenders, rate, async () => {});
  return rowsAgainstAll(
    {
      name: 'tickets-in',
      what: `copies stored of ${events} ticket events that wait in the broker`,
      unit: '1/s',
      better: 'higher',
    },
    figures,
    { usual: ratio(8, 10) },
  );
}

/** Counts the copies by what the database knows of the collection, without looking at them. */
async function storedPerSecond({ servers }: Bench, database: string, count: number): Promise<number> {
  const tickets = servers.client.db(database).collection('tickets');
  const deadline = performance.now() + PATIENCE_MS;
  let noneUntil = performance.now();
  for (;;) {
    const stored = await tickets.estimatedDocumentCount();
    const at = performance.now();
    if (stored >= count) return stored / ((at - noneUntil) / 1000);
    if (stored === 0) noneUntil = at;
    if (at > deadline) throw new Error(`${stored} of ${count} tickets were stored in time`);
    await sleep(ASK_EVERY_MS);
  }
}
