import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MOST_COUNTED } from '../../../src/adapters/mongo/backlog';
import type { createMongoStore } from '../../../src/adapters/mongo/store';
import { silentLog } from '../../support/silent';
import { createSkewedClock } from '../../support/skewed-clock';
import { ORDERS_PER_USER, startOurs, startUsual, type Contender } from '../contenders';
import { addOrders, UNPUBLISHED, type KnownOrder } from '../preload';
import { figure, ratio, rowOf, rowsAgainstAll, type Row } from '../report';
import { median } from '../statistics';
import { listing, placeRate, readRate, showing } from './http';
import { inTurns, startAll, type Bench, type Scenario } from './scenario';

const STORE = join(__dirname, '../../../dist/adapters/mongo/store.js');
const CONNECTIONS = 20;
const SMALL = 1_000;
const ORDERS_OF_USUAL = 100_000;
const PENDING = 200_000;
const QUERIES_IN_A_ROUND = 10;
const ASK_EVERY_MS = 50;

export const largeScenarios: readonly Scenario[] = [
  { name: 'usual-large', run: againstUsual },
  { name: 'backlog', run: backlog },
  { name: 'flat', run: flat },
];

/** Into the indexes that the service has made: that is as fast as to make them afterwards. */
async function preload(bench: Bench, contender: Contender, count: number): Promise<KnownOrder[]> {
  const startedAt = performance.now();
  const known = await contender.addOrders(count);
  bench.say(`  ${count} orders stored for ${contender.name} in ${seconds(performance.now() - startedAt)}`);
  return known;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** Orders per second in a database that holds many, against the usual service, which looks at all of them each time. */
async function againstUsual(bench: Bench): Promise<Row[]> {
  const orders = bench.scaled(ORDERS_OF_USUAL);
  const contenders = await startAll(bench, [startOurs, startUsual]);
  for (const contender of contenders) await preload(bench, contender, orders);
  const figures = await inTurns(bench, contenders, (each) => placeRate(bench, each, CONNECTIONS));
  return rowsAgainstAll(
    {
      name: 'usual-large',
      what: `orders placed and published where there are ${orders}, ${CONNECTIONS} connections`,
      unit: '1/s',
      better: 'higher',
    },
    figures,
    { usual: ratio(20, 40) },
  );
}

/** Milliseconds that the query behind the gauges of the backlog takes, against a plain count by the same index. */
async function backlog(bench: Bench): Promise<Row[]> {
  const { servers } = bench;
  const pending = bench.scaled(PENDING);
  const db = servers.client.db('bench_ours');
  const built = (await import(STORE)) as { createMongoStore: typeof createMongoStore };
  const store = built.createMongoStore({
    url: servers.databaseUrl('bench_ours'),
    replicaId: 'bench',
    leaseMs: 15_000,
    clock: createSkewedClock(),
    log: silentLog,
  });
  store.start();
  try {
    // It makes the indexes first.
    while (!store.ready()) await sleep(ASK_EVERY_MS);
    await addOrders(db, 'ours', { count: pending, perUser: ORDERS_PER_USER, pending: true });
    const found = await store.outbox.backlog();
    if (found.pending !== Math.min(pending, MOST_COUNTED) || !found.oldest)
      throw new Error(`${found.pending} of ${pending} pending orders were counted`);
    const queries = [
      { name: 'ours', query: () => store.outbox.backlog() as Promise<unknown> },
      { name: 'plain count', query: () => db.collection('orders').countDocuments(UNPUBLISHED) },
    ];
    const figures = await inTurns(bench, queries, ({ query }) => medianMs(query));
    return [
      rowOf(
        { name: 'backlog', what: `backlog gauges of ${pending} pending orders`, unit: 'ms', better: 'lower' },
        figures.get('ours')!,
        { name: 'plain count', figures: figures.get('plain count')! },
        figure(50, 10),
      ),
    ];
  } finally {
    await store.close();
  }
}

async function medianMs(query: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < QUERIES_IN_A_ROUND; i += 1) {
    const startedAt = performance.now();
    await query();
    times.push(performance.now() - startedAt);
  }
  return median(times);
}

/** The same service with many orders and with few. What is read comes first, for what is placed adds to the few. */
async function flat(bench: Bench): Promise<Row[]> {
  const { orders } = bench.options;
  const sides: { name: string; contender: Contender; known: readonly KnownOrder[] }[] = [];
  for (const [name, database, count] of [
    ['ours', 'bench_ours_large', orders],
    [`ours, ${SMALL} orders`, 'bench_ours_small', SMALL],
  ] as const) {
    const contender = { ...(await startOurs({ ...bench, database })), name };
    sides.push({ name, contender, known: await preload(bench, contender, count) });
  }
  const measured = [
    ['flat-list', 'pages of 30 orders read', (side) => readRate(bench, side.contender, side.known, listing)],
    ['flat-show', 'single orders read', (side) => readRate(bench, side.contender, side.known, showing)],
    ['flat-place', 'orders placed and published', (side) => placeRate(bench, side.contender, CONNECTIONS)],
  ] satisfies [string, string, (side: (typeof sides)[number]) => Promise<number>][];
  const rows: Row[] = [];
  for (const [name, what, measure] of measured) {
    bench.say(` ${name}:`);
    const figures = await inTurns(bench, sides, measure);
    const text = { name, what: `${what} where there are ${orders}`, unit: '1/s', better: 'higher' } as const;
    rows.push(...rowsAgainstAll(text, figures, { [sides[1]!.name]: ratio(0.9, 0.95) }));
  }
  return rows;
}
