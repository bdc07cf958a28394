import type { Answer, FinalOrder } from '../history';
import { contentOf } from './content';
import type { Evidence } from './evidence';
import type { Ledger } from './verdict';

/** I6: an order takes legal steps only, and its version counts them. */
export function checkStates({ remains, calls, orders }: Evidence, { rule }: Ledger): void {
  const countsChanges = rule('I6', 'an order’s version is the number of its changes');
  const tellsTheState = rule('I6', 'an order’s outbox tells its state');
  const isBooked = rule('I6', 'what is published and what is pending is the whole outbox');
  const isOfItsLife = rule('I6', 'what is shown of an order is a state of its life');

  for (const order of remains.orders) {
    const { id, version, outbox, publishing } = order;
    countsChanges(version === changesOf(order), () => `order ${id}: ${version}, not ${changesOf(order)}`);
    const fault = whatIsWrongWithTheOutbox(order);
    tellsTheState(fault === undefined, () => `order ${id}, ${order.status}: ${fault}`);
    isBooked(
      publishing.next >= 0 &&
        publishing.pending >= 0 &&
        publishing.next + publishing.pending === outbox.length,
      () => `order ${id}: ${publishing.next} + ${publishing.pending} of ${outbox.length}`,
    );
  }

  for (const { asked, answer } of calls) {
    if (asked.op !== 'show' || !answer?.order) continue;
    const order = orders.get(asked.orderId ?? '');
    const seen = answer.order;
    isOfItsLife(
      order !== undefined && couldBeSeen(seen, order),
      () =>
        `call ${asked.call}: order ${asked.orderId} was ${seen.status} ${seen.version}, now ${stateOf(order)}`,
    );
  }
}

/** Cancelled or completed once, and one for each payment that is to be given back or adds a name to a charge. */
function changesOf({ status, payments }: FinalOrder): number {
  const others = payments.filter(({ refund, sameAs }) => (refund ?? sameAs) !== undefined);
  return (isOpen(status) ? 0 : 1) + others.length;
}

function whatIsWrongWithTheOutbox(order: FinalOrder): string | undefined {
  const { outbox, status } = order;
  if (outbox.some(({ seq }, i) => seq !== i)) return `numbered ${outbox.map(({ seq }) => seq).join()}`;
  const [first, ...others] = outbox;
  if (first?.subject !== 'order:created' || !announces(first.data, order)) {
    return `begins with ${first?.subject} ${first?.data}`;
  }
  const cancellations = others.filter(({ subject }) => subject === 'order:cancelled');
  if (cancellations.length !== (status === 'cancelled' ? 1 : 0)) {
    return `has ${cancellations.length} cancellations`;
  }
  const wrong = cancellations.find(({ data }) => !cancels(data, order));
  if (wrong) return `cancels with ${wrong.data}`;
  const stranger = others.find(
    ({ subject }) => !['order:cancelled', 'order:refund-required'].includes(subject),
  );
  return stranger && `holds ${stranger.subject} at ${stranger.seq}`;
}

function announces(data: string, { id, userId, ticketId, expiresAt }: FinalOrder): boolean {
  const content = contentOf(data);
  return (
    content?.['id'] === id &&
    content['version'] === 0 &&
    content['status'] === 'created' &&
    content['userId'] === userId &&
    content['expiresAt'] === expiresAt.toISOString() &&
    (content['ticket'] as { id?: unknown } | undefined)?.id === ticketId
  );
}

function cancels(data: string, { id, ticketId }: FinalOrder): boolean {
  const content = contentOf(data);
  const ticket = content?.['ticket'] as { id?: unknown } | undefined;
  return content?.['id'] === id && content['version'] === 1 && ticket?.id === ticketId;
}

/** Cancelled and complete are for ever. */
function couldBeSeen(seen: NonNullable<Answer['order']>, order: FinalOrder): boolean {
  if (seen.version > order.version) return false;
  if (seen.status === 'created' || seen.status === 'awaiting:payment') return seen.version === 0;
  return seen.status === order.status && seen.version >= 1;
}

function isOpen(status: FinalOrder['status']): boolean {
  return status === 'created' || status === 'awaiting:payment';
}

function stateOf(order: FinalOrder | undefined): string {
  return order ? `${order.status} ${order.version}` : 'not there';
}
