import type { OldBatch, OldTicket, Refused, RefusedOrder } from '../../../application/import/ports';
import {
  idInOtherForm,
  readOldOrder,
  readOldTicket,
  unknownOrderFields,
  unknownTicketFields,
  type Document,
} from './old-documents';

/** Of one ticket: one is enough to hold it. */
const HOLDERS_NAMED = 20;

export type Batch = ReturnType<typeof createBatch>;

type Growing = { -readonly [Field in keyof OldTicket]: OldTicket[Field] } & {
  orders: OldTicket['orders'][number][];
  refused: RefusedOrder[];
};

/** Collects documents of the old system, ticket by ticket. */
export function createBatch() {
  let lastId = '';
  let size = 0;
  let tickets: Growing[] = [];
  let refusedOrders: RefusedOrder[] = [];
  let refusedTickets: Refused[] = [];
  let unknownFields = new Map<string, number>();
  /** By ticket: ids of orders that name it in another form. They are read before all tickets. */
  const holdersInOtherForm = new Map<string, string[]>();

  function note(fields: readonly string[]): void {
    size += 1;
    for (const field of fields) unknownFields.set(field, (unknownFields.get(field) ?? 0) + 1);
  }

  function latest(): Growing {
    const ticket = tickets.at(-1);
    if (!ticket) throw new RangeError('no ticket was begun');
    return ticket;
  }

  return {
    size: () => size,
    begin(id: string): void {
      // A ticket that came in two parts would get two first orders.
      if (id <= lastId)
        throw new RangeError(`the old database did not sort its orders: ${id} after ${lastId}`);
      lastId = id;
      const holders = holdersInOtherForm.get(id);
      holdersInOtherForm.delete(id);
      tickets.push({ id, orders: [], refused: [], ...(holders && { holdersInOtherForm: holders }) });
    },
    /** Begins a ticket that is named in another form only; false if there is no more. At the end only. */
    beginNamedOtherwise(): boolean {
      const [first] = holdersInOtherForm;
      if (!first) return false;
      const [id, holders] = first;
      holdersInOtherForm.delete(id);
      size += 1;
      tickets.push({ id, orders: [], refused: [], holdersInOtherForm: holders });
      return true;
    },
    setCopy(document: Document): void {
      note(unknownTicketFields(document));
      const ticket = latest();
      const read = readOldTicket(document);
      if ('copy' in read) ticket.copy = read.copy;
      else {
        ticket.problem = `ticket: its copy is not valid (${read.refused.reason})`;
        refusedTickets.push(read.refused);
      }
    },
    addOrder(document: Document): void {
      note(unknownOrderFields(document));
      const read = readOldOrder(document);
      if ('order' in read) latest().orders.push(read.order);
      else latest().refused.push(read.refused);
    },
    addOrderWithoutTicket(document: Document): void {
      note(unknownOrderFields(document));
      const read = readOldOrder(document);
      if (!('refused' in read)) return;
      refusedOrders.push(read.refused);
      const ticketId = idInOtherForm(document['ticket']);
      if (ticketId === undefined || !read.refused.mayHoldTicket) return;
      const holders = holdersInOtherForm.get(ticketId) ?? [];
      if (holders.length < HOLDERS_NAMED) holders.push(read.refused.id);
      holdersInOtherForm.set(ticketId, holders);
    },
    addTicketWithoutId(document: Document): void {
      note(unknownTicketFields(document));
      const read = readOldTicket(document);
      if ('refused' in read) refusedTickets.push(read.refused);
    },
    take(): OldBatch {
      const taken = { tickets, refusedOrders, refusedTickets, unknownFields };
      tickets = [];
      refusedOrders = [];
      refusedTickets = [];
      unknownFields = new Map();
      size = 0;
      return taken;
    },
  };
}
