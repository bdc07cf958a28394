import { contentOf, type Content } from './content';
import type { StoredOrder } from './stored-order';

/** One fact about a rule: whether it is as it should be, and if not, what is wrong. */
export type Fact = (holds: boolean, detail: () => string) => void;

/** When the broker took each payment of an order, and its repetitions, in milliseconds. */
export type Sent = ReadonlyMap<string, readonly number[]>;

/** Times of the broker in nanoseconds do not fit into a number to the last digit. */
export const ROUNDING_MS = 1;

/** I7: each payment counts once, and what an order cannot keep is given back, once. */
export interface PaymentRules {
  readonly isCounted: Fact;
  readonly wasSent: Fact;
  readonly keepsOne: Fact;
  readonly isRefunded: Fact;
  readonly isOwed: Fact;
  readonly isOneCharge: Fact;
  readonly staysPaid: Fact;
}

/** `mayBeLost`: whether the broker may have delivered a copy at that time that it does not have any more. */
export function checkPaymentsOf(
  order: StoredOrder,
  sent: Sent,
  rules: PaymentRules,
  mayBeLost: (at: number) => boolean = () => false,
): void {
  areCounted(order, sent, rules, mayBeLost);
  areKeptOrRefunded(order, rules);
  const { id, payments } = order;
  rules.isOneCharge(areDistinct(chargesIn(payments)) && areNamed(payments), () => {
    return `order ${id}: ${JSON.stringify(payments)}`;
  });
  for (const [paymentId, times] of sent) {
    const earlyByMs = order.expiresAt.getTime() - times[0]!;
    rules.staysPaid(
      !(earlyByMs > 0 && order.reason === 'expired'),
      () => `order ${id}: payment ${paymentId} came ${earlyByMs} ms before its end`,
    );
  }
}

function areCounted(
  { id, payments }: StoredOrder,
  sent: Sent,
  { isCounted, wasSent }: PaymentRules,
  mayBeLost: (at: number) => boolean,
): void {
  for (const paymentId of sent.keys()) {
    const recorded = payments.filter((payment) => payment.id === paymentId).length;
    isCounted(recorded === 1, () => `order ${id}: payment ${paymentId} is recorded ${recorded} times`);
  }
  for (const payment of payments) {
    const at = payment.at.getTime();
    const times = sent.get(payment.id) ?? [];
    const isOfLostCopy = times.length > 0 && at < Math.min(...times) - ROUNDING_MS && mayBeLost(at);
    wasSent(
      isOfLostCopy || times.some((time) => Math.abs(time - at) <= ROUNDING_MS),
      () => `order ${id}: payment ${payment.id} at ${at}, sent at ${times.join() || 'no time'}`,
    );
  }
}

function areKeptOrRefunded(order: StoredOrder, { keepsOne, isRefunded, isOwed }: PaymentRules): void {
  const { id, payments, status } = order;
  const kept = chargesIn(payments).filter(({ refund }) => refund === undefined).length;
  keepsOne(kept === (status === 'complete' ? 1 : 0), () => `order ${id}, ${status}: ${kept}`);

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
    const isNotKept = payments.some((each) => each.id === refund?.['paymentId'] && each.refund !== undefined);
    isOwed(isNotKept, () => `order ${id}: ${JSON.stringify(refund)}`);
  }
}

type Payments = StoredOrder['payments'];

function chargesIn(payments: Payments): Payments {
  return payments.filter(({ sameAs }) => sameAs === undefined);
}

function areDistinct(charges: Payments): boolean {
  const providerIds = charges.flatMap(({ stripeId }) => stripeId ?? []);
  return new Set(providerIds).size === providerIds.length;
}

/** What only adds a name does so to a charge that is there. */
function areNamed(payments: Payments): boolean {
  return payments.every(
    ({ sameAs, stripeId }) =>
      sameAs === undefined ||
      chargesIn(payments).some((each) => each.id === sameAs && each.stripeId === stripeId),
  );
}

function refundsOf({ outbox }: StoredOrder): (Content | undefined)[] {
  return outbox
    .filter(({ subject }) => subject === 'order:refund-required')
    .map(({ data }) => contentOf(data));
}

function isRefundOf(
  refund: Content | undefined,
  { at, refund: reason }: Payments[number],
  { id, status, expiresAt }: StoredOrder,
): boolean {
  return (
    refund?.['orderId'] === id &&
    refund['reason'] === reason &&
    reason === (status === 'cancelled' ? 'late' : 'second') &&
    refund['paidInTime'] === at < expiresAt
  );
}
