import type { FilterQuery } from 'mongoose';
import type { Claimable, Outbox, PublishingLease } from '../../application/ports';
import { createBacklog } from './backlog';
import { createMarkPublished, seqOf } from './mark-published';
import type { MongoConnection } from './connection';
import { HAS_PENDING, LEASE_FIELDS, toObjectId, toLease, type Models, type OrderDocument } from './documents';
import { grouped } from './grouped';
import type { OrderDeps } from './placing';

const LARGEST_GROUP = 100;

/** A claim, and its time by the monotonic clock. */
interface Asked {
  readonly orderId: string;
  readonly askedAt: number;
}

type Position = Pick<OrderDocument, '_id' | 'ticket' | 'turn' | 'publishing'>;
const POSITION_FIELDS = { 'ticket.id': 1, turn: 1, 'publishing.leaseUntil': 1 } as const;

export function createOutbox(
  models: Models,
  connection: Pick<MongoConnection, 'ask'>,
  deps: OrderDeps,
): Outbox {
  const { orders } = models;
  const { ask } = connection;
  const { clock, leasing } = deps;
  const isFree = (): FilterQuery<OrderDocument> => ({ 'publishing.leaseUntil': { $lte: clock.now() } });

  async function earliest(ticketId: string): Promise<string | undefined> {
    const found = await orders
      .findOne({ 'ticket.id': toObjectId(ticketId), ...HAS_PENDING }, { turn: 1 })
      .sort({ turn: 1 })
      .readConcern('majority')
      .lean<Pick<OrderDocument, '_id' | 'turn'>>();
    // If a crash undid the mark, the event would be published again, after the event that waited for it.
    if (found && found.turn > 0) await deps.confirmReads();
    return found?._id.toHexString();
  }

  async function claimable(limit: number, after?: Claimable): Promise<readonly Claimable[]> {
    if (!after) return findClaimable(isFree(), limit);
    // Nearly all became free at once, because they never had a lease: both ranges are ranges of the index.
    const { orderId, freeSince } = after;
    const alike = await findClaimable(
      { 'publishing.leaseUntil': freeSince, _id: { $gt: toObjectId(orderId) } },
      limit,
    );
    if (alike.length === limit) return alike;
    const later = { 'publishing.leaseUntil': { $gt: freeSince, $lte: clock.now() } };
    return [...alike, ...(await findClaimable(later, limit - alike.length))];
  }

  async function findClaimable(filter: FilterQuery<OrderDocument>, limit: number): Promise<Claimable[]> {
    const found = await orders
      .find({ ...filter, ...HAS_PENDING }, POSITION_FIELDS)
      .sort({ 'publishing.leaseUntil': 1, _id: 1 })
      .limit(limit)
      .lean<Position[]>();
    return found.map(({ _id, ticket, turn, publishing }) => ({
      orderId: _id.toHexString(),
      ticketId: ticket.id.toHexString(),
      turn,
      freeSince: publishing.leaseUntil,
    }));
  }

  async function claimOne({ orderId, askedAt }: Asked): Promise<PublishingLease | undefined> {
    const document = await orders
      .findOneAndUpdate(
        { _id: toObjectId(orderId), ...HAS_PENDING, ...isFree() },
        { $set: takenUntil(new Date(clock.now().getTime() + leasing.ms)) },
        { returnDocument: 'after', projection: LEASE_FIELDS },
      )
      .lean<OrderDocument>();
    return document ? toLease(document, askedAt + leasing.ms) : undefined;
  }

  async function claimEach(asked: readonly Asked[]): Promise<(PublishingLease | undefined)[]> {
    const [first] = asked;
    if (first && asked.length === 1) return [await claimOne(first)];
    const leaseUntil = new Date(clock.now().getTime() + leasing.ms);
    const _id = { $in: asked.map(({ orderId }) => toObjectId(orderId)) };
    await orders.collection.updateMany({ _id, ...HAS_PENDING, ...isFree() } as object, {
      $set: takenUntil(leaseUntil),
    });
    const taken = await orders
      .find({ _id, 'publishing.owner': leasing.owner, 'publishing.leaseUntil': leaseUntil }, LEASE_FIELDS)
      .readConcern('majority')
      .lean<OrderDocument[]>();
    // Events that others added since the lease was taken are included, and may not be durable yet.
    await deps.confirmReads();
    const byId = new Map(taken.map((document) => [document._id.toHexString(), document]));
    return asked.map(({ orderId, askedAt }) => {
      const document = byId.get(orderId);
      // Only the first caller gets it.
      byId.delete(orderId);
      return document && document.publishing.pending > 0
        ? toLease(document, askedAt + leasing.ms)
        : undefined;
    });
  }

  const takenUntil = (leaseUntil: Date) => ({
    'publishing.owner': leasing.owner,
    'publishing.leaseUntil': leaseUntil,
  });

  async function release(lease: PublishingLease, delayMs: number, attempts: number): Promise<void> {
    await orders.collection.updateOne(
      {
        _id: toObjectId(lease.orderId),
        'publishing.owner': leasing.owner,
        'publishing.next': seqOf(lease),
      },
      {
        $set: {
          'publishing.owner': null,
          'publishing.leaseUntil': new Date(clock.now().getTime() + delayMs),
          'publishing.attempts': attempts,
        },
      },
    );
  }

  const backlog = createBacklog(models, clock);
  const claim = grouped(claimEach, LARGEST_GROUP);

  return {
    earliest: (ticketId) => ask(() => earliest(ticketId)),
    claimable: (limit, after) => ask(() => claimable(limit, after)),
    claim: (orderId) => ask(() => claim({ orderId, askedAt: clock.monotonic() })),
    markPublished: createMarkPublished(models, connection, deps),
    release: (lease, delayMs, attempts) => ask(() => release(lease, delayMs, attempts)),
    backlog: () => ask(backlog),
  };
}
