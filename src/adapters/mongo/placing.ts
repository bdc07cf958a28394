import { Unavailable } from '../../application/ports';
import type { Clock, Placement, PlacementResult } from '../../application/ports';
import { backoff, pause } from '../../application/schedule';
import type { MongoConnection } from './connection';
import { NO_LEASE, toObjectId, toOrder, toPublication } from './documents';
import type { Models, OrderDocument } from './documents';
import { insertOutcomes } from './errors';
import { grouped } from './grouped';

const LARGEST_GROUP = 100;
/** How long an insert of unknown outcome is asked about before the caller hears that it is unknown. */
const SETTLE_WITHIN_MS = 4_000;
const RETRY = { firstMs: 50, longestMs: 500 };

export interface LeaseSettings {
  readonly owner: string;
  readonly ms: number;
}

type Outcome = 'inserted' | 'duplicate' | 'unknown';

/** Places orders: one insert each, those of the same moment in one round trip. */
export function createPlacing(
  { orders }: Models,
  connection: Pick<MongoConnection, 'ask'>,
  deps: { clock: Clock; lease: LeaseSettings; confirmReads: () => Promise<void> },
): (placement: Placement) => Promise<PlacementResult> {
  const { clock, lease } = deps;

  const insertGrouped = grouped<OrderDocument, Outcome>(insertAll, LARGEST_GROUP);

  async function insertAll(documents: readonly OrderDocument[]): Promise<Outcome[]> {
    try {
      // Asked for each group: the database may have been lost since the callers came.
      await connection.ask(() => insertMany(documents));
      return documents.map(() => 'inserted');
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      // Never sent, so nothing is unknown.
      if (error.cause === undefined) throw error;
      return insertOutcomes(error.cause, documents.length);
    }
  }

  async function insertMany(documents: readonly OrderDocument[]): Promise<void> {
    await orders.collection.insertMany([...documents], { ordered: false });
  }

  return async function place(placement) {
    const deadline = clock.monotonic() + SETTLE_WITHIN_MS;
    for (let attempt = 1; ; attempt += 1) {
      const sentAt = clock.monotonic();
      const document = toDocument(placement);
      const outcome = await insertGrouped(document);
      if (outcome === 'inserted') return inserted(document, sentAt);
      if (outcome === 'duplicate') {
        const result = await connection.ask(() => findDuplicate(document));
        if (result) return result;
        // A majority may not have the other order yet.
      }
      if (clock.monotonic() > deadline) throw new Unavailable('whether the order was stored is not known');
      await pause(clock, backoff(clock, attempt, RETRY));
    }
  };

  function inserted(document: OrderDocument, sentAt: number): PlacementResult {
    const hasLease = document.publishing.owner !== null;
    return hasLease
      ? { type: 'inserted', publication: toPublication(document, sentAt + lease.ms) }
      : { type: 'inserted' };
  }

  /** Which of several duplicates the server names is not defined, so all of them are looked at, in this order. */
  async function findDuplicate(ours: OrderDocument): Promise<PlacementResult | undefined> {
    const { _id, idempotencyKey, ticket } = ours;
    const [found, latest] = await Promise.all([
      orders
        .find({ $or: [{ _id }, { idempotencyKey }] }, { outbox: 0, publishing: 0 })
        .read('primary')
        .readConcern('majority')
        .lean<OrderDocument[]>(),
      orders
        .findOne({ 'ticket.id': ticket.id }, { outbox: 0, publishing: 0 })
        .sort({ turn: -1 })
        .read('primary')
        .readConcern('majority')
        .lean<OrderDocument>(),
    ]);
    if (found.some((other) => other._id.equals(_id))) {
      // Stored by an attempt whose answer never came. The lease has been running since, so it is not relied on.
      await deps.confirmReads();
      return { type: 'inserted' };
    }
    const sameKey = found.find((other) => other.idempotencyKey === idempotencyKey);
    if (sameKey) return { type: 'key-taken', order: toOrder(sameKey) };
    if (!latest || latest.turn < ours.turn) return undefined;
    return { type: 'turn-taken', latest: { order: toOrder(latest), turn: latest.turn } };
  }

  function toDocument({ order, turn, events, idempotencyKey, lease: takesLease }: Placement): OrderDocument {
    const { id, ticket, payments, ...fields } = order;
    return {
      _id: toObjectId(id),
      ...fields,
      ticket: { ...ticket, id: toObjectId(ticket.id) },
      turn,
      idempotencyKey: idempotencyKey ?? id,
      payments: [...payments],
      outbox: [...events],
      publishing: {
        next: 0,
        pending: events.length,
        leaseUntil: takesLease ? new Date(clock.now().getTime() + lease.ms) : NO_LEASE,
        owner: takesLease ? lease.owner : null,
        attempts: 0,
      },
    };
  }
}
