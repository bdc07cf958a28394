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
  const headers = { Authorization: `Bearer ${token}` };
  const client = createClient<paths>({ baseUrl, headers });

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

  /** All pages of it. */
  async function list(status: Status[], limit = 100): Promise<Order[]> {
    const { data, error, response } = await client.GET('/', { params: { query: { status, limit } } });
    if (!data) throw new Error(error?.code);
    const all = [...data];
    for (let next = linkIn(response); next;) {
      const page = await fetch(next, { headers });
      if (!page.ok) throw new Error(String(page.status));
      all.push(...((await page.json()) as Order[]));
      next = linkIn(page);
    }
    return all;
  }

  function linkIn({ url, headers }: Response): URL | undefined {
    const [, path] = /^<([^>]+)>; rel="next"$/.exec(headers.get('Link') ?? '') ?? [];
    return path === undefined ? undefined : new URL(path, url);
  }

  async function show(orderId: string): Promise<Order | undefined> {
    const { data, error } = await client.GET('/{orderId}', { params: { path: { orderId } } });
    if (data) return data;
    if (error?.code === 'unknown-order') return undefined;
    throw new Error(error?.code);
  }

  /** The order as soon as it has another version; undefined if it still has this one when the time is up. */
  async function changed({ id, version }: Order, wait: number): Promise<Order | undefined> {
    const { data, response } = await client.GET('/{orderId}', {
      params: {
        path: { orderId: id },
        query: { wait },
        header: { 'If-None-Match': `"${version}"` },
      },
    });
    if (data || response.status === 304) return data;
    throw new Error(String(response.status));
  }

  async function cancel(orderId: string): Promise<boolean> {
    const { error } = await client.DELETE('/{orderId}', { params: { path: { orderId } } });
    if (error && error.code !== 'already-paid') throw new Error(error.code);
    return error === undefined;
  }

  return { place, list, show, changed, cancel };
}
