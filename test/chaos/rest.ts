import { mongo } from 'mongoose';
import { staleCopy } from '../invariants/stored-order';
import { CHANNELS, FOREIGN_ORDER_PREFIX, HEARD } from './history';
import { GRACE_SECONDS, QUEUE_GROUP, type Marketplace, type Replica } from './marketplace';

/** What of the broker's report on a channel matters here. */
interface ChannelReport {
  readonly last_seq?: number;
  readonly subscriptions?: readonly {
    readonly queue_name?: string;
    readonly last_sent: number;
    readonly pending_count: number;
  }[];
}

/** What is not yet as it is to be when nothing happens any more; undefined when nothing is. */
export async function whatIsMissing(marketplace: Marketplace): Promise<string | undefined> {
  const client = await mongo.MongoClient.connect(marketplace.mongoUrl, { serverSelectionTimeoutMS: 2_000 });
  try {
    const db = client.db();
    return (
      (await unpublished(db)) ??
      (await overdue(db)) ??
      (await unacknowledged(marketplace)) ??
      (await staleTicket(db, marketplace)) ??
      (await parked(db)) ??
      (await unready(marketplace))
    );
  } finally {
    await client.close();
  }
}

/** Each of them has to serve again, not only those that it takes to have everything done. */
async function unready({ replicas }: Marketplace): Promise<string | undefined> {
  for (const replica of replicas) {
    const missing = await isNotReady(replica);
    if (missing !== undefined) return missing;
  }
  return undefined;
}

/** Undefined where it serves. */
export async function isNotReady({ name, directUrl }: Replica): Promise<string | undefined> {
  const { status } = await fetch(`${directUrl}/readyz`);
  return status === 200 ? undefined : `replica ${name} is not ready: ${status}`;
}

/** How much was ever said. */
export async function messagesSoFar({ brokerReportUrl }: Marketplace): Promise<number> {
  let messages = 0;
  for (const channel of CHANNELS) messages += (await reportOn(brokerReportUrl, channel))?.last_seq ?? 0;
  return messages;
}

async function reportOn(brokerReportUrl: string, channel: string): Promise<ChannelReport | undefined> {
  const response = await fetch(`${brokerReportUrl}/streaming/channelsz?channel=${channel}&subs=1`);
  return response.status === 404 ? undefined : ((await response.json()) as ChannelReport);
}

async function unpublished(db: mongo.Db): Promise<string | undefined> {
  const count = await db.collection('orders').countDocuments({ 'publishing.pending': { $gt: 0 } });
  return count === 0 ? undefined : `${count} orders have events that are not published`;
}

/** With the last one cancelled or paid, nothing is left that time could change. */
async function overdue(db: mongo.Db): Promise<string | undefined> {
  const open = await db.collection('orders').findOne({ status: 'created' });
  if (!open) return undefined;
  const overdueSince = new Date((open['expiresAt'] as Date).getTime() + GRACE_SECONDS * 1000);
  return `order ${String(open._id)} is open; overdue at ${overdueSince.toISOString()}`;
}

async function unacknowledged({ brokerReportUrl }: Marketplace): Promise<string | undefined> {
  for (const channel of HEARD) {
    const report = await reportOn(brokerReportUrl, channel);
    if (!report) continue;
    const { last_seq = 0, subscriptions = [] } = report;
    const members = subscriptions.filter(({ queue_name }) => queue_name === `${QUEUE_GROUP}:${QUEUE_GROUP}`);
    if (members.length === 0) return `nobody of the group hears ${channel}`;
    const sent = Math.max(...members.map(({ last_sent }) => last_sent));
    if (sent < last_seq) return `${channel} is heard up to ${sent} of ${last_seq}`;
    const inFlight = members.reduce((sum, { pending_count }) => sum + pending_count, 0);
    if (inFlight > 0) return `${inFlight} messages of ${channel} are not acknowledged`;
  }
  return undefined;
}

async function staleTicket(db: mongo.Db, marketplace: Marketplace): Promise<string | undefined> {
  const newest = await marketplace.newestTickets();
  const copies = await db.collection<{ version: number }>('tickets').find().toArray();
  const versions = new Map(copies.map(({ _id, version }) => [String(_id), version]));
  return newest.map((ticket) => staleCopy(ticket, versions)).find((stale) => stale !== undefined);
}

async function parked(db: mongo.Db): Promise<string | undefined> {
  const failed = await db
    .collection<{ _id: string; data: string }>('dead_letters')
    .find({ retryAt: { $exists: true } })
    .toArray();
  const ours = failed.find(({ data }) => !data.includes(FOREIGN_ORDER_PREFIX));
  return ours && `${ours._id} is parked`;
}
