import type { TicketStore } from '../../application/ports';
import { supersedes, type Ticket } from '../../domain/ticket';
import { roundTrips, type MemoryDatabase } from './database';

export function createTickets({ tickets }: MemoryDatabase): TicketStore {
  return roundTrips({
    find: (id: string) => tickets.get(id),
    apply(ticket: Ticket) {
      if (supersedes(ticket, tickets.get(ticket.id))) tickets.set(ticket.id, ticket);
    },
  });
}
