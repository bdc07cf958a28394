import {
  startFloor,
  startFloorWithoutTicketRead,
  startOther,
  startOurs,
  startUsual,
  type Contender,
  type StartContender,
} from '../contenders';
import { closedLoop, openLoop, type Asked, type Call } from '../load';
import type { KnownOrder } from '../preload';
import { ratio, rowsAgainstAll, type Row, type RowText, type Target } from '../report';
import { inTurns, startAll, type Bench, type Scenario } from './scenario';

/** More than any contender places in a second. */
const TICKETS_PER_SECOND = 6_000;
const USERS = 100;
/** What list and show find in the database. */
const PRELOADED = 10_000;
const PAGE = 30;
const READING_CONNECTIONS = 20;
const LATENCY_EVERY_MS = 15;
/** Code is compiled while it runs; larger programs need more calls before they reach full speed. */
const WARM_UP = { connections: 20, seconds: 15 };

type Targets = Readonly<Record<string, Target>>;

export const httpScenarios: readonly Scenario[] = [
  placing(1, { 'floor, no ticket read': ratio(0.6, 0.8) }),
  placing(20, { floor: ratio(1.3, 1.6) }),
  placing(100, { floor: ratio(2, 2.5) }),
  { name: 'place-latency', run: placeLatency },
  reading('list', listing, { floor: ratio(1, 1.1) }),
  reading('show', showing, { floor: ratio(1.2, 1.3) }),
];

/** Those who were asked for by options take part too. */
function starts(bench: Bench, known: readonly StartContender[]): StartContender[] {
  const { usual, other } = bench.options;
  return [
    ...known,
    ...(usual ? [startUsual] : []),
    ...(other ? [((options) => startOther(other, options)) satisfies StartContender] : []),
  ];
}

/** Orders of distinct tickets per second, until the events of all of them are acknowledged and marked as published. */
function placing(connections: number, targets: Targets): Scenario {
  return {
    name: `place-${connections}`,
    async run(bench) {
      const contenders = await startAll(
        bench,
        starts(bench, [startOurs, startFloor, startFloorWithoutTicketRead]),
      );
      const figures = await inTurns(
        bench,
        contenders,
        (contender) => placeRate(bench, contender, connections),
        warmUp(bench),
      );
      return rowsAgainstAll(
        {
          name: `place-${connections}`,
          what: `orders placed and published, ${connections} connection${connections === 1 ? '' : 's'}`,
          unit: '1/s',
          better: 'higher',
        },
        figures,
        targets,
      );
    },
  };
}

function warmUp(bench: Bench): (contender: Contender) => Promise<unknown> {
  const { connections, seconds } = WARM_UP;
  return (contender) => placeRate(bench, contender, connections, bench.scaled(seconds));
}

/** Orders per second, until the events of all of them are marked as published. */
export async function placeRate(
  bench: Bench,
  contender: Contender,
  connections: number,
  seconds = bench.options.seconds,
): Promise<number> {
  const tickets = await contender.addTickets(Math.ceil(seconds * TICKETS_PER_SECOND));
  const startedAt = performance.now();
  const { requests } = await closedLoop(ordering(contender, tickets), { connections, seconds });
  await contender.published();
  return requests / ((performance.now() - startedAt) / 1000);
}

/** One order for each ticket, by users in turn. */
export function ordering(contender: Contender, tickets: readonly string[]): Asked {
  let index = 0;
  return {
    origin: contender.origin,
    status: 201,
    next() {
      const ticketId = tickets[index];
      if (ticketId === undefined) return undefined;
      const headers = contender.headersFor(`user-${index % USERS}`);
      index += 1;
      return { method: 'POST', path: contender.path, headers, body: JSON.stringify({ ticketId }) };
    },
  };
}

async function placeLatency(bench: Bench): Promise<Row[]> {
  const contenders = await startAll(bench, starts(bench, [startOurs, startFloor]));
  const p99 = new Map(contenders.map(({ name }) => [name, [] as number[]]));
  const { seconds } = bench.options;
  const count = Math.ceil((seconds * 1000) / LATENCY_EVERY_MS);
  const p50 = await inTurns(
    bench,
    contenders,
    async (contender) => {
      const tickets = await contender.addTickets(count);
      const pace = { everyMs: LATENCY_EVERY_MS, seconds };
      const latencies = await openLoop(ordering(contender, tickets), pace);
      await contender.published();
      p99.get(contender.name)!.push(latencies.getValueAtPercentile(99) / 1000);
      return latencies.getValueAtPercentile(50) / 1000;
    },
    warmUp(bench),
  );
  const row = (percentile: string): RowText => ({
    name: `place-latency-${percentile}`,
    what: `latency of placing, ${percentile}, 1 connection, one each ${LATENCY_EVERY_MS} ms`,
    unit: 'ms',
    better: 'lower',
  });
  return [...rowsAgainstAll(row('p50'), p50, { floor: ratio(1.5, 1.2) }), ...rowsAgainstAll(row('p99'), p99)];
}

type ReadCall = (contender: Contender, order: KnownOrder) => Call;

/** Answers per second. */
function reading(name: string, call: ReadCall, targets: Targets): Scenario {
  return {
    name,
    async run(bench) {
      const contenders = await startAll(bench, starts(bench, [startOurs, startFloor]));
      const known = new Map<string, readonly KnownOrder[]>();
      for (const each of contenders) known.set(each.name, await each.addOrders(bench.scaled(PRELOADED)));
      const figures = await inTurns(bench, contenders, (contender) =>
        readRate(bench, contender, known.get(contender.name)!, call),
      );
      const what = name === 'list' ? `pages of ${PAGE} orders` : 'single orders';
      return rowsAgainstAll(
        { name, what: `${what} read, ${READING_CONNECTIONS} connections`, unit: '1/s', better: 'higher' },
        figures,
        targets,
      );
    },
  };
}

/** Answers per second, of orders in turn. */
export async function readRate(
  bench: Bench,
  contender: Contender,
  known: readonly KnownOrder[],
  call: ReadCall,
): Promise<number> {
  let index = 0;
  const next = (): Call => call(contender, known[index++ % known.length]!);
  const asked = { origin: contender.origin, status: 200, next };
  const { requests, seconds } = await closedLoop(asked, {
    connections: READING_CONNECTIONS,
    seconds: bench.options.seconds,
  });
  return requests / seconds;
}

export function listing({ path, headersFor }: Contender, { userId }: KnownOrder): Call {
  return { method: 'GET', path: `${path}?limit=${PAGE}`, headers: headersFor(userId) };
}

export function showing({ path, headersFor }: Contender, { id, userId }: KnownOrder): Call {
  return { method: 'GET', path: `${path}/${id}`, headers: headersFor(userId) };
}
