import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { publishInLanes, storedSince, untilBrokerTakes } from '../broker';
import { startOurs, type Contender } from '../contenders';
import { closedLoop } from '../load';
import { figure, ratio, rowOf, type Row } from '../report';
import { ordering, placeRate } from './http';
import { inTurns, type Bench, type Scenario } from './scenario';

const CONNECTIONS = 20;
const ORDERS = 10_000;
const TICKETS = 6;
const TIMES_SOLD = 100;
/** Long enough for every pause between two attempts to connect to be at its longest. */
const OUTAGE_SECONDS = 30;
const ASK_EVERY_MS = 10;
const CREATED = 'order:created';
const CANCELLED = 'order:cancelled';

export const outageScenarios: readonly Scenario[] = [
  { name: 'outage-drain', run: drain },
  { name: 'outage-chain', run: chain },
  { name: 'outage-first', run: firstEvent },
];

interface Outage {
  /** When the broker was stopped, and when it took messages again: milliseconds since 1970. */
  readonly beganAt: number;
  readonly endedAt: number;
}

/** Stops the broker while `meanwhile` runs, starts it again, and resolves when all events are out. */
async function duringOutage(
  { servers }: Bench,
  contender: Contender,
  meanwhile: () => Promise<unknown>,
): Promise<Outage> {
  await contender.published();
  await servers.broker.kill('SIGTERM');
  const beganAt = Date.now();
  await untilBrokerIs('down', contender);
  await meanwhile();
  const returned = untilBrokerTakes(servers.broker.url);
  await servers.broker.restart();
  const endedAt = await returned;
  await contender.published();
  return { beganAt, endedAt };
}

async function untilBrokerIs(state: 'up' | 'down', { origin }: Contender): Promise<void> {
  for (;;) {
    const { body } = await request(`${origin}/readyz`);
    if (((await body.json()) as { broker: string }).broker === state) return;
    await sleep(ASK_EVERY_MS);
  }
}

/** Events per second, from the first one that is out to the last, against placing with the broker up. */
async function drain(bench: Bench): Promise<Row[]> {
  const ours = await startOurs(bench);
  const { url } = bench.servers.broker;
  const orders = bench.scaled(ORDERS);
  const waits: number[] = [];

  async function drainRate(): Promise<number> {
    const tickets = await ours.addTickets(orders);
    const { beganAt, endedAt } = await duringOutage(bench, ours, () =>
      closedLoop(ordering(ours, tickets), { connections: CONNECTIONS, seconds: Infinity }),
    );
    const times = await storedSince(url, [CREATED], beganAt);
    if (times.length < orders)
      throw new Error(`${times.length} events of ${orders} orders are in the broker`);
    const [first, last] = [times[0]!, times.at(-1)!];
    waits.push(Math.max(0, first - endedAt) / 1000);
    return (times.length - 1) / ((last - first) / 1000);
  }

  await untilBrokerIs('up', ours);
  const figures = await inTurns(
    bench,
    [
      { name: 'ours', measure: drainRate },
      { name: 'placing, broker up', measure: () => placeRate(bench, ours, CONNECTIONS) },
    ],
    ({ measure }) => measure(),
  );
  const text = {
    name: 'outage-drain',
    what: `events out of ${orders} orders placed while the broker was unavailable, ${CONNECTIONS} connections`,
    unit: '1/s',
    better: 'higher',
  } as const;
  const placing = { name: 'placing, broker up', figures: figures.get('placing, broker up')! };
  return [
    rowOf(text, figures.get('ours')!, placing, ratio(1, 2)),
    rowOf(
      {
        name: 'outage-drain-wait',
        what: "from the broker's return to the first of these events",
        unit: 's',
        better: 'lower',
      },
      // Without that of the warm-up.
      waits.slice(1),
    ),
  ];
}

/** Seconds until the events of tickets that were sold and cancelled in turn are out, after the broker's return. */
async function chain(bench: Bench): Promise<Row[]> {
  const ours = await startOurs(bench);
  const { url } = bench.servers.broker;
  const times = bench.scaled(TIMES_SOLD);
  const events = TICKETS * times * 2;

  async function secondsUntilOut(): Promise<number> {
    const tickets = await ours.addTickets(TICKETS);
    const { beganAt, endedAt } = await duringOutage(bench, ours, () =>
      Promise.all(tickets.map((ticketId) => sellAndCancel(ours, ticketId, times))),
    );
    const stored = await storedSince(url, [CREATED, CANCELLED], beganAt);
    if (stored.length < events) throw new Error(`${stored.length} of ${events} events are in the broker`);
    return (stored.at(-1)! - endedAt) / 1000;
  }

  await untilBrokerIs('up', ours);
  const figures = await inTurns(
    bench,
    [
      { name: 'ours', measure: secondsUntilOut },
      {
        name: 'bare publisher',
        measure: () =>
          publishInLanes(url, 'bench:lanes', { lanes: TICKETS, each: times * 2, text: 'x'.repeat(250) }),
      },
    ],
    ({ measure }) => measure(),
    // The first round is as good as any: most of it is waiting.
    async () => {},
  );
  return [
    rowOf(
      {
        name: 'outage-chain',
        what: `${events} events of ${TICKETS} tickets, each sold and cancelled ${times} times while the broker was unavailable`,
        unit: 's',
        better: 'lower',
      },
      figures.get('ours')!,
      { name: 'bare publisher', figures: figures.get('bare publisher')! },
      figure(6, 3),
    ),
  ];
}

async function sellAndCancel(ours: Contender, ticketId: string, times: number): Promise<void> {
  const headers = ours.headersFor(`user-of-${ticketId}`);
  for (let i = 0; i < times; i += 1) {
    const placed = await request(ours.origin + ours.path, {
      method: 'POST',
      headers,
      body: JSON.stringify({ ticketId }),
    });
    const { id } = (await placed.body.json()) as { id: string };
    const cancelled = await request(`${ours.origin}${ours.path}/${id}`, { method: 'DELETE', headers });
    await cancelled.body.dump();
    if (placed.statusCode !== 201 || cancelled.statusCode !== 204) {
      throw new Error(`placing answered ${placed.statusCode}, cancelling ${cancelled.statusCode}`);
    }
  }
}

/** Seconds from the broker's return to the first event, after a long outage. */
async function firstEvent(bench: Bench): Promise<Row[]> {
  const ours = await startOurs(bench);
  const { url } = bench.servers.broker;
  const outageSeconds = bench.scaled(OUTAGE_SECONDS);

  async function secondsUntilFirst(): Promise<number> {
    const tickets = await ours.addTickets(CONNECTIONS);
    const { beganAt, endedAt } = await duringOutage(bench, ours, async () => {
      await closedLoop(ordering(ours, tickets), { connections: 1, seconds: Infinity });
      await sleep(outageSeconds * 1000);
    });
    const [first = Infinity] = await storedSince(url, [CREATED], beganAt);
    return Math.max(0, first - endedAt) / 1000;
  }

  await untilBrokerIs('up', ours);
  // Nothing is to be warm here: an outage comes to a service that has other things to do.
  const figures = await inTurns(bench, [{ name: 'ours' }], secondsUntilFirst, async () => {});
  return [
    rowOf(
      {
        name: 'outage-first',
        what: `from the broker's return after ${outageSeconds} s to the first event`,
        unit: 's',
        better: 'lower',
      },
      figures.get('ours')!,
      undefined,
      figure(1, 0.5),
    ),
  ];
}
