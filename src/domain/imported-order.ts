import type { OrderEvent } from './events';
import type { Order, Payment } from './order';

/**
 * Cancels an order of an earlier system because another order holds its ticket. If it was paid, it gets an open refund
 * for a payment that is not known here yet.
 */
export function cancelForConflict(order: Order): { order: Order; events: readonly OrderEvent[] } {
  const data = {
    id: order.id,
    // Peers know it at version 0: they received nothing but its OrderCreated, whatever happened to it since.
    version: 1,
    ticket: { id: order.ticket.id },
  };
  return {
    order: {
      ...order,
      version: order.version + 1,
      status: 'cancelled',
      reason: 'operator',
      payments: order.status === 'complete' ? [placeholderOf(order)] : [],
    },
    events: [{ subject: 'order:cancelled', data }],
  };
}

/** Stands for the payment of an order of which only its status says that it was paid. */
function placeholderOf({ id, createdAt }: Order): Payment {
  return { id: `imported-${id}`, at: createdAt, refund: 'late', placeholder: true };
}
