import type { FilterQuery } from 'mongoose';
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
  toOrder,
  toOrderDocument,
  toLease,
  type Models,
  type OrderDocument,
} from './documents';
import { grouped } from './grouped';
import { insertEach, type InsertOutcome } from './insert-each';
import { openNumbersOf, openOrdersOf } from './open-numbers';

const LARGEST_GROUP = 100;
/** An order with its turns and its key. */
const PLACE_FIELDS = { ...ORDER_FIELDS, turn: 1, idempotencyKey: 1, openNumber: 1, openTurn: 1 } as const;
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
    const { found, open } = await connection.ask(() => findOthers(ours));
    if (found.some((other) => other._id.equals(_id))) {
      // Stored by an attempt that got no answer. The lease has been running since, so it is not used.
      await deps.confirmReads();
      return { type: 'inserted' };
    }
    const sameKey = found.find((other) => other.idempotencyKey === idempotencyKey);
    if (sameKey) return { type: 'key-taken', order: toOrder(sameKey) };
    const [latest] = found
      .filter((other) => other.ticket.id.equals(ticket.id))
      .sort((one, other) => other.turn - one.turn);
    if (latest && latest.turn >= ours.turn) {
      return { type: 'turn-taken', latest: { order: toOrder(latest), turn: latest.turn } };
    }
    return found.some((other) => hasOpenTurn(other, ours))
      ? { type: 'open-turn-taken', taken: openNumbersOf(open) }
      : undefined;
  }

  /** `open`: the open orders of the user. `found`: those and all other possible duplicates. */
  async function findOthers(ours: OrderDocument) {
    const { _id, idempotencyKey, ticket, userId, openNumber, openTurn } = ours;
    const find = (filter: FilterQuery<OrderDocument>) =>
      orders.find(filter, PLACE_FIELDS).readConcern('majority').lean<OrderDocument[]>();
    const isLimited = openNumber !== undefined;
    const [sameIdOrKey, latest, sameOpenTurn, open] = await allOf([
      find({ $or: [{ _id }, { idempotencyKey }] }),
      find({ 'ticket.id': ticket.id }).sort({ turn: -1 }).limit(1),
      isLimited ? find({ userId, openNumber, openTurn }) : [],
      isLimited ? find(openOrdersOf(userId)) : [],
    ]);
    // At several moments: one query may find an order that another was too early for.
    return { found: [...sameIdOrKey, ...latest, ...sameOpenTurn, ...open], open };
  }

  function toDocument(placement: Placement): OrderDocument {
    const { order, events, idempotencyKey, openTurn, withLease } = placement;
    const takesLease = withLease && events.length > 0;
    const document = toOrderDocument(placement, {
      idempotencyKey,
      leaseUntil: takesLease ? new Date(clock.now().getTime() + leasing.ms) : NO_LEASE,
      owner: takesLease ? leasing.owner : null,
      since: order.createdAt,
    });
    return openTurn ? { ...document, openNumber: openTurn.number, openTurn: openTurn.turn } : document;
  }
}

function hasOpenTurn(other: OrderDocument, { userId, openNumber, openTurn }: OrderDocument): boolean {
  return (
    openNumber !== undefined &&
    other.userId === userId &&
    other.openNumber === openNumber &&
    other.openTurn === openTurn
  );
}
