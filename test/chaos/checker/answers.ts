import type { Answer, StoredOrder, Invoke } from '../history';
import { contentOf } from '../../invariants/content';
import { keepFirst, type Call, type Evidence } from './evidence';
import type { Ledger } from './verdict';

/** I5: what was answered is so, and stays so. */
export function checkAnswers(evidence: Evidence, ledger: Ledger): void {
  placedOrdersAreThere(evidence, ledger);
  repeatedKeysGetTheFirstAnswer(evidence, ledger);
  cancelledOrdersAre(evidence, ledger);
  whatWasAnsweredIsShown(evidence, ledger);
  refusedCancellationsHadReason(evidence, ledger);
  answersAreForeseen(evidence, ledger);
  soldTicketsStayKnown(evidence, ledger);
}

function placedOrdersAreThere({ calls, orders }: Evidence, { rule }: Ledger): void {
  const isThere = rule('I5', 'the order of every 201 is in the database, for that buyer and ticket');
  const isTheOrder = rule('I5', 'the body of every 201 is the order as it was placed');
  for (const { asked, answer } of calls) {
    if (asked.op !== 'place' || answer?.status !== 201) continue;
    const order = orders.get(answer.orderId ?? '');
    isThere(
      order?.userId === asked.user && order.ticketId === asked.ticketId,
      () => `call ${asked.call}: order ${answer.orderId} ${order ? 'is another’s' : 'is not there'}`,
    );
    if (!order || answer.body === undefined) continue;
    const { body } = answer;
    isTheOrder(isPlaced(body, order), () => `call ${asked.call}: ${body}`);
  }
}

function isPlaced(body: string, order: StoredOrder): boolean {
  const placed = contentOf(body);
  return (
    placed !== undefined &&
    placed['id'] === order.id &&
    placed['version'] === 0 &&
    placed['status'] === 'created' &&
    placed['userId'] === order.userId &&
    placed['createdAt'] === order.createdAt.toISOString() &&
    placed['expiresAt'] === order.expiresAt.toISOString() &&
    (placed['ticket'] as { id?: unknown } | undefined)?.id === order.ticketId
  );
}

function repeatedKeysGetTheFirstAnswer({ calls }: Evidence, { rule }: Ledger): void {
  const isTheSame = rule('I5', 'a repeated key gets the first 201 again, byte for byte');
  const first = new Map<string, { call: number; body: string }>();
  for (const { asked, answer } of calls) {
    if (asked.op !== 'place' || asked.key === undefined || answer?.status !== 201) continue;
    const { call } = asked;
    const body = answer.body ?? '';
    const key = JSON.stringify([asked.user, asked.key]);
    const before = first.get(key);
    if (!before) first.set(key, { call, body });
    else isTheSame(before.body === body, () => `call ${call}: ${body}; call ${before.call}: ${before.body}`);
  }
}

function cancelledOrdersAre({ calls, orders }: Evidence, { rule }: Ledger): void {
  const isCancelled = rule('I5', 'the order of every 204 is in the database, cancelled');
  for (const { asked, answer } of calls) {
    if (asked.op !== 'cancel' || answer?.status !== 204) continue;
    const order = orders.get(asked.orderId ?? '');
    isCancelled(
      order?.status === 'cancelled',
      () => `call ${asked.call}: order ${asked.orderId} is ${order?.status ?? 'not there'}`,
    );
  }
}

/** Nothing is forgotten between two answers either. */
function whatWasAnsweredIsShown({ calls, orders }: Evidence, { rule }: Ledger): void {
  const isShown = rule('I5', 'what was answered is what a later request is shown');
  const placed = firstAnswers(calls, 201);
  const cancelled = firstAnswers(calls, 204);
  for (const { asked, answer } of calls) {
    const { op, t, user, orderId = '' } = asked;
    if (op !== 'show' || (answer?.status !== 200 && answer?.status !== 404)) continue;
    if (orders.get(orderId)?.userId !== user || !(t > (placed.get(orderId) ?? Infinity))) continue;
    const mustBeCancelled = t > (cancelled.get(orderId) ?? Infinity);
    isShown(
      answer.status === 200 && (!mustBeCancelled || answer.order?.status === 'cancelled'),
      () => `call ${asked.call}: ${answer.status} ${answer.order?.status ?? ''} for order ${orderId}`,
    );
  }
}

function firstAnswers(calls: readonly Call[], status: 201 | 204): Map<string, number> {
  const first = new Map<string, number>();
  for (const { asked, answer } of calls) {
    if (answer?.status !== status) continue;
    keepFirst(first, orderOf(asked, answer), answer.t);
  }
  return first;
}

function orderOf(asked: Invoke, answer: Answer): string {
  return answer.orderId ?? asked.orderId ?? '';
}

/** Only an order that was paid cannot be cancelled, and it stays paid. */
function refusedCancellationsHadReason({ calls, orders }: Evidence, { rule }: Ledger): void {
  const isComplete = rule('I5', 'the order of every 409 to a cancellation is in the database, complete');
  for (const { asked, answer } of calls) {
    if (asked.op !== 'cancel' || answer?.status !== 409) continue;
    const order = orders.get(asked.orderId ?? '');
    isComplete(
      order?.status === 'complete',
      () => `call ${asked.call}: order ${asked.orderId} is ${order?.status ?? 'not there'}`,
    );
  }
}

/** What a sound request can be answered. A ticket may not be known yet; an order that is asked for was placed. */
const ANSWERS: Record<Invoke['op'], readonly number[]> = {
  place: [201, 404, 409, 422, 503],
  cancel: [204, 409, 503],
  show: [200, 503],
  list: [200, 503],
};

function answersAreForeseen({ calls }: Evidence, { rule, note }: Ledger): void {
  const isForeseen = rule('I5', 'each answer is one that this request can have');
  for (const { asked, answer } of calls) {
    if (answer === undefined || answer.status === 0) {
      note(`requests without an answer: ${asked.op}`, 1);
      continue;
    }
    const { status } = answer;
    isForeseen(
      ANSWERS[asked.op].includes(status),
      () => `call ${asked.call}: ${asked.op} was answered ${status}`,
    );
  }
}

function soldTicketsStayKnown({ calls }: Evidence, { rule }: Ledger): void {
  const staysKnown = rule('I5', 'a ticket that was sold once is known from then on');
  const placements = calls.filter(({ asked }) => asked.op === 'place');
  const soldSince = new Map<string, number>();
  for (const { asked, answer } of placements) {
    if (answer?.status === 201) keepFirst(soldSince, asked.ticketId ?? '', answer.t);
  }
  for (const { asked, answer } of placements) {
    const wasSold = asked.t >= (soldSince.get(asked.ticketId ?? '') ?? Infinity);
    if (!wasSold || answer === undefined || answer.status === 0) continue;
    staysKnown(answer.status !== 404, () => `call ${asked.call}: ticket ${asked.ticketId} is not known`);
  }
}
