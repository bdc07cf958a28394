import createClient from 'openapi-fetch';
import type { components, paths } from './generated';

/** A program of a client team, which has the document and nothing else. The test compiles and runs it. */
export type Order = components['schemas']['Order'];
type Status = components['schemas']['GivenStatus'];

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
    // A later version may have problems that these types do not know, so the compiler asks for the member too.
    if (error.code === 'price-changed' && 'price' in error) {
      return { type: 'price-changed', price: error.price };
    }
    if (error.code === 'ticket-reserved' && 'orderId' in error && error.orderId !== undefined) {
      return { type: 'mine-already', orderId: error.orderId };
    }
    return { type: 'refused', code: error.code };
  }

  async function list(status: Status[]): Promise<Order[]> {
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
