import { setTimeout as sleep } from 'node:timers/promises';
import { mongo } from 'mongoose';
import { WITNESS, type Marketplace, type Replica } from './marketplace';
import type { Recorder } from './recorder';

const SAMPLE_EVERY_MS = 250;
const METRICS_EVERY_MS = 1_000;
const VITALS_EVERY_MS = 5_000;

/** Metrics whose labels are cells of the table of what was met, and what those are called there. */
const COUNTED: Record<string, (labels: Record<string, string>) => string> = {
  order_service_decisions_total: ({ input, status, decision }) => `cell: ${input} × ${status} → ${decision}`,
  order_service_message_duration_seconds_count: ({ subject, verdict }) => `message: ${subject} ${verdict}`,
  order_service_publish_failures_total: ({ reason }) => `publish failed: ${reason}`,
  order_service_retries_total: ({ operation }) => `retried: ${operation}`,
  order_service_refunds_required_total: ({ reason }) => `refund: ${reason}`,
};

/** Looks at everything from outside, past all links, for as long as the campaign runs. */
export function startMonitor(options: {
  marketplace: Marketplace;
  recorder: Recorder;
  ticketsOnSale: () => readonly string[];
}): { stop(): Promise<void>; pending(): number | undefined } {
  const { marketplace, recorder } = options;
  const client = new mongo.MongoClient(marketplace.mongoUrl, {
    serverSelectionTimeoutMS: 1_000,
    socketTimeoutMS: 2_000,
    maxPoolSize: 2,
  });
  const orders = client.db().collection<{
    ticket: { id: mongo.ObjectId };
    status: string;
    publishing: { pending: number };
  }>('orders');
  let stopping = false;
  let pending: number | undefined;

  async function sample(): Promise<void> {
    const tickets = options.ticketsOnSale().map((id) => mongo.ObjectId.createFromHexString(id));
    try {
      const [suspects, waiting] = await Promise.all([
        heldTwice(tickets),
        orders.countDocuments({ 'publishing.pending': { $gt: 0 } }),
      ]);
      pending = waiting;
      // A scan is no snapshot: it may see an order before it ended and the next one after that.
      const twiceHeld = suspects.length > 0 ? await heldTwice(suspects) : [];
      recorder.record({
        kind: 'sample',
        pending,
        tickets: tickets.length,
        twiceHeld: twiceHeld.map((id) => id.toHexString()),
      });
    } catch {
      // The database is unavailable: that is a sample too.
      pending = undefined;
      recorder.record({ kind: 'sample' });
    }
  }

  async function heldTwice(tickets: readonly mongo.ObjectId[]): Promise<mongo.ObjectId[]> {
    const held = await orders
      .find({ 'ticket.id': { $in: tickets }, status: { $ne: 'cancelled' } })
      .project<{ ticket: { id: mongo.ObjectId } }>({ 'ticket.id': 1 })
      .toArray();
    const holders = held.map(({ ticket }) => ticket.id.toHexString());
    return tickets.filter((id) => holders.filter((held) => held === id.toHexString()).length > 1);
  }

  async function vitals(replica: Replica): Promise<void> {
    const signs = await replica.vitals();
    if (signs) recorder.record({ kind: 'vitals', replica: replica.name, ...signs });
  }

  async function repeat(everyMs: number, task: () => Promise<void>): Promise<void> {
    while (!stopping) {
      await task();
      await sleep(everyMs);
    }
  }

  const countMetrics = createMetricsCounter(recorder);
  const witness = marketplace.replicas.find(({ name }) => name === WITNESS)!;
  const loops = [
    repeat(SAMPLE_EVERY_MS, sample),
    repeat(VITALS_EVERY_MS, () => vitals(witness)),
    ...marketplace.replicas.map((replica) => repeat(METRICS_EVERY_MS, () => countMetrics(replica))),
  ];

  return {
    pending: () => pending,
    async stop() {
      stopping = true;
      await Promise.all(loops);
      await client.close();
    },
  };
}

/** Adds up what each life of a replica counts; what it counted after the last look is lost with it. */
function createMetricsCounter(recorder: Recorder): (replica: Replica) => Promise<void> {
  const counted = new Map<string, { pid: number | undefined; values: Map<string, number> }>();

  return async (replica) => {
    const pid = replica.child.process()?.pid;
    const text = await fetch(`${replica.directUrl}/metrics`, { signal: AbortSignal.timeout(2_000) })
      .then((response) => response.text())
      .catch(() => undefined);
    if (text === undefined || pid !== replica.child.process()?.pid) return;
    const known = counted.get(replica.name);
    const before = known && known.pid === pid ? known.values : new Map<string, number>();
    const values = countersIn(text);
    for (const [what, value] of values) recorder.hit(what, value - (before.get(what) ?? 0));
    counted.set(replica.name, { pid, values });
  };
}

function countersIn(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const [, name = '', labels = '', value] of text.matchAll(/^(\w+)\{([^}]*)\} (\S+)$/gm)) {
    const nameIt = COUNTED[name];
    if (!nameIt) continue;
    const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = '', text = '']) => [label, text]);
    const what = nameIt(Object.fromEntries(pairs) as Record<string, string>);
    found.set(what, (found.get(what) ?? 0) + Number(value));
  }
  return found;
}
