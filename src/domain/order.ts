import type { OrderEvent, RefundReason } from './events';
import type { Ticket } from './ticket';

/** `awaiting:payment` is known on the wire but never set here; it is treated like `created`. */
export const ORDER_STATUSES = ['created', 'awaiting:payment', 'complete', 'cancelled'] as const;
export type OrderStatus = (typeof ORDER_STATUSES)[number];
/** Of an order that waits for its payment. */
export const OPEN_STATUSES = ['created', 'awaiting:payment'] as const satisfies readonly OrderStatus[];
export type CancelReason = 'user' | 'expired' | 'operator';

export interface Payment {
  readonly id: string;
  /** The provider's id of the charge. Not every payment service sends one. */
  readonly stripeId?: string;
  /** The broker's timestamp of the payment's message. */
  readonly at: Date;
  /** Set when the order could not keep this payment. */
  readonly refund?: RefundReason;
  /** When it was paid back, and the reference of that, such as the provider's id of the refund. */
  readonly refunded?: Refunded;
  /**
   * The id of the payment that recorded this charge first. This entry only adds another id of that charge: it is
   * neither kept nor refunded a second time.
   */
  readonly sameAs?: string;
  /**
   * Stands for the payment of an imported order that was paid, until that payment is received. Then `refunded` has its
   * id as the reference, unless the charge was paid back before.
   */
  readonly placeholder?: true;
}

export interface Refunded {
  readonly at: Date;
  readonly reference: string;
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
  | { readonly type: 'cancel'; readonly by: 'user' | 'operator' }
  | { readonly type: 'expire' }
  | { readonly type: 'pay'; readonly payment: ReceivedPayment }
  /** A payment that the order could not keep was paid back. */
  | { readonly type: 'refund'; readonly paymentId: string; readonly refunded: Refunded };

/** A payment as received, before any decision about it. */
export type ReceivedPayment = Omit<Payment, 'refund' | 'refunded' | 'sameAs' | 'placeholder'>;

/** The changes of one input to an order, besides its version. */
export interface OrderChange {
  readonly status?: 'complete' | 'cancelled';
  readonly reason?: CancelReason;
  /** Is added to the existing payments. */
  readonly payment?: Payment;
  /** Is added to the first payment of this id. */
  readonly refund?: { readonly paymentId: string; readonly refunded: Refunded };
}

export type Decision =
  | { readonly type: 'changed'; readonly change: OrderChange; readonly events: readonly OrderEvent[] }
  | { readonly type: 'unchanged' }
  | { readonly type: 'refused'; readonly reason: Refusal };

/** `no-refund-due`: the order has no such payment, or keeps it. */
export type Refusal = 'already-paid' | 'no-refund-due';

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
      return cancel(order, input.by);
    case 'expire':
      return cancel(order, 'expired');
    case 'pay':
      return pay(order, input.payment);
    case 'refund':
      return refund(order, input.paymentId, input.refunded);
    default:
      return unreachable(input);
  }
}

/** Whether the order blocks its ticket for everyone else. A complete order blocks it for ever. */
export function holdsTicket(order: Pick<Order, 'status'>): boolean {
  return order.status !== 'cancelled';
}

/** Whether the order waits for its payment. */
export function isOpen({ status }: Pick<Order, 'status'>): boolean {
  return (OPEN_STATUSES as readonly OrderStatus[]).includes(status);
}

/** The order after the change. */
export function applyChange(order: Order, { payment, refund, ...fields }: OrderChange): Order {
  const payments = [...order.payments, ...(payment ? [payment] : [])];
  const index = payments.findIndex(({ id }) => id === refund?.paymentId);
  const paidBack = payments[index];
  if (refund && paidBack) payments[index] = { ...paidBack, refunded: refund.refunded };
  return { ...order, ...fields, version: order.version + 1, payments };
}

/** The payment that recorded the charge of this payment id first. */
export function chargeOf({ payments }: Pick<Order, 'payments'>, paymentId: string): Payment | undefined {
  const named = payments.find(({ id }) => id === paymentId);
  return payments.find(({ id }) => id === (named?.sameAs ?? paymentId));
}

/** The payment that was received in place of a placeholder. */
export function replacementOf({ payments }: Pick<Order, 'payments'>, payment: Payment): Payment | undefined {
  return payment.placeholder && payments.find(({ id }) => id === payment.refunded?.reference);
}

/** The payments that must be refunded and are not yet. */
export function openRefunds({ payments }: Pick<Order, 'payments'>): Payment[] {
  return payments.filter(({ refund, refunded }) => refund !== undefined && refunded === undefined);
}

function cancel(order: Order, reason: CancelReason): Decision {
  if (!isOpen(order)) return UNCHANGED;
  return changed({ status: 'cancelled', reason }, [cancelled(order)]);
}

/** The event of a cancellation. */
export function cancelled({ id, ticket }: Pick<Order, 'id' | 'ticket'>): OrderEvent {
  return { subject: 'order:cancelled', data: { id, version: 1, ticket: { id: ticket.id } } };
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
  const placeholder = openPlaceholder(order);
  // Paid back before it was received: only its id is new.
  if (placeholder?.refunded) return changed({ payment: { ...payment, sameAs: placeholder.id } });
  const refund = refundFor(order);
  if (refund === undefined) return changed({ status: 'complete', payment });
  // From now on this payment is the one to refund.
  const refunded = { at: payment.at, reference: payment.id };
  const replaced = placeholder && { refund: { paymentId: placeholder.id, refunded } };
  return changed({ payment: { ...payment, refund }, ...replaced }, [
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

/** The placeholder of a payment that was not received yet. */
function openPlaceholder({ payments }: Order): Payment | undefined {
  const placeholder = payments.find((payment) => payment.placeholder);
  if (!placeholder) return undefined;
  const isReceived = payments.some(
    ({ id, sameAs }) => sameAs === placeholder.id || id === placeholder.refunded?.reference,
  );
  return isReceived ? undefined : placeholder;
}

/** `paymentId` may be any id under which the charge is known. */
function refund(order: Order, paymentId: string, refunded: Refunded): Decision {
  const charge = chargeOf(order, paymentId);
  if (charge?.refund === undefined) return { type: 'refused', reason: 'no-refund-due' };
  if (charge.refunded) return UNCHANGED;
  return changed({ refund: { paymentId: charge.id, refunded } });
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
