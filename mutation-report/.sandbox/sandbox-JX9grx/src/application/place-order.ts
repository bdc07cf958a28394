import { holdsTicket, place } from '../domain/order';
import type { Order } from '../domain/order';
import { toOutbox } from './outbox-events';
import { Unavailable } from './ports';
import type { Clock, Metrics, NewId, OrderStore, Placement, Publication, TicketStore } from './ports';
import type { Turns } from './turns';

/** How long a repeated idempotency key gets the first answer again. */
const IDEMPOTENCY_KEY_LIFE_MS = 24 * 60 * 60 * 1000;

/** Turns that one request may lose to others. */
const TURNS_LOST = 10;

export interface PlaceOrderCommand {
  readonly userId: string;
  readonly ticketId: string;
  readonly idempotencyKey?: string;
}

export type PlaceOrderResult =
  /** `order` is the order as it was placed, whatever has become of it since. */
  | { readonly type: 'placed' | 'replayed'; readonly order: Order }
  | { readonly type: 'unknown-ticket' }
  /** `ownOrderId`: it is the caller's own order that holds the ticket. */
  | { readonly type: 'reserved'; readonly ownOrderId?: string }
  /** The idempotency key was used for another ticket. */
  | { readonly type: 'key-reused' };

/** What came of one insert: the answer, or what to insert instead. */
type Attempt =
  | { readonly type: 'answered'; readonly result: PlaceOrderResult }
  | { readonly type: 'turn lost' | 'key outlived'; readonly placement: Placement };

export type PlaceOrder = (command: PlaceOrderCommand) => Promise<PlaceOrderResult>;

/**
 * Places an order in two round trips to the database: the ticket, and one insert that decides everything. The orders
 * of a ticket take turns. A turn is given once, by a unique index; the next one only when the order before is known
 * for certain to be cancelled. So no two orders ever hold one ticket.
 */
export function createPlaceOrder(deps: {
  orders: Pick<OrderStore, 'insert' | 'confirmReads'>;
  tickets: Pick<TicketStore, 'find'>;
  turns: Turns;
  /** Hands over what the insert gave us the right to publish. Returns at once. */
  publish: (publication: Publication) => void;
  /** Whether to take the publishing lease with the insert. */
  takeLease: () => boolean;
  clock: Pick<Clock, 'now'>;
  newId: NewId;
  metrics: Pick<Metrics, 'orderOutcome' | 'retried'>;
  expirationWindowSeconds: number;
}): PlaceOrder {
  const { orders, tickets, turns, clock, metrics } = deps;

  return async function placeOrder(command) {
    const ticket = await tickets.find(command.ticketId);
    if (!ticket) return { type: 'unknown-ticket' };

    const now = clock.now();
    const { order, events } = place({
      id: deps.newId(),
      userId: command.userId,
      ticket,
      now,
      expirationWindowSeconds: deps.expirationWindowSeconds,
    });
    let placement: Placement = {
      order,
      turn: turns.next(ticket.id),
      events: toOutbox(events, 0, now),
      ...(command.idempotencyKey === undefined ? {} : { idempotencyKey: storedKey(command) }),
      lease: deps.takeLease(),
    };
    let turnsLost = 0;
    while (turnsLost < TURNS_LOST) {
      const outcome = await insert(command, placement);
      if (outcome.type === 'answered') return outcome.result;
      placement = outcome.placement;
      metrics.retried('place');
      // Keys that were outlived come to an end: each is a day older than the next.
      if (outcome.type === 'turn lost') turnsLost += 1;
    }
    throw new Unavailable(`ticket ${ticket.id} changes hands too often`);
  };

  async function insert(command: PlaceOrderCommand, placement: Placement): Promise<Attempt> {
    const result = await orders.insert(placement);
    switch (result.type) {
      case 'inserted':
        metrics.orderOutcome('placed');
        if (result.publication) deps.publish(result.publication);
        return answered({ type: 'placed', order: placement.order });
      case 'key-taken':
        return keyTaken(command, placement, result.order);
      case 'turn-taken':
        return turnTaken(command, placement, result.latest);
    }
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
    return { type: 'turn lost', placement: { ...placement, turn: latest.turn + 1 } };
  }

  async function keyTaken(
    command: PlaceOrderCommand,
    placement: Placement,
    earlier: Order,
  ): Promise<Attempt> {
    const age = placement.order.createdAt.getTime() - earlier.createdAt.getTime();
    // After a day the key counts as new: it goes on under a name of its own, which names the order before.
    if (age > IDEMPOTENCY_KEY_LIFE_MS) {
      const idempotencyKey = storedKey(command, earlier.id);
      return { type: 'key outlived', placement: { ...placement, idempotencyKey } };
    }
    // The ticket is the whole request, so another ticket is another request.
    if (earlier.ticket.id !== command.ticketId) return answered({ type: 'key-reused' });
    await orders.confirmReads();
    return answered({ type: 'replayed', order: asPlaced(earlier) });
  }
}

function answered(result: PlaceOrderResult): Attempt {
  return { type: 'answered', result };
}

/** JSON joins user and key so that no other pair gives the same text. */
function storedKey({ userId, idempotencyKey }: PlaceOrderCommand, previousOrderId?: string): string {
  return JSON.stringify([userId, idempotencyKey, previousOrderId ?? null]);
}

function asPlaced({ reason: _, ...order }: Order): Order {
  return { ...order, version: 0, status: 'created', payments: [] };
}
