import { place } from '../domain/order';
import type { Order } from '../domain/order';
import { toOutbox } from './outbox-events';
import type { Clock, Metrics, NewId, OrderStore, Placement, Publication, TicketStore } from './ports';

/** How long a repeated idempotency key gets the first answer again. */
const IDEMPOTENCY_KEY_LIFE_MS = 24 * 60 * 60 * 1000;

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

export type PlaceOrder = (command: PlaceOrderCommand) => Promise<PlaceOrderResult>;

/** Two round trips to the database: the ticket, and one insert that decides everything. */
export function createPlaceOrder(deps: {
  orders: Pick<OrderStore, 'insert' | 'confirmReads' | 'releaseIdempotencyKey'>;
  tickets: Pick<TicketStore, 'find'>;
  /** Hands over what the insert gave us the right to publish. Returns at once. */
  publish: (publication: Publication) => void;
  /** Whether to take the publishing lease with the insert. */
  takeLease: () => boolean;
  clock: Pick<Clock, 'now'>;
  newId: NewId;
  metrics: Pick<Metrics, 'orderOutcome'>;
  expirationWindowSeconds: number;
}): PlaceOrder {
  const { orders, tickets, clock, metrics } = deps;

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
    const placement: Placement = {
      order,
      events: toOutbox(events, 0, now),
      ...(command.idempotencyKey === undefined ? {} : { idempotencyKey: storedKey(command) }),
      lease: deps.takeLease(),
    };
    return insert(command, placement);
  };

  async function insert(command: PlaceOrderCommand, placement: Placement): Promise<PlaceOrderResult> {
    const result = await orders.insert(placement);
    switch (result.type) {
      case 'inserted':
        metrics.orderOutcome('placed');
        if (result.publication) deps.publish(result.publication);
        return { type: 'placed', order: placement.order };
      case 'key-taken':
        return keyTaken(command, placement, result.order);
      case 'ticket-held':
        metrics.orderOutcome('refused_reserved');
        return result.order.userId === command.userId
          ? { type: 'reserved', ownOrderId: result.order.id }
          : { type: 'reserved' };
    }
  }

  async function keyTaken(
    command: PlaceOrderCommand,
    placement: Placement,
    earlier: Order,
  ): Promise<PlaceOrderResult> {
    const age = placement.order.createdAt.getTime() - earlier.createdAt.getTime();
    if (age > IDEMPOTENCY_KEY_LIFE_MS) {
      await orders.releaseIdempotencyKey(earlier.id, storedKey(command));
      return insert(command, placement);
    }
    // The ticket is the whole request, so another ticket is another request.
    if (earlier.ticket.id !== command.ticketId) return { type: 'key-reused' };
    await orders.confirmReads();
    return { type: 'replayed', order: asPlaced(earlier) };
  }
}

/** JSON joins user and key so that no other pair gives the same text. */
function storedKey({ userId, idempotencyKey }: PlaceOrderCommand): string {
  return JSON.stringify([userId, idempotencyKey]);
}

function asPlaced({ reason: _, ...order }: Order): Order {
  return { ...order, version: 0, status: 'created', payments: [] };
}
