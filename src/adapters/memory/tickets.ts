import type { TicketStore } from '../../application/ports';
import { supersedes } from '../../domain/ticket';
import type { Ticket } from '../../domain/ticket';
import { roundTrips } from './database';
import type { MemoryDatabase } from './database';

export function createTickets({ tickets }: MemoryDatabase): TicketStore {
  return roundTrips({
    find: (id: string) => tickets.get(id),
    apply(ticket: Ticket) {
      if (supersedes(ticket, tickets.get(ticket.id))) tickets.set(ticket.id, ticket);
    },
  });
}
