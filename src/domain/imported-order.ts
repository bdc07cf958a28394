import type { OrderEvent } from './events';
import { cancelled, type Order, type Payment } from './order';

/**
 * Cancels an order of an earlier system because another order holds its ticket. If it was paid, it gets an open refund
 * for a payment that is not known here yet.
 */
export function cancelForConflict(order: Order): { order: Order; events: readonly OrderEvent[] } {
  return {
    order: {
      ...order,
      version: order.version + 1,
      status: 'cancelled',
      reason: 'operator',
      payments: order.status === 'complete' ? [placeholderOf(order)] : [],
    },
    events: [cancelled(order)],
  };
}

/** Stands for the payment of an order of which only its status says that it was paid. */
function placeholderOf({ id, createdAt }: Order): Payment {
  return { id: `imported-${id}`, at: createdAt, refund: 'late', placeholder: true };
}
