import {
  ImportRefused,
  type ImportedOrder,
  type StoredCopy,
  type StoredTicket,
} from '../../../application/import/ports';
import { allOf } from '../../../application/schedule';
import {
  NO_LEASE,
  ORDER_FIELDS,
  toObjectId,
  toOrder,
  type Models,
  type OrderDocument,
  type PublishingDocument,
  type TicketDocument,
} from '../documents';
import { toTicket } from '../tickets';

/** What is stored of these tickets. */
export async function readStored(
  { orders, tickets }: Models,
  ticketIds: readonly string[],
): Promise<ReadonlyMap<string, StoredTicket>> {
  const ids = ticketIds.map(toObjectId);
  const [documents, copies] = await allOf([
    orders.collection
      .find<OrderDocument>(
        { 'ticket.id': { $in: ids } },
        { projection: { ...ORDER_FIELDS, turn: 1, imported: 1, publishing: 1 } },
      )
      .toArray(),
    tickets.collection.find<TicketDocument>({ _id: { $in: ids } }).toArray(),
  ]);
  const stored = new Map<string, { copy?: StoredCopy; orders: ImportedOrder[] }>();
  const ofTicket = (id: string) => {
    const known = stored.get(id) ?? { orders: [] };
    stored.set(id, known);
    return known;
  };
  for (const document of documents)
    ofTicket(document.ticket.id.toHexString()).orders.push(toImported(document));
  for (const copy of copies) ofTicket(copy._id.toHexString()).copy = toCopy(copy);
  return stored;
}

function toImported(document: OrderDocument): ImportedOrder {
  const { imported, turn, publishing } = document;
  if (!imported) {
    throw new ImportRefused(`order ${document._id.toHexString()} was placed here while orders were imported`);
  }
  return {
    order: toOrder(document),
    turn,
    importedVersion: imported.version,
    ...(imported.conflictWith && {
      conflictWith: imported.conflictWith,
      isAnnounced: !isUntouched(publishing),
    }),
  };
}

/**
 * No replica has ever had the lease. One that ended before it marked an event as published may have published it. As a filter
 * and of a document.
 */
export const UNTOUCHED = { 'publishing.next': 0, 'publishing.leaseUntil': NO_LEASE } as const;
function isUntouched({ next, leaseUntil }: PublishingDocument): boolean {
  return next === 0 && leaseUntil.getTime() === NO_LEASE.getTime();
}

function toCopy(document: TicketDocument): StoredCopy {
  const { imported } = document;
  return { ticket: toTicket(document), ...(imported && { importedVersion: imported.version }) };
}
