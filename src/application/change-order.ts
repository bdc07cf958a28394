import {
  applyChange,
  decide,
  holdsTicket,
  type Decision,
  type Order,
  type OrderInput,
  type OrderStatus,
  type Refusal,
} from '../domain/order';
import type { OrderChanges } from './order-changes';
import { toOutbox } from './outbox-events';
import { unknownIfUnavailable, untilKnown } from './schedule';
import {
  Unavailable,
  type Cause,
  type Clock,
  type Metrics,
  type OrderStore,
  type StoredOrder,
} from './ports';
import type { Turns } from './turns';

/** After that it is not retried: the caller gets {@link Unavailable}. */
const SETTLE = { withinMs: 3_000, attempts: 5, pauses: { firstMs: 10, longestMs: 200 } };

export type ChangeResult =
  | { readonly type: 'changed' | 'unchanged'; readonly order: Order }
  | { readonly type: 'refused'; readonly reason: Refusal }
  /** `permit` returned false. Nothing was changed. */
  | { readonly type: 'not-permitted' }
  | { readonly type: 'unknown-order' };

export type ChangeOrder = (
  orderId: string,
  input: OrderInput,
  cause: Cause,
  /** Called with the order as read and the decision about it, before anything is answered or written. */
  permit?: (order: Order, decision: Decision['type']) => boolean,
) => Promise<ChangeResult>;

/**
 * The only way to change an order: read, decide, one guarded write. After a lost race or an unknown outcome it reads
 * and decides again. Rejects with {@link Unavailable} when the attempts are used up.
 */
export function createChangeOrder(deps: {
  orders: Pick<OrderStore, 'find' | 'save' | 'confirmReads'>;
  /** Notifies the relay that the order has events to publish. Returns at once. */
  nudge: (order: { readonly orderId: string; readonly ticketId: string }) => void;
  turns: Pick<Turns, 'over'>;
  /** Told of each change once it is durable. Returns at once. */
  changes: Pick<OrderChanges, 'changed'>;
  clock: Pick<Clock, 'now' | 'monotonic' | 'after' | 'random'>;
  metrics: Pick<Metrics, 'decided' | 'retried'>;
}): ChangeOrder {
  const { orders, clock, metrics } = deps;

  return async function changeOrder(orderId, input, cause, permit = () => true) {
    /** The status before the first write of ours that got no answer. */
    let unanswered: OrderStatus | undefined;
    const result = await untilKnown(attempt, { ...SETTLE, clock, onRetry: () => metrics.retried('change') });
    if (result) return result;
    throw new Unavailable(
      unanswered === undefined
        ? `order ${orderId} changes too often`
        : `the outcome of a change of order ${orderId} is not known`,
    );

    async function attempt(): Promise<ChangeResult | undefined> {
      const before = await orders.find(orderId);
      if (!before) return { type: 'unknown-order' };
      const decision = decide(before.order, input);
      if (!permit(before.order, decision.type)) return { type: 'not-permitted' };
      if (decision.type === 'changed') return write(before, decision);
      if (decision.type === 'unchanged') await orders.confirmReads();
      if (decision.type === 'unchanged' && unanswered !== undefined) {
        // Nothing is left to change because our own write, which got no answer, has changed it.
        metrics.decided(input.type, unanswered, 'changed');
        deps.changes.changed(before.order);
        announce(before, before.order);
        return { type: 'changed', order: before.order };
      }
      metrics.decided(input.type, before.order.status, decision.type);
      return decision.type === 'refused' ? decision : { type: 'unchanged', order: before.order };
    }

    async function write(before: StoredOrder, { change, events }: Decision & { type: 'changed' }) {
      const now = clock.now();
      const order = applyChange(before.order, change);
      const record = { version: order.version, status: order.status, input: input.type, cause, at: now };
      const outbox = toOutbox(events, before.recorded, now);
      const isSaved = await orders
        .save({ before, change, events: outbox, record })
        .catch(unknownIfUnavailable);
      if (isSaved === undefined) unanswered ??= before.order.status;
      if (!isSaved) return undefined;
      metrics.decided(input.type, before.order.status, 'changed');
      deps.changes.changed(order);
      if (events.length > 0) announce(before, order);
      return { type: 'changed' as const, order };
    }
  };

  function announce({ turn }: StoredOrder, changed: Order): void {
    if (!holdsTicket(changed)) deps.turns.over(changed.ticket.id, turn);
    deps.nudge({ orderId: changed.id, ticketId: changed.ticket.id });
  }
}
