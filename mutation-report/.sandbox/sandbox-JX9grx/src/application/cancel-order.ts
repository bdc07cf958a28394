import type { ChangeOrder } from './change-order';
import type { Metrics } from './ports';

export type CancelOrder = (command: {
  readonly userId: string;
  readonly orderId: string;
}) => Promise<'cancelled' | 'not-found' | 'already-paid'>;

/** The owner cancels. Cancelling what is cancelled already is a success; someone else's order is not found. */
export function createCancelOrder(deps: {
  changeOrder: ChangeOrder;
  metrics: Pick<Metrics, 'orderOutcome'>;
}): CancelOrder {
  return async function cancelOrder({ userId, orderId }) {
    const result = await deps.changeOrder(orderId, { type: 'cancel' }, (order) => order.userId === userId);
    switch (result.type) {
      case 'unknown-order':
      case 'not-permitted':
        return 'not-found';
      case 'refused':
        return result.reason;
      case 'changed':
        deps.metrics.orderOutcome('cancelled_by_user');
        return 'cancelled';
      case 'unchanged':
        return 'cancelled';
    }
  };
}
