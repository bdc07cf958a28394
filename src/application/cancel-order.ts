import type { ChangeOrder } from './change-order';
import type { Cause, Metrics } from './ports';

export type CancelOrder = (command: {
  readonly userId: string;
  readonly orderId: string;
  /** The order must have one of these versions. */
  readonly versions?: readonly number[];
  readonly cause: Cause;
}) => Promise<'cancelled' | 'not-found' | 'already-paid' | 'precondition-failed'>;

/**
 * The owner cancels an order. If it is cancelled already, that is a success, whatever `versions` are given: the answer
 * to an earlier attempt may have been lost. For other users the order is not found.
 */
export function createCancelOrder(deps: {
  changeOrder: ChangeOrder;
  metrics: Pick<Metrics, 'orderOutcome'>;
}): CancelOrder {
  return async function cancelOrder({ userId, orderId, versions, cause }) {
    let isOwn = false;
    const result = await deps.changeOrder(
      orderId,
      { type: 'cancel', by: 'user' },
      cause,
      (order, decision) => {
        isOwn = order.userId === userId;
        return (
          isOwn && (decision === 'unchanged' || versions === undefined || versions.includes(order.version))
        );
      },
    );
    switch (result.type) {
      case 'unknown-order':
        return 'not-found';
      case 'not-permitted':
        return isOwn ? 'precondition-failed' : 'not-found';
      case 'refused':
        return 'already-paid';
      case 'changed':
        deps.metrics.orderOutcome('cancelled_by_user');
        return 'cancelled';
      case 'unchanged':
        return 'cancelled';
    }
  };
}
