import { LRUCache } from 'lru-cache';
import { holdsTicket, place, type Order } from '../domain/order';
import type { Ticket } from '../domain/ticket';
import type { OpenNumbers } from './open-numbers';
import { toOutbox } from './outbox-events';
import {
  Unavailable,
  type Cause,
  type Clock,
  type Log,
  type Metrics,
  type NewId,
  type OrderStore,
  type Placement,
  type PublishingLease,
  type TicketStore,
} from './ports';
import { allOf } from './schedule';
import type { Turns } from './turns';

/** How long a repeated idempotency key gets the first answer. */
const IDEMPOTENCY_KEY_LIFE_MS = 24 * 60 * 60 * 1000;

/** How many turns one request may lose to others. */
const MOST_LOST = 10;

const ORDER_ID = /^[0-9a-f]{24}$/i;
/** How many order ids are remembered as ours, or as another service's: the latest ones. */
const HOLDS_REMEMBERED = 10_000;

export interface PlaceOrderCommand {
  readonly userId: string;
  readonly ticketId: string;
  /** The price that the buyer saw; at another one nothing is placed. */
  readonly price?: number;
  readonly idempotencyKey?: string;
  readonly cause: Cause;
}

export type PlaceOrderResult =
  /** `order` is the order as it was placed, whatever its state is now. */
  | { readonly type: 'placed' | 'replayed'; readonly order: Order }
  | { readonly type: 'unknown-ticket' }
  /** `ownOrderId`: set if the caller's own order holds the ticket. */
  | { readonly type: 'reserved'; readonly ownOrderId?: string }
  /** The ticket service holds the ticket for an order that is not known here. */
  | { readonly type: 'reserved-elsewhere' }
  /** The ticket costs `price` now, not what the buyer saw. */
  | { readonly type: 'price-changed'; readonly price: number }
  /** The user has as many open orders as allowed. */
  | { readonly type: 'too-many-open-orders' }
  /** The idempotency key was used for another ticket or at another price. */
  | { readonly type: 'key-reused' };

/** The outcome of one insert: the answer, or what to insert instead. */
type Attempt =
  | { readonly type: 'answered'; readonly result: PlaceOrderResult }
  /** Another order has one of its turns. */
  | { readonly type: 'lost'; readonly placement: Placement }
  | { readonly type: 'key outlived'; readonly idempotencyKey: string };

export type PlaceOrder = (command: PlaceOrderCommand) => Promise<PlaceOrderResult>;

/**
 * Places an order in two round trips to the database: the ticket, and one insert that decides everything. A unique
 * index gives each turn of a ticket once, and the next turn is tried only when the order before is certainly cancelled:
 * so no two orders ever hold one ticket. The open orders of a user are limited in the same way. If the ticket service
 * holds the ticket for an order, a third round trip, once per order and replica, finds out whether that order is ours.
 */
