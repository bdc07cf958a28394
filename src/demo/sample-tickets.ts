import { setTimeout as pause } from 'node:timers/promises';
import type { Publisher } from '../application/bus';
import type { TicketStore } from '../application/ports';

/** Tickets as a ticket service publishes them, so that there is something to order. */
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

/** Publishes the sample tickets on the bus, like any ticket; resolves when they can be ordered. */
export async function announceSampleTickets(
  ticketService: Publisher,
  tickets: Pick<TicketStore, 'find'>,
): Promise<void> {
  for (const ticket of SAMPLE_TICKETS) {
    await ticketService.publish('ticket:created', JSON.stringify(ticket));
    while (!(await tickets.find(ticket.id))) await pause(1);
  }
}
