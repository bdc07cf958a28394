import { holdsTicket, type Order } from '../../domain/order';
import { cancelForConflict } from '../../domain/imported-order';
import type {
  Conflict,
  ImportedOrder,
  ImportOptions,
  OldOrder,
  OldTicket,
  OrderOutcome,
  OrderWrite,
  PlannedOrder,
  StoredTicket,
  TicketPlan,
} from './ports';
import { planCopy } from './plan-copy';

const NOTHING_STORED: StoredTicket = { orders: [] };

/** An order of the ticket: as the old system has it, as it is stored here, or both. */
interface Candidate {
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

/** A candidate and what is stored of it in the end; `planned` is absent if it is not imported. */
interface Decided {
  readonly candidate: Candidate;
  readonly planned?: Omit<PlannedOrder, 'turn'>;
}

/**
 * Plans the import of one ticket and its orders. Pure: the same old ticket and the same stored ticket give the same plan,
 * and a plan that is carried out leaves nothing to do for the next one.
 *
 * Turns follow the creation of the orders, but the order that holds the ticket has the highest turn: placing looks only
 * at that one to find out whether the ticket is free.
 */
export function planTicket(
  old: OldTicket,
  stored: StoredTicket = NOTHING_STORED,
  options: ImportOptions,
): TicketPlan {
  const { candidates, rejected } = readCandidates(old, stored, options);
  const kept = chooseKept(candidates);
  const decided = candidates.map((candidate) => decideConflict(candidate, kept, options));
  const writes = giveTurns(decided, kept);
  const notImported = decided.filter(({ planned }) => !planned).map(({ candidate }) => candidate);

  const unimportedHolders = [
    ...[...old.refused, ...rejected].filter(({ mayHoldTicket }) => mayHoldTicket).map(({ id }) => id),
    ...notImported.map(({ id }) => id),
  ]
    .filter((id) => decided.every(({ candidate, planned }) => candidate.id !== id || !planned))
    .sort();
  const copy = planCopy(old.copy, stored.copy, unimportedHolders[0]);
  const conflict = kept && toConflict(old.id, kept, decided);
  return {
    ticketId: old.id,
    outcomes: [
      ...[...old.refused, ...rejected].map((order) => ({ ...order, outcome: 'rejected' as const })),
      ...decided.flatMap((one) => toOutcome(one, writes, kept)),
    ],
    orderWrites: [...writes.values()],
    ...copy.plan,
    ...(conflict && { conflict }),
    unimportedHolders,
    isBlocked: copy.heldFor !== undefined && unimportedHolders.length > 0,
  };
}

// --- what there is -------------------------------------------------------------------------------------------

type Rejected = Pick<OrderOutcome, 'id' | 'status' | 'source'> & { reason: string; mayHoldTicket: boolean };

function readCandidates(old: OldTicket, stored: StoredTicket, options: ImportOptions) {
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
  if (fields.status === 'complete' || fields.status === 'cancelled') {
    return { order: withExpiry(fields.createdAt), assumed: 'expiry is the creation' };
  }
  if (expirySeconds === undefined) {
    return { reason: 'expiresAt: is missing, and the order is open: --expiry-seconds sets it' };
  }
  const expiry = new Date(fields.createdAt.getTime() + expirySeconds * 1000);
  return { order: withExpiry(expiry), assumed: 'expiry from --expiry-seconds' };
}

/** An id begins with the second of its creation. */
function byCreation(one: Candidate, other: Candidate): number {
  return one.id < other.id ? -1 : 1;
}

// --- conflicts -----------------------------------------------------------------------------------------------

/** The order that keeps the ticket: what this service holds already, else the oldest paid one, else the oldest. */
function chooseKept(candidates: readonly Candidate[]): Candidate | undefined {
  const holding = candidates.filter(({ order, stored }) => holdsTicket(order) && !stored?.conflictWith);
  return (
    holding.find(({ isChangedHere }) => isChangedHere) ??
    holding.find(({ order }) => order.status === 'complete') ??
    holding[0]
  );
}

function decideConflict(
  candidate: Candidate,
  kept: Candidate | undefined,
  { cancelConflicts }: ImportOptions,
): Decided {
  const { order, stored } = candidate;
  const isFixed = candidate.isChangedHere || !candidate.old;
  // Its cancellation may be published: it is not taken back.
  if (stored?.conflictWith !== undefined) {
    if (isFixed || !holdsTicket(order)) return asStored(candidate, stored);
    return { candidate, planned: { ...cancelForConflict(order), conflictWith: stored.conflictWith } };
  }
  const isConflict = kept !== undefined && candidate !== kept && holdsTicket(order);
  if (!isConflict || candidate.isChangedHere) {
    return stored && isFixed ? asStored(candidate, stored) : { candidate, planned: { order, events: [] } };
  }
  if (!cancelConflicts) return { candidate };
  return { candidate, planned: { ...cancelForConflict(order), conflictWith: kept.id } };
}

function asStored(candidate: Candidate, { order, conflictWith }: ImportedOrder): Decided {
  return { candidate, planned: { order, events: [], ...(conflictWith && { conflictWith }) } };
}

function toConflict(ticketId: string, kept: Candidate, decided: readonly Decided[]): Conflict | undefined {
  const others = decided
    .filter(({ planned }) => !planned || planned.conflictWith !== undefined)
    .map(({ candidate, planned }) => ({
      id: candidate.id,
      status: candidate.old?.status ?? candidate.order.status,
      result: resultOf(planned),
    }));
  if (others.length === 0) return undefined;
  return { ticketId, kept: { id: kept.id, status: kept.order.status }, others };
}

function resultOf(planned: Decided['planned']): Conflict['others'][number]['result'] {
  if (!planned) return 'not imported';
  return planned.order.payments.length > 0 ? 'cancelled, to be refunded' : 'cancelled';
}

// --- turns and writes ----------------------------------------------------------------------------------------

/** By order id; nothing for an order that is stored exactly so. */
function giveTurns(decided: readonly Decided[], kept: Candidate | undefined): Map<string, OrderWrite> {
  const writes = new Map<string, OrderWrite>();
  for (const { candidate, planned } of decided) {
    if (!planned && candidate.stored) writes.set(candidate.id, { type: 'remove', before: candidate.stored });
  }
  const imported = decided.filter(({ planned }) => planned);
  const inTurn = [
    ...imported.filter(({ candidate }) => candidate !== kept),
    ...imported.filter(({ candidate }) => candidate === kept),
  ];
  for (const [turn, { candidate, planned }] of inTurn.entries()) {
    const write = planned && toWrite(candidate, { ...planned, turn });
    if (write) writes.set(candidate.id, write);
  }
  return writes;
}

function toWrite({ stored }: Candidate, planned: PlannedOrder): OrderWrite | undefined {
  if (!stored) return { type: 'insert', planned };
  if (!isStoredSo(planned, stored)) return { type: 'update', planned, before: stored };
  return planned.turn === stored.turn ? undefined : { type: 'move', turn: planned.turn, before: stored };
}

function isStoredSo({ order, conflictWith }: PlannedOrder, stored: ImportedOrder): boolean {
  return stored.conflictWith === conflictWith && textOf(order) === textOf(stored.order);
}

function textOf({ ticket, payments, ...order }: Order): string {
  return JSON.stringify([
    [order.version, order.userId, order.status, order.reason, order.createdAt, order.expiresAt],
    [ticket.title, ticket.price],
    payments.map(({ id }) => id),
  ]);
}

// --- outcomes ------------------------------------------------------------------------------------------------

function toOutcome(
  { candidate, planned }: Decided,
  writes: ReadonlyMap<string, OrderWrite>,
  kept: Candidate | undefined,
): OrderOutcome[] {
  const { old, assumed, isChangedHere } = candidate;
  if (!old) return [];
  const common = { id: old.id, status: old.status, source: old.source, ...(assumed && { assumed }) };
  if (!planned) {
    const reason = 'ticket: another order holds it: --cancel-conflicts imports this one cancelled';
    return [{ ...common, outcome: 'rejected', reason, ...(kept && { keptOrderId: kept.id }) }];
  }
  if (isChangedHere) return [{ ...common, outcome: 'kept ours' }];
  const write = writes.get(candidate.id);
  if (!write) return [{ ...common, outcome: 'up to date' }];
  return [{ ...common, outcome: write.type === 'insert' ? 'imported' : 'updated' }];
}
