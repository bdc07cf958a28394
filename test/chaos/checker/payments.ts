import type { FinalOrder } from '../history';
import { contentOf, paymentIn } from './content';
import type { Content } from './content';
import { addTo, ROUNDING_MS, toMs, whileBrokersDiskWasFull } from './evidence';
import type { Evidence } from './evidence';
import type { Ledger } from './verdict';

/** So near to the end of the window, payments and expiries are likely to meet. */
const BOUNDARY_MS = 50;

/** When the broker took each payment of an order, and its repetitions, in milliseconds. */
type Sent = ReadonlyMap<string, readonly number[]>;

/** I7: each payment counts once, and what an order cannot keep is given back, once. */
export function checkPayments(evidence: Evidence, { rule, note }: Ledger): void {
  const { remains, channel } = evidence;
  const mayBeLost = whileBrokersDiskWasFull(evidence);
  const isCounted = rule('I7', 'each payment that was sent is recorded once');
  const wasSent = rule('I7', 'each payment that is recorded was sent, at that time');
  const keepsOne = rule('I7', 'a complete order keeps one payment, any other none');
  const isRefunded = rule('I7', 'a payment that is not kept is refunded once, with its reason');
  const isOneCharge = rule('I7', 'a charge is recorded once, under all its names');
  const isOwed = rule('I7', 'no refund is announced for a payment that is kept');
  const staysPaid = rule('I7', 'no order that was paid in time has expired');
  const sent = paymentsSent(channel('payment:created'));
  let atTheBoundary = 0;
  let ofLostCopies = 0;

  for (const order of remains.orders) {
    const { id, payments } = order;
    const sentForIt: Sent = sent.get(id) ?? new Map();
    for (const [paymentId, times] of sentForIt) {
      const recorded = payments.filter((payment) => payment.id === paymentId).length;
      isCounted(recorded === 1, () => `order ${id}: payment ${paymentId} is recorded ${recorded} times`);
      const earlyByMs = order.expiresAt.getTime() - times[0]!;
      staysPaid(
        !(earlyByMs > 0 && order.reason === 'expired'),
        () => `order ${id}: payment ${paymentId} came ${earlyByMs} ms before its end`,
      );
      if (Math.abs(earlyByMs) <= BOUNDARY_MS) atTheBoundary += 1;
    }
    for (const payment of payments) {
      const at = payment.at.getTime();
      const times = sentForIt.get(payment.id) ?? [];
      const isOfLostCopy = times.length > 0 && at < Math.min(...times) - ROUNDING_MS && mayBeLost(at);
      if (isOfLostCopy) ofLostCopies += 1;
      wasSent(
        isOfLostCopy || times.some((time) => Math.abs(time - at) <= ROUNDING_MS),
        () => `order ${id}: payment ${payment.id} at ${at}, sent at ${times.join() || 'no time'}`,
      );
    }
    const charges = payments.filter(({ sameAs }) => sameAs === undefined);
    const isOnce = charges.every(({ stripeId }, i) =>
      charges.slice(i + 1).every((other) => stripeId === undefined || other.stripeId !== stripeId),
    );
    const isNamed = payments.every(
      ({ sameAs, stripeId }) =>
        sameAs === undefined || charges.some((each) => each.id === sameAs && each.stripeId === stripeId),
    );
    isOneCharge(isOnce && isNamed, () => `order ${id}: ${JSON.stringify(payments)}`);
    const kept = charges.filter(({ refund }) => refund === undefined).length;
    keepsOne(kept === (order.status === 'complete' ? 1 : 0), () => `order ${id}, ${order.status}: ${kept}`);

    const refunds = refundsOf(order);
    for (const payment of payments) {
      if (payment.refund === undefined) continue;
      const announced = refunds.filter((refund) => refund?.['paymentId'] === payment.id);
      isRefunded(
        announced.length === 1 && isRefundOf(announced[0], payment, order),
        () => `order ${id}: payment ${payment.id} as ${payment.refund}, by ${JSON.stringify(announced)}`,
      );
    }
    for (const refund of refunds) {
      const isNotKept = payments.some(
        (each) => each.id === refund?.['paymentId'] && each.refund !== undefined,
      );
      isOwed(isNotKept, () => `order ${id}: ${JSON.stringify(refund)}`);
    }
  }
  note('payments recorded from a copy that the broker has lost', ofLostCopies);
  note(`payments within ${BOUNDARY_MS} ms of the order’s end`, atTheBoundary);
}

function paymentsSent(messages: ReturnType<Evidence['channel']>): Map<string, Map<string, number[]>> {
  const sent = new Map<string, Map<string, number[]>>();
  for (const { text, at } of messages) {
    const payment = paymentIn(text);
    if (!payment) continue;
    const ofOrder = sent.get(payment.orderId) ?? new Map<string, number[]>();
    sent.set(payment.orderId, ofOrder);
    addTo(ofOrder, payment.id, toMs(at));
  }
  return sent;
}

function refundsOf({ outbox }: FinalOrder): (Content | undefined)[] {
  return outbox
    .filter(({ subject }) => subject === 'order:refund-required')
    .map(({ data }) => contentOf(data));
}

function isRefundOf(
  refund: Content | undefined,
  { at, refund: reason }: FinalOrder['payments'][number],
  { id, status, expiresAt }: FinalOrder,
): boolean {
  return (
    refund?.['orderId'] === id &&
    refund['reason'] === reason &&
    reason === (status === 'cancelled' ? 'late' : 'second') &&
    refund['paidInTime'] === at < expiresAt
  );
}
