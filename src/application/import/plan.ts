import { cancelForConflict } from '../../domain/imported-order';
import { holdsTicket } from '../../domain/order';
import { keepsTurn, readCandidates, staysCancelled, type Candidate } from './candidates';
import { planCopy } from './plan-copy';
import type {
  Conflict,
  ImportedOrder,
  ImportOptions,
  OldTicket,
  OrderOutcome,
  OrderWrite,
  PlannedOrder,
  StoredTicket,
  TicketPlan,
} from './ports';
import { toWrites, type Decided } from './turns';

const NOTHING_STORED: StoredTicket = { orders: [] };

const IN_CONFLICT = 'ticket: another order holds it: --cancel-conflicts imports this one cancelled';
const REMOVED =
  'the old database has no valid order of this id any more, and another order holds its ticket: it was removed here';
const HELD_HERE = 'ticket: this service has changed the order that holds it: no other one can be added';

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
  const writes = toWrites(decided, kept);
  const notImported = decided.filter(
    ({ candidate, reason }) => reason && candidate.old && holdsTicket(candidate.order),
  );

  const mayHold = [...old.refused, ...rejected].filter(({ mayHoldTicket }) => mayHoldTicket);
  const unimportedHolders = [
    ...[...mayHold.map(({ id }) => id), ...(old.holdersInText ?? [])].filter(
      (id) => !decided.some(({ candidate, planned }) => planned && candidate.id === id),
    ),
    ...notImported.map(({ candidate }) => candidate.id),
  ].sort();
  const copy = planCopy(old.copy, stored.copy, unimportedHolders[0]);
  const conflict = toConflict(old.id, kept, decided);
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
    isBlocked: copy.heldFor !== undefined && unimportedHolders.includes(copy.heldFor),
    ...(kept && { keptOrderId: kept.id }),
  };
}

// --- conflicts -----------------------------------------------------------------------------------------------

/** The order that keeps the ticket: what this service holds already, else the oldest paid one, else the oldest. */
function chooseKept(candidates: readonly Candidate[]): Candidate | undefined {
  const holding = candidates.filter((one) => holdsTicket(one.order) && !staysCancelled(one));
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
  const isConflict = kept !== undefined && candidate !== kept && holdsTicket(order);
  if (stored?.conflictWith !== undefined && staysCancelled(candidate)) {
    if (candidate.isChangedHere || !candidate.old || !holdsTicket(order))
      return { candidate, planned: asStored(stored) };
    return { candidate, planned: { ...cancelForConflict(order), conflictWith: stored.conflictWith } };
  }
  if (stored && (candidate.isChangedHere || (!candidate.old && !isConflict))) {
    return { candidate, planned: asStored(stored) };
  }
  // One that an earlier import cancelled for a conflict was meant to be: it needs no option again.
  if (isConflict && !cancelConflicts && stored?.conflictWith === undefined) {
    // One that is stored as cancelled stays: without it, its turn could be taken again.
    const stays = stored && !holdsTicket(stored.order) ? { planned: asStored(stored) } : {};
    return { candidate, ...stays, reason: candidate.old ? IN_CONFLICT : REMOVED };
  }
  if (kept && !stored && keepsTurn(kept)) return { candidate, reason: HELD_HERE };
  if (!isConflict) return { candidate, planned: { order, events: [] } };
  return { candidate, planned: { ...cancelForConflict(order), conflictWith: kept.id } };
}

function asStored({ order, conflictWith }: ImportedOrder): Omit<PlannedOrder, 'turn'> {
  return { order, events: [], ...(conflictWith && { conflictWith }) };
}

function toConflict(
  ticketId: string,
  kept: Candidate | undefined,
  decided: readonly Decided[],
): Conflict | undefined {
  const others = decided
    .filter(({ candidate, planned, reason }) => {
      if (reason) return holdsTicket(candidate.order);
      if (planned?.conflictWith === undefined) return false;
      return kept !== undefined || (candidate.old !== undefined && holdsTicket(candidate.old));
    })
    .map((one) => ({
      id: one.candidate.id,
      status: one.candidate.old?.status ?? one.candidate.order.status,
      result: resultOf(one),
    }));
  if (others.length === 0) return undefined;
  return { ticketId, ...(kept && { kept: { id: kept.id, status: kept.order.status } }), others };
}

function resultOf({ candidate, planned, reason }: Decided): Conflict['others'][number]['result'] {
  if (reason) return candidate.old ? 'not imported' : 'removed';
  return planned && planned.order.payments.length > 0 ? 'cancelled, to be refunded' : 'cancelled';
}

// --- outcomes ------------------------------------------------------------------------------------------------

function toOutcome(
  { candidate, reason }: Decided,
  writes: ReadonlyMap<string, OrderWrite>,
  kept: Candidate | undefined,
): OrderOutcome[] {
  const { id, order, old, assumed, isChangedHere } = candidate;
  const keeper = kept && { keptOrderId: kept.id };
  if (!old) {
    if (!reason) return [];
    return [{ id, status: order.status, outcome: 'removed', reason, ...keeper, source: order }];
  }
  const common = { id, status: old.status, source: old.source, ...(assumed && { assumed }) };
  if (reason) return [{ ...common, outcome: 'rejected', reason, ...keeper }];
  if (isChangedHere) return [{ ...common, outcome: 'keptOurs' }];
  const write = writes.get(candidate.id);
  if (!write) return [{ ...common, outcome: 'upToDate' }];
  return [{ ...common, outcome: write.type === 'insert' ? 'imported' : 'updated' }];
}
