import createClient from 'openapi-fetch';
import type { paths } from './generated';

/** What must not compile: each line is an error, and the compiler says so if one is none. */
export async function mistakes(orderId: string): Promise<void> {
  const client = createClient<paths>({ baseUrl: 'https://shop.example' });
  const placed = await client.POST('/', { body: { ticketId: orderId } });
  const shown = await client.GET('/{orderId}', { params: { path: { orderId } } });

  // @ts-expect-error -- no such path
  await client.GET('/orders');
  // @ts-expect-error -- no such method
  await client.PUT('/{orderId}', { params: { path: { orderId } } });
  // @ts-expect-error -- a required field
  await client.POST('/', { body: {} });
  // @ts-expect-error -- a status that no order has
  await client.GET('/', { params: { query: { status: ['lost'] } } });
  // @ts-expect-error -- a field that an order does not have
  void shown.data?.payments;
  // @ts-expect-error -- only one of the problems has a price
  void placed.error?.price;
}
