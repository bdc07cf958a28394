/**
 * The events of an order, as its peers read them. The field names are a wire contract with services that we do not own:
 * fields may be added, none renamed or removed.
 */

export interface OrderCreated {
  readonly subject: 'order:created';
  readonly data: {
    readonly id: string;
    readonly version: number;
    readonly status: 'created';
    readonly userId: string;
    /** ISO 8601, UTC. */
    readonly expiresAt: string;
    readonly ticket: { readonly id: string; readonly price: number };
  };
}

export interface OrderCancelled {
  readonly subject: 'order:cancelled';
  readonly data: {
    readonly id: string;
    /** One above that of OrderCreated, whatever the order's own version is: payment services look up `version - 1`. */
    readonly version: number;
    readonly ticket: { readonly id: string };
  };
}

/** A payment was taken that the order cannot keep. Our own addition: peers that do not know it ignore it. */
export interface RefundRequired {
  readonly subject: 'order:refund-required';
  readonly data: {
    readonly orderId: string;
    readonly userId: string;
    readonly paymentId: string;
    /** Absent where the payment service sent none. */
    readonly stripeId?: string;
    readonly reason: RefundReason;
    /** Whether the broker's timestamp of the payment is before the order's `expiresAt`. */
    readonly paidInTime: boolean;
    readonly ticket: { readonly id: string; readonly price: number };
  };
}

/** `late`: the order was already cancelled. `second`: another payment had completed it. */
export type RefundReason = 'late' | 'second';

export type OrderEvent = OrderCreated | OrderCancelled | RefundRequired;
