import { decide, holdsTicket } from '../domain/order';
import type { Decision, Order, OrderInput, OrderStatus } from '../domain/order';
import { toOutbox } from './outbox-events';
import { pause } from './schedule';
import { Unavailable } from './ports';
import type { Change, Clock, Metrics, OrderStore, StoredOrder } from './ports';
import type { Turns } from './turns';

const ATTEMPTS = 5;
const LONGEST_PAUSE_MS = 50;
/** After that it is not tried again: whoever waits for the answer hears that it is not known. */
const SETTLE_WITHIN_MS = 3_000;

export type ChangeResult =
  | { readonly type: 'changed' | 'unchanged'; readonly order: Order }
  | { readonly type: 'refused'; readonly reason: 'already-paid' }
  /** `permit` said no. Nothing was changed. */
  | { readonly type: 'not-permitted' }
  | { readonly type: 'unknown-order' };

export type ChangeOrder = (
  orderId: string,
  input: OrderInput,
  /** Asked with the order as read and what was decided about it, before anything is answered or written. */
  permit?: (order: Order, decision: Decision['type']) => boolean,
) => Promise<ChangeResult>;

/**
 * The one way an order changes: read, decide, one guarded write; a lost race or an unknown outcome reads and
 * decides again. Rejects with {@link Unavailable} when that does not come to an end.
 */
export function createChangeOrder(deps: {
  orders: Pick<OrderStore, 'find' | 'save' | 'confirmReads'>;
  /** Tells the relay that the order has something to publish. Returns at once. */
  nudge: (order: { readonly orderId: string; readonly ticketId: string }) => void;
  turns: Pick<Turns, 'over'>;
  clock: Pick<Clock, 'now' | 'monotonic' | 'after' | 'random'>;
  metrics: Pick<Metrics, 'decided' | 'retried'>;
}): ChangeOrder {
  const { orders, clock, metrics } = deps;

  return async function changeOrder(orderId, input, permit = () => true) {
    /** The status that a write of ours met whose answer never came. */
    let unanswered: OrderStatus | undefined;
    const deadline = clock.monotonic() + SETTLE_WITHIN_MS;
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      if (attempt > 1) {
        if (clock.monotonic() > deadline)
          throw new Unavailable(`what became of order ${orderId} is not known`);
        metrics.retried('change');
        await pause(clock, clock.random() * LONGEST_PAUSE_MS);
      }
      const before = await orders.find(orderId);
      if (!before) return { type: 'unknown-order' };

      const { status } = before.order;
      const decision = decide(before.order, input);
      if (!permit(before.order, decision.type)) return { type: 'not-permitted' };
      if (decision.type === 'refused') {
        metrics.decided(input.type, status, 'refused');
        return decision;
      }
      if (decision.type === 'unchanged') {
        await orders.confirmReads();
        if (unanswered === undefined) {
          metrics.decided(input.type, status, 'unchanged');
          return { type: 'unchanged', order: before.order };
        }
        // Nothing is left to do because our own write, whose answer never came, has done it.
        metrics.decided(input.type, unanswered, 'changed');
        announce(before, before.order);
        return { type: 'changed', order: before.order };
      }

      const events = toOutbox(decision.events, before.recorded, clock.now());
      const outcome = await save({ before, after: decision.order, events });
      if (outcome === 'saved') {
        metrics.decided(input.type, status, 'changed');
        if (events.length > 0) announce(before, decision.order);
        return { type: 'changed', order: decision.order };
      }
      if (outcome === 'unknown') unanswered ??= status;
    }
    throw new Unavailable(`order ${orderId} changes too often`);
  };

  async function save(change: Change): Promise<'saved' | 'lost-race' | 'unknown'> {
    try {
      return (await orders.save(change)) ? 'saved' : 'lost-race';
    } catch (error) {
      // Reading again will tell.
      if (error instanceof Unavailable) return 'unknown';
      throw error;
    }
  }

  function announce({ turn }: StoredOrder, changed: Order): void {
    if (!holdsTicket(changed)) deps.turns.over(changed.ticket.id, turn);
    deps.nudge({ orderId: changed.id, ticketId: changed.ticket.id });
  }
}
