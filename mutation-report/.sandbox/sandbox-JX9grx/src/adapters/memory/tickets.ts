import type { TicketStore } from '../../application/ports';
import { supersedes } from '../../domain/ticket';
import { roundTrip } from './database';
import type { MemoryDatabase } from './database';

export function createTickets({ tickets }: MemoryDatabase): TicketStore {
  return {
    find: (id) => roundTrip(() => tickets.get(id)),
    apply(ticket) {
      const copy = structuredClone(ticket);
      return roundTrip(() => {
        if (supersedes(copy, tickets.get(copy.id))) tickets.set(copy.id, copy);
      });
    },
  };
}
