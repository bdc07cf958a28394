import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import jwt from 'jsonwebtoken';
import type { Publisher, TicketStore } from './application/ports';

/** What a ticket service would have announced, so that there is something to order. */
export const SAMPLE_TICKETS = [
  {
    id: '5f0000000000000000000001',
    version: 0,
    title: 'Open-air concert',
    price: 45,
    userId: 'sample-seller',
  },
  {
    id: '5f0000000000000000000002',
    version: 0,
    title: 'Champions night',
    price: 120,
    userId: 'sample-seller',
  },
  {
    id: '5f0000000000000000000003',
    version: 0,
    title: 'Puppet theatre',
    price: 9.5,
    userId: 'sample-seller',
  },
] as const;

/** Puts the sample tickets in the way every ticket comes in, through the bus; resolves when they can be ordered. */
export async function announceSampleTickets(
  ticketService: Publisher,
  tickets: Pick<TicketStore, 'find'>,
): Promise<void> {
  for (const ticket of SAMPLE_TICKETS) {
    await ticketService.publish('ticket:created', JSON.stringify(ticket), randomUUID());
    while (!(await tickets.find(ticket.id))) await pause(1);
  }
}

/** A token such as the sign-in service would give to this user. */
export function signToken(
  key: string,
  { userId, email, expiresInSeconds }: { userId: string; email: string; expiresInSeconds: number },
): string {
  return jwt.sign({ id: userId, email }, key, { algorithm: 'HS256', expiresIn: expiresInSeconds });
}

/** How to try the service, with lines that can be copied one by one in any order. */
export function welcome({ ordersUrl, token }: { ordersUrl: string; token: string }): string {
  const signIn = `-H 'Authorization: Bearer ${token}'`;
  const [ticket] = SAMPLE_TICKETS;
  const latestOrder = `"${ordersUrl}/$(curl -s ${signIn} '${ordersUrl}?limit=1' | cut -d'"' -f4)"`;
  return `
  The Order Service is ready at ${ordersUrl}
  Everything is kept IN MEMORY and is gone when it ends: set MONGO_URL and NATS_URL to keep it.

  A token for the user "sample-buyer":
  ${token}

  Place an order:
  curl -i -X POST ${ordersUrl} ${signIn} -H 'Content-Type: application/json' -d '{"ticketId":"${ticket.id}"}'

  List your orders:
  curl -i ${signIn} ${ordersUrl}

  Show the latest one:
  curl -i ${signIn} ${latestOrder}

  Cancel it:
  curl -i -X DELETE ${signIn} ${latestOrder}

  More tickets to order: ${SAMPLE_TICKETS.slice(1)
    .map(({ id, title }) => `${id} (${title})`)
    .join(', ')}
`;
}
