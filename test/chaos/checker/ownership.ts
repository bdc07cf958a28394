import type { StoredOrder } from '../history';
import { firstOfEach, keepFirst, toMs, toWallTime, type Evidence } from './evidence';
import type { Ledger } from './verdict';
import { CLOCK_TOLERANCE_MS } from './windows';

/** I1: no two orders ever hold one ticket. */
export function checkOwnership(evidence: Evidence, { rule, note }: Ledger): void {
  const turnsAreCounted = rule('I1', 'a ticket’s orders have the turns from 0 on, each once');
  const onlyTheLastHolds = rule('I1', 'all orders of a ticket but the last are cancelled');
  const oneAfterTheOther = rule('I1', 'an order was cancelled before the next one was known to anybody');
  const neverSeenTwice = rule('I1', 'no look from outside finds a ticket that two orders hold');
  const knownSince = firstSigns(evidence);
  let decidedEarlier = 0;

  for (const orders of evidence.turns.values()) {
    orders.forEach((order, i) => {
      turnsAreCounted(order.turn === i, () => `${nameOf(order)} is the ticket’s number ${i}`);
      const next = orders[i + 1];
      if (!next) return;
      onlyTheLastHolds(
        order.status === 'cancelled',
        () => `${nameOf(order)} is ${order.status}, and ${next.id} followed`,
      );
      const cancelledAt = order.outbox.find(({ subject }) => subject === 'order:cancelled')?.at.getTime();
      const known = knownSince(next);
      if (cancelledAt === undefined || known === undefined) return;
      oneAfterTheOther(
        cancelledAt <= known + CLOCK_TOLERANCE_MS,
        () => `${nameOf(order)} was cancelled ${cancelledAt - known} ms after ${next.id} was known`,
      );
      if (next.createdAt.getTime() < cancelledAt) decidedEarlier += 1;
    });
  }
  // A time is taken before the insert that it goes into, which may wait until a frozen replica thaws.
  note('orders stamped before their ticket was free, and inserted after', decidedEarlier);

  for (const { t, tickets = 0, twiceHeld = [] } of evidence.samples) {
    const fine = Math.max(0, tickets - twiceHeld.length);
    for (let i = 0; i < fine; i += 1) neverSeenTwice(true, String);
    for (const ticketId of twiceHeld) neverSeenTwice(false, () => `${ticketId} at ${t} ms`);
  }
}

/** When anybody could first tell that the order is there, on the wall: its first 201, or its announcement. */
function firstSigns({ start, calls, channel }: Evidence): (order: StoredOrder) => number | undefined {
  const answered = new Map<string, number>();
  for (const { answer } of calls) {
    if (answer?.status !== 201 || answer.orderId === undefined) continue;
    const at = toWallTime(start, answer.t);
    keepFirst(answered, answer.orderId, at);
  }
  const announced = firstOfEach(channel('order:created'));
  return ({ id, outbox }) => {
    const announcement = announced.get(outbox[0]?.data ?? '');
    const first = Math.min(answered.get(id) ?? Infinity, announcement ? toMs(announcement.at) : Infinity);
    return Number.isFinite(first) ? first : undefined;
  };
}

function nameOf({ id, ticketId, turn }: StoredOrder): string {
  return `order ${id}, turn ${turn} of ticket ${ticketId},`;
}
