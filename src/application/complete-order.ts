import type { ReceivedPayment } from '../domain/order';
import type { ChangeOrder } from './change-order';
import type { Cause, Log, Metrics } from './ports';

export interface PaymentReceived {
  readonly orderId: string;
  readonly payment: ReceivedPayment;
  readonly cause: Cause;
}

export type CompleteOrder = (input: PaymentReceived) => Promise<'done' | 'unknown-order'>;

/** Records a payment: it completes the order, or must be refunded. */
export function createCompleteOrder(deps: {
  changeOrder: ChangeOrder;
  metrics: Pick<Metrics, 'orderOutcome' | 'refundRequired'>;
  log: Pick<Log, 'error'>;
}): CompleteOrder {
  const { metrics, log } = deps;

  return async function completeOrder({ orderId, payment, cause }) {
    const result = await deps.changeOrder(orderId, { type: 'pay', payment }, cause);
    if (result.type === 'unknown-order') return 'unknown-order';
    if (result.type !== 'changed') return 'done';

    const recorded = result.order.payments.find(
      ({ id, stripeId }) => id === payment.id && stripeId === payment.stripeId,
    );
    // Another id of a charge that was counted before.
    if (recorded?.sameAs !== undefined) return 'done';
    const refund = recorded?.refund;
    if (refund === undefined) {
      metrics.orderOutcome('completed');
    } else {
      metrics.refundRequired(refund);
      log.error({ orderId, paymentId: payment.id, reason: refund }, 'a payment must be refunded');
    }
    return 'done';
  };
}
