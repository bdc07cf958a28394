import type { OutboxHistory } from '../../application/operator-ports';
import { toObjectId, type Models, type OrderDocument } from './documents';
import { toUnavailable } from './errors';

const BATCH_TIMEOUT_MS = 10 * 60_000;

/** For an operator: reads a whole collection, if need be, one document at a time. */
export function createOutboxHistory({ orders }: Models): OutboxHistory {
  return {
    async *published({ ticketId, since } = {}) {
      const filter = {
        ...(ticketId === undefined ? {} : { 'ticket.id': toObjectId(ticketId) }),
        ...(since === undefined ? {} : { 'outbox.at': { $gte: since } }),
        'publishing.next': { $gt: 0 },
      };
      const cursor = orders
        .find(filter, { outbox: 1, publishing: 1 })
        .sort({ 'ticket.id': 1, turn: 1 })
        // For each batch, not for all: the caller may take long for each order. No index has the time of events.
        .setOptions({ timeoutMode: 'iteration', timeoutMS: BATCH_TIMEOUT_MS })
        .lean<OrderDocument>()
        .cursor();
      for await (const document of answered(cursor as AsyncIterable<OrderDocument>)) {
        for (const event of document.outbox.slice(0, document.publishing.next)) {
          if (since === undefined || event.at >= since) yield event;
        }
      }
    },
  };
}

/** Only errors of reading: what the caller throws meanwhile is its own. */
async function* answered<T>(cursor: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* cursor;
  } catch (error) {
    throw toUnavailable(error);
  }
}
