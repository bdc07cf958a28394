import type { Ticket } from '../../domain/ticket';
import type { OldTicket, StoredCopy, TicketPlan } from './ports';

/**
 * Plans the copy of a ticket: the newest version wins. `holder`: an order that is not imported and may hold the ticket.
 * The copy names it as the ticket service would, so that the ticket is not sold.
 */
export function planCopy(
  copy: OldTicket['copy'],
  stored: StoredCopy | undefined,
  holder: string | undefined,
): {
  readonly plan: Pick<TicketPlan, 'ticketWrite' | 'ticketOutcome'>;
  /** For which order the ticket is held in the end. */
  readonly heldFor?: string;
} {
  if (!copy) return stored?.ticket.orderId ? { plan: {}, heldFor: stored.ticket.orderId } : { plan: {} };
  const ticket: Ticket = { ...copy, ...(holder !== undefined && { orderId: holder }) };
  const heldFor = holder === undefined ? {} : { heldFor: holder };
  if (!stored) {
    return { plan: { ticketWrite: { type: 'insert', ticket }, ticketOutcome: 'imported' }, ...heldFor };
  }
  if (stored.importedVersion !== stored.ticket.version) {
    const ours = stored.ticket.orderId;
    return { plan: { ticketOutcome: 'keptOurs' }, ...(ours !== undefined && { heldFor: ours }) };
  }
  if (isSame(ticket, stored.ticket)) return { plan: { ticketOutcome: 'upToDate' }, ...heldFor };
  return {
    plan: { ticketWrite: { type: 'update', ticket, before: stored }, ticketOutcome: 'updated' },
    ...heldFor,
  };
}

function isSame(one: Ticket, other: Ticket): boolean {
  return (['version', 'title', 'price', 'orderId'] as const).every((field) => one[field] === other[field]);
}
