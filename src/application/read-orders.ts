import type { Order } from '../domain/order';
import type { OrderQuery, OrderStore } from './ports';

export type FindOrder = (query: {
  readonly userId: string;
  readonly orderId: string;
}) => Promise<Order | undefined>;

export interface OrderPage {
  readonly orders: readonly Order[];
  /** Where the next page begins; absent on the last page. */
  readonly next?: { readonly createdAt: Date; readonly id: string };
}

export type ListOrders = (query: OrderQuery) => Promise<OrderPage>;

/** The user's own order; another user's order is not found. */
export function createFindOrder(deps: { orders: Pick<OrderStore, 'find'> }): FindOrder {
  return async function findOrder({ userId, orderId }) {
    const stored = await deps.orders.find(orderId);
    return stored?.order.userId === userId ? stored.order : undefined;
  };
}

export function createListOrders(deps: { orders: Pick<OrderStore, 'list'> }): ListOrders {
  return async function listOrders(query) {
    // One more than asked for shows whether there is a next page.
    const found = await deps.orders.list({ ...query, limit: query.limit + 1 });
    const orders = found.slice(0, query.limit);
    const last = orders.at(-1);
    return found.length > query.limit && last
      ? { orders, next: { createdAt: last.createdAt, id: last.id } }
      : { orders };
  };
}