export function createPlaceOrder(deps: {
  orders: Pick<OrderStore, 'insert' | 'find' | 'findByKey' | 'confirmReads'>;
  tickets: Pick<TicketStore, 'find'>;
  turns: Turns;
  openNumbers: OpenNumbers;
  /** Publishes under the lease that the insert took. Returns at once. */
  publish: (lease: PublishingLease) => void;
  /** Whether to take the publishing lease with the insert. */
  takeLease: () => boolean;
  clock: Pick<Clock, 'now'>;
  newId: NewId;
  metrics: Pick<Metrics, 'orderOutcome' | 'retried'>;
  log: Pick<Log, 'warn'>;
  expirationWindowSeconds: number;
}): PlaceOrder {
  const { orders, tickets, turns, openNumbers, clock, metrics, log } = deps;
  /** Our orders for which tickets are held. Orders are never deleted. */
  const ourHolds = new LRUCache<string, true>({ max: HOLDS_REMEMBERED });
  /** Orders of other services that are logged already. */
  const reportedHolds = new LRUCache<string, true>({ max: HOLDS_REMEMBERED });

  return async function placeOrder(command) {
    const [ticket, openTurn] = await allOf([
      tickets.find(command.ticketId),
      openNumbers.first(command.userId),
    ]);
    if (!ticket) return { type: 'unknown-ticket' };

    const now = clock.now();
    if (ticket.orderId !== undefined && !(await isOurs(ticket.orderId))) {
      return (await answerGivenBefore(command, now)) ?? refuseElsewhere(ticket, ticket.orderId);
    }
    if (command.price !== undefined && command.price !== ticket.price) {
      return (await answerGivenBefore(command, now)) ?? refusePrice(ticket);
    }
    const { order, events } = place({
      id: deps.newId(),
      userId: command.userId,
      ticket,
      now,
      expirationWindowSeconds: deps.expirationWindowSeconds,
    });
    return insertUntilAnswered(command, {
      order,
      turn: turns.next(ticket.id),
      events: toOutbox(events, 0, now),
      record: { version: 0, status: order.status, input: 'place', cause: command.cause, at: now },
      ...(command.idempotencyKey === undefined ? {} : { idempotencyKey: storedKey(command) }),
      ...(openTurn === undefined ? {} : { openTurn }),
      withLease: deps.takeLease(),
    });
  };

  async function insertUntilAnswered(
    command: PlaceOrderCommand,
    first: Placement,
  ): Promise<PlaceOrderResult> {
    let placement = first;
    let lost = 0;
    while (lost < MOST_LOST) {
      const outcome = await insert(command, placement);
      if (outcome.type === 'answered') return outcome.result;
      metrics.retried('place');
      if (outcome.type === 'lost') {
        placement = outcome.placement;
        lost += 1;
      } else {
        // The chain of expired keys ends: each is a day older than the next.
        placement = { ...placement, idempotencyKey: outcome.idempotencyKey };
      }
    }
    throw new Unavailable(`ticket ${command.ticketId} or its buyer gets new orders too often`);
  }

  async function insert(command: PlaceOrderCommand, placement: Placement): Promise<Attempt> {
    const result = await orders.insert(placement);
    switch (result.type) {
      case 'inserted':
        metrics.orderOutcome('placed');
        ourHolds.set(placement.order.id, true);
        if (result.lease) deps.publish(result.lease);
        return answered({ type: 'placed', order: placement.order });
      case 'key-taken':
        return keyTaken(command, placement.order.createdAt, result.order);
      case 'turn-taken':
        return turnTaken(command, placement, result.latest);
      case 'open-turn-taken':
        return openTurnTaken(placement, result.taken);
    }
  }

  async function openTurnTaken(placement: Placement, taken: readonly number[]): Promise<Attempt> {
    const openTurn = await openNumbers.another(placement.order.userId, taken);
    if (openTurn) return { type: 'lost', placement: { ...placement, openTurn } };
    metrics.orderOutcome('refused_limit');
    return answered({ type: 'too-many-open-orders' });
  }

  async function turnTaken(
    { userId }: PlaceOrderCommand,
    placement: Placement,
    latest: { order: Order; turn: number },
  ): Promise<Attempt> {
    if (holdsTicket(latest.order)) {
      metrics.orderOutcome('refused_reserved');
      const isOwn = latest.order.userId === userId;
      return answered(isOwn ? { type: 'reserved', ownOrderId: latest.order.id } : { type: 'reserved' });
    }
    // A cancellation that a crash could still undo must not open the next turn.
    await orders.confirmReads();
    turns.over(latest.order.ticket.id, latest.turn);
    return { type: 'lost', placement: { ...placement, turn: latest.turn + 1 } };
  }

  async function keyTaken(command: PlaceOrderCommand, now: Date, earlier: Order): Promise<Attempt> {
    const age = now.getTime() - earlier.createdAt.getTime();
    // After a day the key counts as new: it is stored under another name, which contains the id of the order before.
    if (age > IDEMPOTENCY_KEY_LIFE_MS) {
      return { type: 'key outlived', idempotencyKey: storedKey(command, earlier.id) };
    }
    // The request consists of the ticket and its price; one without a price asks for the ticket at any.
    const { ticketId, price = earlier.ticket.price } = command;
    if (earlier.ticket.id !== ticketId || earlier.ticket.price !== price)
      return answered({ type: 'key-reused' });
    await orders.confirmReads();
    return answered({ type: 'replayed', order: asPlaced(earlier) });
  }

  // --- tickets that are held for another service's order ---------------------------------------------------

  async function isOurs(orderId: string): Promise<boolean> {
    if (ourHolds.has(orderId)) return true;
    if (!ORDER_ID.test(orderId) || !(await orders.find(orderId))) return false;
    ourHolds.set(orderId, true);
    return true;
  }

  /** The first answer to a repeated idempotency key, whatever the state of the ticket is now. */
  async function answerGivenBefore(
    command: PlaceOrderCommand,
    now: Date,
  ): Promise<PlaceOrderResult | undefined> {
    if (command.idempotencyKey === undefined) return undefined;
    let key = storedKey(command);
    for (;;) {
      const earlier = await orders.findByKey(key);
      if (!earlier) return undefined;
      const outcome = await keyTaken(command, now, earlier);
      if (outcome.type === 'answered') return outcome.result;
      if (outcome.type === 'key outlived') key = outcome.idempotencyKey;
    }
  }

  function refusePrice({ price }: Ticket): PlaceOrderResult {
    metrics.orderOutcome('refused_price');
    return { type: 'price-changed', price };
  }

  function refuseElsewhere({ id }: Ticket, orderId: string): PlaceOrderResult {
    metrics.orderOutcome('refused_elsewhere');
    if (!reportedHolds.has(orderId)) {
      reportedHolds.set(orderId, true);
      log.warn(
        { ticketId: id, heldForOrderId: orderId },
        'a ticket is not sold: the ticket service holds it for an order that is not known here',
      );
    }
    return { type: 'reserved-elsewhere' };
  }
}

function answered(result: PlaceOrderResult): Attempt {
  return { type: 'answered', result };
}

/** JSON joins user and key unambiguously: no other pair gives the same text. */
function storedKey({ userId, idempotencyKey }: PlaceOrderCommand, previousOrderId?: string): string {
  return JSON.stringify([userId, idempotencyKey, previousOrderId ?? null]);
}

function asPlaced({ reason: _, ...order }: Order): Order {
  return { ...order, version: 0, status: 'created', payments: [] };
}
