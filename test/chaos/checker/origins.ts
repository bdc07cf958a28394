import type { StoredOrder } from '../history';
import { addTo, isUnknown, toCampaignTime, type Evidence } from './evidence';
import type { Ledger } from './verdict';
import { CLOCK_TOLERANCE_MS, keyOf, wishOf, type Window } from './windows';

/** Orders are stamped with the database's time, and that is the campaign's, as far as a replica can estimate it. */
const STAMP_TOLERANCE_MS = 1_000;
/** A request may lie in a frozen replica, or on a silent connection, before it is looked at. */
const LATEST_MS = 30_000;

/** Requests that can make one order between them, those of one key or a single one, and when it can have been stamped. */
interface Source extends Window {
  readonly wish: string;
  /** Where it was answered. */
  readonly orderId?: string;
}

/** I9: each order comes of one request, which may have happened although nobody heard of it, but once. */
export function checkOrigins(evidence: Evidence, { rule }: Ledger): void {
  const hasItsOwn = rule('I9', 'each order was made by a request of its own, and at its time');
  const lastsTheWindow = rule('I9', 'each order lasts as long as an order does');
  const isItsTime = rule('I9', 'no order expires before its time');
  const { start, remains } = evidence;
  const windowMs = start.windowSeconds * 1000;
  const take = createSources(evidence);

  const byAge = [...remains.orders].sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
  for (const order of byAge) {
    const { id, createdAt, expiresAt, reason, outbox } = order;
    const t = toCampaignTime(start, createdAt);
    hasItsOwn(take(order, t), () => `order ${id}, stamped at ${Math.round(t)} ms`);
    const lasts = expiresAt.getTime() - createdAt.getTime();
    lastsTheWindow(lasts === windowMs, () => `order ${id}: ${lasts} ms`);
    const ended = outbox.find(({ subject }) => subject === 'order:cancelled');
    if (reason !== 'expired' || !ended) continue;
    const earlyMs = expiresAt.getTime() - ended.at.getTime();
    isItsTime(earlyMs <= CLOCK_TOLERANCE_MS, () => `order ${id}: ${earlyMs} ms before`);
  }
}

/** To be asked from the oldest order on. */
function createSources({ calls }: Evidence): (order: StoredOrder, t: number) => boolean {
  const byKey = new Map<string, Source>();
  for (const call of calls) {
    const { asked, answer } = call;
    if (asked.op !== 'place' || !(isUnknown(call) || answer?.status === 201)) continue;
    const before = byKey.get(keyOf(call));
    const orderId = answer?.status === 201 ? answer.orderId : before?.orderId;
    byKey.set(keyOf(call), {
      wish: wishOf(asked.user, asked.ticketId),
      from: Math.min(before?.from ?? Infinity, asked.t),
      // It was stamped before the first answer, whatever is asked again after that.
      to: before?.orderId ? before.to : answer?.status === 201 ? answer.t : asked.t + LATEST_MS,
      ...(orderId === undefined ? {} : { orderId }),
    });
  }
  const answered = new Map<string, Source>();
  const unanswered = new Map<string, Source[]>();
  for (const source of byKey.values()) {
    if (source.orderId !== undefined) answered.set(source.orderId, source);
    else addTo(unanswered, source.wish, source);
  }

  return (order, t) => {
    const fits = ({ from, to }: Window) => from - STAMP_TOLERANCE_MS <= t && t <= to + STAMP_TOLERANCE_MS;
    const own = answered.get(order.id);
    if (own) return fits(own);
    const others = unanswered.get(wishOf(order.userId, order.ticketId)) ?? [];
    // The one that ends first: those that last longer are left for younger orders.
    const [first] = others.filter(fits).sort((a, b) => a.to - b.to);
    if (first) others.splice(others.indexOf(first), 1);
    return first !== undefined;
  };
}
