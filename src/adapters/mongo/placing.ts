import {
  Unavailable,
  type Clock,
  type Metrics,
  type Placement,
  type PlacementResult,
} from '../../application/ports';
import { allOf, unknownIfUnavailable, untilKnown } from '../../application/schedule';
import type { MongoConnection } from './connection';
import {
  NO_LEASE,
  ORDER_FIELDS,
  toObjectId,
  toOrder,
  toLease,
  type Models,
  type OrderDocument,
} from './documents';
import { grouped } from './grouped';
import { insertEach, type InsertOutcome } from './insert-each';

const LARGEST_GROUP = 100;
/** An order with its turn and its key. */
const PLACE_FIELDS = { ...ORDER_FIELDS, turn: 1, idempotencyKey: 1 } as const;
/** How long an insert of unknown outcome is retried before the caller gets `Unavailable`. */
const SETTLE = { withinMs: 3_000, atLeast: 2, pauses: { firstMs: 50, longestMs: 500 } };

export interface LeaseSettings {
  readonly owner: string;
  readonly ms: number;
}

/** The dependencies of all writes of orders. */
export interface OrderDeps {
  readonly clock: Clock;
  readonly leasing: LeaseSettings;
  /** Resolves when everything read before is durable. */
  readonly confirmReads: () => Promise<void>;
  readonly onRetry: Metrics['retried'];
}

/** Places orders: one insert each, concurrent ones in one round trip. */
export function createPlacing(
  { orders }: Models,
  connection: Pick<MongoConnection, 'ask' | 'ready'>,
  deps: OrderDeps,
): (placement: Placement) => Promise<PlacementResult> {
  const { clock, leasing } = deps;
  const insertGrouped = grouped(insertAll, LARGEST_GROUP);

  return async function place(placement) {
    // Nothing was sent yet, so no outcome is unknown.
    if (!connection.ready()) throw new Unavailable('the database is not ready');
    const onRetry = () => deps.onRetry('insert');
    const result = await untilKnown(() => placeOnce(placement), { ...SETTLE, clock, onRetry });
    if (!result) throw new Unavailable('whether the order was stored is not known');
    return result;
  };

  /** Resolves to undefined when the outcome is unknown. */
  async function placeOnce(placement: Placement): Promise<PlacementResult | undefined> {
    const sentAt = clock.monotonic();
    const document = toDocument(placement);
    switch (await insertGrouped(document)) {
      case 'inserted':
        return inserted(document, sentAt);
      case 'duplicate':
        return findDuplicate(document).catch(unknownIfUnavailable);
      case 'unknown':
        return undefined;
    }
  }

  async function insertAll(documents: readonly OrderDocument[]): Promise<InsertOutcome[]> {
    // Checked for each group: the database may have been lost since the calls.
    const outcomes = await connection
      .ask(() => insertEach(orders.collection, documents))
      .catch(unknownIfUnavailable);
    return outcomes ?? documents.map(() => 'unknown');
  }

  function inserted(document: OrderDocument, sentAt: number): PlacementResult {
    const hasLease = document.publishing.owner !== null;
    return hasLease
      ? { type: 'inserted', lease: toLease(document, sentAt + leasing.ms) }
      : { type: 'inserted' };
  }

  /**
   * The server names any one of several duplicates, so all of them are checked, in this order. Resolves to undefined
   * while a majority does not have the other order.
   */
  async function findDuplicate(ours: OrderDocument): Promise<PlacementResult | undefined> {
    const { _id, idempotencyKey, ticket } = ours;
    const [sameIdOrKey, latest] = await connection.ask(() =>
      allOf([
        orders
          .find({ $or: [{ _id }, { idempotencyKey }] }, PLACE_FIELDS)
          .readConcern('majority')
          .lean<OrderDocument[]>(),
        orders
          .findOne({ 'ticket.id': ticket.id }, PLACE_FIELDS)
          .sort({ turn: -1 })
          .readConcern('majority')
          .lean<OrderDocument>(),
      ]),
    );
    // Two queries at two moments: the second may find an order that the first was too early for.
    const found = latest ? [...sameIdOrKey, latest] : sameIdOrKey;
    if (found.some((other) => other._id.equals(_id))) {
      // Stored by an attempt that got no answer. The lease has been running since, so it is not used.
      await deps.confirmReads();
      return { type: 'inserted' };
    }
    const sameKey = found.find((other) => other.idempotencyKey === idempotencyKey);
    if (sameKey) return { type: 'key-taken', order: toOrder(sameKey) };
    if (!latest || latest.turn < ours.turn) return undefined;
    return { type: 'turn-taken', latest: { order: toOrder(latest), turn: latest.turn } };
  }

  function toDocument({ order, turn, events, record, idempotencyKey, withLease }: Placement): OrderDocument {
    const { id, ticket, payments, ...fields } = order;
    const takesLease = withLease && events.length > 0;
    return {
      _id: toObjectId(id),
      ...fields,
      ticket: { ...ticket, id: toObjectId(ticket.id) },
      turn,
      idempotencyKey: idempotencyKey ?? id,
      payments: [...payments],
      outbox: [...events],
      changes: [record],
      publishing: {
        next: 0,
        pending: events.length,
        leaseUntil: takesLease ? new Date(clock.now().getTime() + leasing.ms) : NO_LEASE,
        owner: takesLease ? leasing.owner : null,
        attempts: 0,
        since: order.createdAt,
      },
    };
  }
}
