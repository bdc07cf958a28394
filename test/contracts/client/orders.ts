import createClient from 'openapi-fetch';
import type { components, paths } from './generated';

/** A program of a client team, which has the document and nothing else. The test compiles and runs it. */
export type Order = components['schemas']['Order'];

export type Outcome =
  | { readonly type: 'placed'; readonly order: Order }
  | { readonly type: 'mine-already'; readonly orderId: string }
  | { readonly type: 'price-changed'; readonly price: number }
  | { readonly type: 'refused'; readonly code: string };

export function createOrders(baseUrl: string, token: string) {
  const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });

  async function place(ticketId: string, price?: number): Promise<Outcome> {
    const { data, error } = await client.POST('/', {
      params: { header: { 'Idempotency-Key': crypto.randomUUID() } },
      body: price === undefined ? { ticketId } : { ticketId, price },
    });
    if (data) return { type: 'placed', order: data };
    switch (error.code) {
      case 'price-changed':
        return { type: 'price-changed', price: error.price };
      case 'ticket-reserved':
        return error.orderId === undefined
          ? { type: 'refused', code: error.code }
          : { type: 'mine-already', orderId: error.orderId };
      default:
        return { type: 'refused', code: error.code };
    }
  }

  async function list(status: Order['status'][]): Promise<Order[]> {
    const { data, error } = await client.GET('/', { params: { query: { status, limit: 10 } } });
    if (!data) throw new Error(error?.code);
    return data;
  }

  async function show(orderId: string): Promise<Order | undefined> {
    const { data, error } = await client.GET('/{orderId}', { params: { path: { orderId } } });
    if (data) return data;
    if (error?.code === 'unknown-order') return undefined;
    throw new Error(error?.code);
  }

  async function cancel(orderId: string): Promise<boolean> {
    const { error } = await client.DELETE('/{orderId}', { params: { path: { orderId } } });
    if (error && error.code !== 'already-paid') throw new Error(error.code);
    return error === undefined;
  }

  return { place, list, show, cancel };
}
