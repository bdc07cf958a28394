import { holdsTicket, isOpen, type Order } from '../../domain/order';
import type { ImportedOrder, ImportOptions, OldOrder, OldTicket, OrderOutcome, StoredTicket } from './ports';

/** An order of the ticket: as the old system has it, as it is stored here, or both. */
export interface Candidate {
  readonly id: string;
  /** As it is to be stored, if nothing is in conflict with it. */
  readonly order: Order;
  readonly stored?: ImportedOrder;
  /** This service has changed it since an import stored it: it stays so. */
  readonly isChangedHere: boolean;
  /** Absent if the old system does not have it any more, or only an invalid one. */
  readonly old?: OldOrder;
  readonly assumed?: OrderOutcome['assumed'];
}

type Rejected = Pick<OrderOutcome, 'id' | 'status' | 'source'> & { reason: string; mayHoldTicket: boolean };

/** The candidates in the order of their creation, and what cannot be imported as it is. */
export function readCandidates(old: OldTicket, stored: StoredTicket, options: ImportOptions) {
  const storedById = new Map(stored.orders.map((one) => [one.order.id, one]));
  const candidates: Candidate[] = [];
  const rejected: Rejected[] = [];
  for (const order of old.orders) {
    const read = toOrder(order, old, options);
    if ('reason' in read) {
      const { id, status, source } = order;
      rejected.push({ id, status, source, reason: read.reason, mayHoldTicket: holdsTicket(order) });
      continue;
    }
    const before = storedById.get(order.id);
    storedById.delete(order.id);
    candidates.push(withStored(order, read, before));
  }
  for (const before of storedById.values()) {
    const { order } = before;
    candidates.push({ id: order.id, order, stored: before, isChangedHere: isChangedHere(before) });
  }
  return { candidates: candidates.sort(byCreation), rejected };
}

function withStored(
  old: OldOrder,
  { order, assumed }: { order: Order; assumed?: OrderOutcome['assumed'] },
  stored: ImportedOrder | undefined,
): Candidate {
  const isOurs = stored !== undefined && isChangedHere(stored);
  return {
    id: old.id,
    order: isOurs ? stored.order : order,
    ...(stored && { stored }),
    isChangedHere: isOurs,
    old,
    ...(assumed && { assumed }),
  };
}

function isChangedHere({ order, importedVersion }: ImportedOrder): boolean {
  return order.version !== importedVersion;
}

/** The order with its ticket and an expiry, or why it cannot be imported. */
function toOrder(
  { expiresAt, source: _, ...fields }: OldOrder,
  { copy, problem }: OldTicket,
  { expirySeconds }: ImportOptions,
): { order: Order; assumed?: OrderOutcome['assumed'] } | { reason: string } {
  if (!copy) return { reason: problem ?? 'ticket: there is no copy of it' };
  const ticket = { id: copy.id, title: copy.title, price: copy.price };
  const withExpiry = (expiry: Date): Order => ({ ...fields, expiresAt: expiry, ticket, payments: [] });
  if (expiresAt) return { order: withExpiry(expiresAt) };
  if (!isOpen(fields)) {
    return { order: withExpiry(fields.createdAt), assumed: 'expiryIsCreation' };
  }
  if (expirySeconds === undefined) {
    return { reason: 'expiresAt: is missing, and the order is open: --expiry-seconds sets it' };
  }
  const expiry = new Date(fields.createdAt.getTime() + expirySeconds * 1000);
  return { order: withExpiry(expiry), assumed: 'expiryFromOption' };
}

/** An id begins with the second of its creation. */
function byCreation(one: Candidate, other: Candidate): number {
  return one.id < other.id ? -1 : 1;
}

/**
 * An order that gets another turn is removed and stored anew. One that could not be read from the old system again, if
 * a crash came between the two, keeps its turn.
 */
export function keepsTurn(candidate: Candidate): boolean {
  const { stored, old, isChangedHere } = candidate;
  return stored !== undefined && (isChangedHere || !old || staysCancelled(candidate));
}

/** An earlier import cancelled it, and that cannot be taken back: peers may know it, or this service has changed the order. */
export function staysCancelled({ stored, isChangedHere }: Candidate): boolean {
  return stored?.conflictWith !== undefined && (isChangedHere || stored.isAnnounced === true);
}
