import { decide, holdsTicket } from '../domain/order';
import type { Order, OrderInput } from '../domain/order';
import { toOutbox } from './outbox-events';
import { pause } from './schedule';
import { Unavailable } from './ports';
import type { Change, Clock, Metrics, OrderStore } from './ports';
import type { Turns } from './turns';

const ATTEMPTS = 5;
const LONGEST_PAUSE_MS = 50;

export type ChangeResult =
  | { readonly type: 'changed' | 'unchanged'; readonly order: Order }
  | { readonly type: 'refused'; readonly reason: 'already-paid' }
  /** `permit` said no. Nothing was changed. */
  | { readonly type: 'not-permitted' }
  | { readonly type: 'unknown-order' };

export type ChangeOrder = (
  orderId: string,
  input: OrderInput,
  /** Asked with the order as read and whether it would change, before anything is answered or written. */
  permit?: (order: Order, wouldChange: boolean) => boolean,
) => Promise<ChangeResult>;

/**
 * The one way an order changes: read, decide, one guarded write; a lost race or an unknown outcome reads and
 * decides again. Rejects with {@link Unavailable} when that does not come to an end.
 */
export function createChangeOrder(deps: {
  orders: Pick<OrderStore, 'find' | 'save' | 'confirmReads'>;
  /** Tells the relay that the order has something to publish. Returns at once. */
  nudge: (orderId: string) => void;
  turns: Pick<Turns, 'over'>;
  clock: Pick<Clock, 'now' | 'after' | 'random'>;
  metrics: Pick<Metrics, 'retried'>;
}): ChangeOrder {
  const { orders, clock, metrics } = deps;

  return async function changeOrder(orderId, input, permit = () => true) {
    for (let attempt = 1; ; attempt += 1) {
      const result = await tryOnce(orderId, input, permit);
      if (result !== 'again') return result;
      if (attempt === ATTEMPTS) throw new Unavailable(`order ${orderId} changes too often`);
      metrics.retried('change');
      await pause(clock, clock.random() * LONGEST_PAUSE_MS);
    }
  };

  async function tryOnce(
    orderId: string,
    input: OrderInput,
    permit: (order: Order, wouldChange: boolean) => boolean,
  ): Promise<ChangeResult | 'again'> {
    const before = await orders.find(orderId);
    if (!before) return { type: 'unknown-order' };

    const decision = decide(before.order, input);
    if (!permit(before.order, decision.type === 'changed')) return { type: 'not-permitted' };
    if (decision.type === 'refused') return decision;
    if (decision.type === 'unchanged') {
      await orders.confirmReads();
      return { type: 'unchanged', order: before.order };
    }

    const saved = await save({
      before,
      after: decision.order,
      events: toOutbox(decision.events, before.recorded, clock.now()),
    });
    if (!saved) return 'again';
    if (!holdsTicket(decision.order)) deps.turns.over(before.order.ticket.id, before.turn);
    if (decision.events.length > 0) deps.nudge(orderId);
    return { type: 'changed', order: decision.order };
  }

  /** Whether it took place; a write of unknown outcome counts as a lost race, for reading again tells. */
  async function save(change: Change): Promise<boolean> {
    try {
      return await orders.save(change);
    } catch (error) {
      if (error instanceof Unavailable) return false;
      throw error;
    }
  }
}
