import type { Order } from '../domain/order';
import type { OrderChanges } from './order-changes';
import type { OrderQuery, OrderStore } from './ports';
import { allOf } from './schedule';

export type FindOrder = (query: {
  readonly userId: string;
  readonly orderId: string;
}) => Promise<Order | undefined>;

export interface OrderPage {
  readonly orders: readonly Order[];
  /** Where the next page begins; absent on the last page. */
  readonly next?: { readonly createdAt: Date; readonly id: string };
  /** How many orders all pages have together; present if it was asked for. */
  readonly total?: number;
}

export type ListOrders = (query: OrderQuery & { readonly withTotal?: boolean }) => Promise<OrderPage>;

/** The user's own order; another user's order is not found. */
export function createFindOrder(deps: { orders: Pick<OrderStore, 'find'> }): FindOrder {
  return async function findOrder({ userId, orderId }) {
    const stored = await deps.orders.find(orderId);
    return stored?.order.userId === userId ? stored.order : undefined;
  };
}

export type AwaitOrder = (query: {
  readonly userId: string;
  readonly orderId: string;
  readonly seconds: number;
  /** Whether the caller has this version already. With another one there is nothing to wait for. */
  readonly isKnown: (version: number) => boolean;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}) => Promise<Order | undefined>;

/** The user's own order as soon as it has changed; at the latest after some seconds, as it is then. */
export function createAwaitOrder(deps: {
  findOrder: FindOrder;
  changes: Pick<OrderChanges, 'after'>;
}): AwaitOrder {
  return async function awaitOrder({ userId, orderId, seconds, isKnown, signal }) {
    const order = await deps.findOrder({ userId, orderId });
    if (!order || !isKnown(order.version)) return order;
    const toRead = await deps.changes.after(order, seconds * 1000, signal);
    return toRead ? deps.findOrder({ userId, orderId }) : order;
  };
}

export function createListOrders(deps: { orders: Pick<OrderStore, 'list' | 'count'> }): ListOrders {
  return async function listOrders({ withTotal = false, limit, after, ...filter }) {
    const [found, total] = await allOf([
      // One more than asked for shows whether there is a next page.
      deps.orders.list({ ...filter, ...(after ? { after } : {}), limit: limit + 1 }),
      withTotal ? deps.orders.count(filter) : undefined,
    ]);
    const orders = found.slice(0, limit);
    const last = orders.at(-1);
    return {
      orders,
      ...(found.length > limit && last ? { next: { createdAt: last.createdAt, id: last.id } } : {}),
      ...(total === undefined ? {} : { total }),
    };
  };
}
