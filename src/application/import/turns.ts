import type { Order } from '../../domain/order';
import { keepsTurn, type Candidate } from './candidates';
import type { ImportedOrder, OrderWrite, PlannedOrder } from './ports';

/** A candidate, and what is stored of it in the end: nothing without `planned`. */
export interface Decided {
  readonly candidate: Candidate;
  readonly planned?: Omit<PlannedOrder, 'turn'>;
  /** Why it is not imported as the old system has it. */
  readonly reason?: string;
}

/** By order id; nothing for an order that is stored exactly so. */
export function toWrites(decided: readonly Decided[], kept: Candidate | undefined): Map<string, OrderWrite> {
  const writes = new Map<string, OrderWrite>();
  const turns = turnsOf(
    decided.flatMap(({ candidate, planned }) => (planned ? [candidate] : [])),
    kept,
  );
  for (const { candidate, planned } of decided) {
    const turn = turns.get(candidate.id);
    const write = planned && turn !== undefined ? toWrite(candidate, { ...planned, turn }) : undefined;
    if (write) writes.set(candidate.id, write);
    else if (!planned && candidate.stored) {
      writes.set(candidate.id, { type: 'remove', before: candidate.stored });
    }
  }
  return writes;
}

/**
 * From 0 on, the order that keeps the ticket last. Turn 0 is always taken, for that is the one that placing tries first.
 * Others are left out only where orders keep their turn.
 */
function turnsOf(imported: readonly Candidate[], kept: Candidate | undefined): ReadonlyMap<string, number> {
  const turns = new Map<string, number>();
  for (const { id, stored } of imported.filter(keepsTurn)) if (stored) turns.set(id, stored.turn);
  const taken = new Set(turns.values());
  let next = 0;
  const give = ({ id }: Candidate): void => {
    while (taken.has(next)) next += 1;
    turns.set(id, next);
    next += 1;
  };
  const others = imported.filter((candidate) => !turns.has(candidate.id));
  others.filter((candidate) => candidate !== kept).forEach(give);
  next = Math.max(next, ...[...taken].map((turn) => turn + 1));
  others.filter((candidate) => candidate === kept).forEach(give);
  const [lowest] = [...turns].sort(([, one], [, other]) => one - other);
  if (lowest && lowest[1] > 0) turns.set(lowest[0], 0);
  return turns;
}

function toWrite(candidate: Candidate, planned: PlannedOrder): OrderWrite | undefined {
  const { stored } = candidate;
  if (!stored) return { type: 'insert', planned };
  const hasTurn = planned.turn === stored.turn;
  if (isStoredSo(planned, stored)) {
    if (hasTurn) return undefined;
    if (keepsTurn(candidate)) return { type: 'move', turn: planned.turn, before: stored };
  }
  return { type: hasTurn || keepsTurn(candidate) ? 'update' : 'store anew', planned, before: stored };
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
