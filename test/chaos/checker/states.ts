import type { Answer, StoredOrder } from '../history';
import { changesOf, isBookKept, isOpen, whatIsWrongWithTheOutbox } from '../../invariants/stored-order';
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
      isBookKept(order),
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

/** Cancelled and complete are for ever. */
function couldBeSeen(seen: NonNullable<Answer['order']>, order: StoredOrder): boolean {
  if (seen.version > order.version) return false;
  if (isOpen(seen.status)) return seen.version === 0;
  return seen.status === order.status && seen.version >= 1;
}

function stateOf(order: StoredOrder | undefined): string {
  return order ? `${order.status} ${order.version}` : 'not there';
}
