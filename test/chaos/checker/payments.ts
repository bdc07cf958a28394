import { paymentIn } from '../../invariants/content';
import { checkPaymentsOf, type PaymentRules, type Sent } from '../../invariants/payments';
import { addTo, toMs, whileBrokersDiskWasFull, type Evidence } from './evidence';
import type { Ledger } from './verdict';

/** So near to the end of the window, payments and expiries are likely to meet. */
const BOUNDARY_MS = 50;

/** I7: each payment counts once, and what an order cannot keep is given back, once. */
export function checkPayments(evidence: Evidence, { rule, note }: Ledger): void {
  const mayBeLost = whileBrokersDiskWasFull(evidence);
  const rules: PaymentRules = {
    isCounted: rule('I7', 'each payment that was sent is recorded once'),
    wasSent: rule('I7', 'each payment that is recorded was sent, at that time'),
    keepsOne: rule('I7', 'a complete order keeps one payment, any other none'),
    isRefunded: rule('I7', 'a payment that is not kept is refunded once, with its reason'),
    isOneCharge: rule('I7', 'a charge is recorded once, under all its names'),
    isOwed: rule('I7', 'no refund is announced for a payment that is kept'),
    staysPaid: rule('I7', 'no order that was paid in time has expired'),
  };
  const sent = paymentsSent(evidence.channel('payment:created'));
  let atTheBoundary = 0;
  let ofLostCopies = 0;

  for (const order of evidence.remains.orders) {
    const sentForIt: Sent = sent.get(order.id) ?? new Map();
    checkPaymentsOf(order, sentForIt, rules, (at) => {
      const isLost = mayBeLost(at);
      if (isLost) ofLostCopies += 1;
      return isLost;
    });
    for (const [first] of sentForIt.values()) {
      if (Math.abs(order.expiresAt.getTime() - first!) <= BOUNDARY_MS) atTheBoundary += 1;
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
