import type { OutboxHistory } from '../../application/ports';
import { toObjectId } from './documents';
import type { Models, OrderDocument } from './documents';

/** For an operator: reads a whole collection, if need be, one document at a time. */
export function createOutboxHistory({ orders }: Models): OutboxHistory {
  return {
    async *published(ticketId) {
      const ofTicket = ticketId === undefined ? {} : { 'ticket.id': toObjectId(ticketId) };
      const cursor = orders
        .find({ ...ofTicket, 'publishing.next': { $gt: 0 } }, { outbox: 1, publishing: 1 })
        .sort({ 'ticket.id': 1, turn: 1 })
        // Each batch has its time, not all of them together: what is done with each order meanwhile may take long.
        .setOptions({ timeoutMode: 'iteration' })
        .lean<OrderDocument>()
        .cursor();
      for await (const document of cursor as AsyncIterable<OrderDocument>) {
        yield* document.outbox.slice(0, document.publishing.next);
      }
    },
  };
}
