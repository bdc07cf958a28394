import type { OrderEvent, RefundReason } from './events';
import type { Ticket } from './ticket';

/** `awaiting:payment` is known on the wire but never set here; it is treated like `created`. */
export const ORDER_STATUSES = ['created', 'awaiting:payment', 'complete', 'cancelled'] as const;
export type OrderStatus = (typeof ORDER_STATUSES)[number];
export type CancelReason = 'user' | 'expired' | 'operator';

export interface Payment {
  readonly id: string;
  /** The provider's id of the charge. Not every payment service sends one. */
  readonly stripeId?: string;
  /** The broker's timestamp of the payment's message. */
  readonly at: Date;
  /** Set when the order could not keep this payment. */
  readonly refund?: RefundReason;
  /**
   * The id of the payment that recorded this charge first. This entry only adds another id of that charge: it is
   * neither kept nor refunded a second time.
   */
  readonly sameAs?: string;
  /** Stands for the payment of an imported order that was paid, until that payment is received. */
  readonly placeholder?: true;
}

export interface Order {
  readonly id: string;
  /** The number of changes since the order was placed. */
  readonly version: number;
  readonly userId: string;
  readonly status: OrderStatus;
  readonly reason?: CancelReason;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  /** The ticket as the buyer saw it; later updates of the ticket do not change it. */
  readonly ticket: { readonly id: string; readonly title: string; readonly price: number };
  readonly payments: readonly Payment[];
}

export type OrderInput =
  | { readonly type: 'cancel' }
  | { readonly type: 'expire' }
  | { readonly type: 'pay'; readonly payment: ReceivedPayment };

/** A payment as received, before any decision about it. */
export type ReceivedPayment = Omit<Payment, 'refund' | 'sameAs'>;

/** The changes of one input to an order, besides its version. */
export interface OrderChange {
  readonly status?: 'complete' | 'cancelled';
  readonly reason?: CancelReason;
  /** Is added to the existing payments. */
  readonly payment?: Payment;
}

export type Decision =
  | { readonly type: 'changed'; readonly change: OrderChange; readonly events: readonly OrderEvent[] }
  | { readonly type: 'unchanged' }
  | { readonly type: 'refused'; readonly reason: 'already-paid' };

const UNCHANGED: Decision = { type: 'unchanged' };

/** A new order and its OrderCreated event. */
export function place(request: {
  id: string;
  userId: string;
  ticket: Ticket;
  now: Date;
  expirationWindowSeconds: number;
}): { order: Order; events: readonly OrderEvent[] } {
  const { id, userId, ticket, now } = request;
  const order: Order = {
    id,
    version: 0,
    userId,
    status: 'created',
    createdAt: now,
    expiresAt: new Date(now.getTime() + request.expirationWindowSeconds * 1000),
    ticket: { id: ticket.id, title: ticket.title, price: ticket.price },
    payments: [],
  };
  return {
    order,
    events: [
      {
        subject: 'order:created',
        data: {
          id,
          version: order.version,
          status: 'created',
          userId,
          expiresAt: order.expiresAt.toISOString(),
          ticket: { id: ticket.id, price: ticket.price },
        },
      },
    ],
  };
}

/** The whole state table of an order. Pure: the same order and input always give the same decision. */
export function decide(order: Order, input: OrderInput): Decision {
  switch (input.type) {
    case 'cancel':
      if (order.status === 'complete') return { type: 'refused', reason: 'already-paid' };
      return cancel(order, 'user');
    case 'expire':
      return cancel(order, 'expired');
    case 'pay':
      return pay(order, input.payment);
    default:
      return unreachable(input);
  }
}

/** Whether the order blocks its ticket for everyone else. A complete order blocks it for ever. */
export function holdsTicket(order: Pick<Order, 'status'>): boolean {
  return order.status !== 'cancelled';
}

/** The order after the change. */
export function applyChange(order: Order, { payment, ...fields }: OrderChange): Order {
  const payments = payment ? [...order.payments, payment] : order.payments;
  return { ...order, ...fields, version: order.version + 1, payments };
}

function cancel({ id, version, status, ticket }: Order, reason: CancelReason): Decision {
  if (status === 'complete' || status === 'cancelled') return UNCHANGED;
  const data = { id, version: version + 1, ticket: { id: ticket.id } };
  return changed({ status: 'cancelled', reason }, [{ subject: 'order:cancelled', data }]);
}

/**
 * A payment id and a provider id both identify a charge: one charge is kept once or refunded once, even if its payment
 * is sent again under another id.
 */
function pay(order: Order, payment: ReceivedPayment): Decision {
  const sameId = order.payments.find(({ id }) => id === payment.id);
  const sameCharge =
    payment.stripeId === undefined
      ? sameId
      : order.payments.find(({ stripeId }) => stripeId === payment.stripeId);
  if (sameId && sameCharge) return UNCHANGED;

  const known = sameId ?? sameCharge;
  if (known) return changed({ payment: { ...payment, sameAs: known.sameAs ?? known.id } });
  const refund = refundFor(order);
  if (refund === undefined) return changed({ status: 'complete', payment });
  return changed({ payment: { ...payment, refund } }, [
    {
      subject: 'order:refund-required',
      data: {
        orderId: order.id,
        userId: order.userId,
        paymentId: payment.id,
        ...(payment.stripeId === undefined ? {} : { stripeId: payment.stripeId }),
        reason: refund,
        paidInTime: payment.at < order.expiresAt,
        ticket: { id: order.ticket.id, price: order.ticket.price },
      },
    },
  ]);
}

function changed(change: OrderChange, events: readonly OrderEvent[] = []): Decision {
  return { type: 'changed', change, events };
}

/** A cancelled order stays cancelled: its ticket may have been sold again. */
function refundFor(order: Order): RefundReason | undefined {
  if (order.status === 'cancelled') return 'late';
  // A complete order without payments was imported: the first payment received is its own.
  if (order.status === 'complete' && order.payments.length > 0) return 'second';
  return undefined;
}

function unreachable(input: never): never {
  throw new TypeError(`no such input: ${JSON.stringify(input)}`);
}
