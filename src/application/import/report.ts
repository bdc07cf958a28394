import type { Conflict, OldBatch, Outcome, SourceDocument, TicketPlan } from './ports';

/** Of each reason. */
const EXAMPLES = 5;
/** More are counted only; the file of what is not imported has them all. */
const MOST_LISTED = 10_000;
/** Names and reasons come from the old database: it could have any number of them. Further ones are counted together. */
const MOST_NAMES = 1_000;
const OTHERS = '(others)';

/** `read` is the sum of the others, `removed` apart: an order that is removed was not read. */
export type Counts = Record<Outcome | 'removed', number> & { read: number };

/** What an import has done, or would do. */
export interface ImportReport {
  /** Nothing was written. */
  readonly dryRun: boolean;
  readonly orders: Counts;
  /** By the status that the old system has; `unknown` for any other. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly tickets: Counts;
  readonly rejected: readonly RejectedReason[];
  /** What the old system does not say, and was decided here. */
  readonly assumed: Readonly<Record<string, number>>;
  /** Fields that this service does not have: their values stay in the old database only. */
  readonly unknownFields: Readonly<Record<string, number>>;
  readonly conflicts: readonly Conflict[];
  readonly conflictsInTotal: number;
  /** How many tickets are free here although the old system has an order that holds them: all of these stay cancelled. */
  readonly conflictsWithoutKeeper: number;
  readonly unimportedHolders: readonly UnimportedHolder[];
  readonly unimportedHoldersInTotal: number;
}

export interface RejectedReason {
  readonly what: 'order' | 'ticket';
  readonly reason: string;
  readonly count: number;
  /** Ids of some. */
  readonly examples: readonly string[];
}

/** Orders that are not imported and may hold a ticket. */
export interface UnimportedHolder {
  readonly ticketId: string;
  readonly orderIds: readonly string[];
  /** The order that holds the ticket here, if one does: it is refused to buyers. */
  readonly keptOrderId?: string;
  /** Whether the ticket is refused to buyers in any case, until the ticket service announces a newer version of it. */
  readonly isBlocked: boolean;
}

/** One line of the file of what is not imported. */
export interface Rejected {
  readonly what: 'order' | 'ticket';
  readonly id: string;
  readonly reason: string;
  readonly keptOrderId?: string;
  readonly document: SourceDocument;
}

/** Collects a report batch by batch. Its size does not depend on the number of orders. */
export function createReport({ dryRun }: { dryRun: boolean }) {
  const orders = noCounts();
  const tickets = noCounts();
  const statuses = new Map<string, number>();
  const assumed = new Map<string, number>();
  const unknownFields = new Map<string, number>();
  const reasons = new Map<
    string,
    { what: Rejected['what']; reason: string; examples: string[]; count: number }
  >();
  const conflicts = listOf<Conflict>();
  let conflictsWithoutKeeper = 0;
  const holders = listOf<UnimportedHolder>();

  function reject({ what, id, reason }: Omit<Rejected, 'document'>): void {
    const listed = hasPlace(reasons, `${what} ${reason}`) ? reason : OTHERS;
    const known = reasons.get(`${what} ${listed}`) ?? { what, reason: listed, examples: [], count: 0 };
    known.count += 1;
    if (known.examples.length < EXAMPLES) known.examples.push(id);
    reasons.set(`${what} ${listed}`, known);
  }

  function addBatch(batch: OldBatch, plans: readonly TicketPlan[]): Rejected[] {
    const rejected: Rejected[] = [
      ...batch.refusedOrders.map((one) => ({ what: 'order' as const, ...one, document: one.source })),
      ...batch.refusedTickets.map((one) => ({ what: 'ticket' as const, ...one, document: one.source })),
    ].map(({ what, id, reason, document }) => ({ what, id, reason, document }));
    for (const { status } of batch.refusedOrders) countOrder(status, 'rejected');
    for (const _ of batch.refusedTickets) countTicket('rejected');
    for (const plan of plans) rejected.push(...addPlan(plan));
    for (const [field, count] of batch.unknownFields) {
      increment(unknownFields, hasPlace(unknownFields, field) ? field : OTHERS, count);
    }
    rejected.forEach(reject);
    return rejected;
  }

  function addPlan({ ticketId, outcomes, ticketOutcome, ...plan }: TicketPlan): Rejected[] {
    if (ticketOutcome) countTicket(ticketOutcome);
    if (plan.conflict) conflicts.add(plan.conflict);
    if (plan.conflict && !plan.conflict.kept) conflictsWithoutKeeper += 1;
    if (plan.unimportedHolders.length > 0) {
      const { unimportedHolders: orderIds, keptOrderId, isBlocked } = plan;
      holders.add({ ticketId, orderIds, ...(keptOrderId && { keptOrderId }), isBlocked });
    }
    return outcomes.flatMap(({ id, status, outcome, reason, keptOrderId, source, ...one }) => {
      if (outcome === 'removed') orders.removed += 1;
      else countOrder(status, outcome);
      if (one.assumed) increment(assumed, one.assumed, 1);
      if (reason === undefined) return [];
      return [{ what: 'order' as const, id, reason, ...(keptOrderId && { keptOrderId }), document: source }];
    });
  }

  function countOrder(status: string | undefined, outcome: Outcome): void {
    increment(statuses, status ?? 'unknown', 1);
    orders.read += 1;
    orders[outcome] += 1;
  }

  function countTicket(outcome: Outcome): void {
    tickets.read += 1;
    tickets[outcome] += 1;
  }

  return {
    /** Adds a batch; returns what is not imported of it. */
    addBatch,
    orders: orders as Readonly<Counts>,
    result: (): ImportReport => ({
      dryRun,
      orders: { ...orders },
      statuses: Object.fromEntries(statuses),
      tickets: { ...tickets },
      rejected: [...reasons.values()].sort((one, other) => other.count - one.count),
      assumed: Object.fromEntries(assumed),
      unknownFields: Object.fromEntries(unknownFields),
      conflicts: conflicts.listed,
      conflictsInTotal: conflicts.total(),
      conflictsWithoutKeeper,
      unimportedHolders: holders.listed,
      unimportedHoldersInTotal: holders.total(),
    }),
  };
}

/** Whether somebody has to look at what was not imported, or at a ticket that can be sold although it is held. */
export function needsAttention({ orders, tickets, conflictsWithoutKeeper }: ImportReport): boolean {
  return orders.rejected > 0 || orders.removed > 0 || tickets.rejected > 0 || conflictsWithoutKeeper > 0;
}

function noCounts(): Counts {
  return { read: 0, imported: 0, updated: 0, upToDate: 0, keptOurs: 0, rejected: 0, removed: 0 };
}

function hasPlace(counted: ReadonlyMap<string, unknown>, name: string): boolean {
  return counted.has(name) || counted.size < MOST_NAMES;
}

function increment(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

function listOf<T>() {
  const listed: T[] = [];
  let total = 0;
  return {
    listed: listed as readonly T[],
    total: () => total,
    add(one: T): void {
      total += 1;
      if (listed.length < MOST_LISTED) listed.push(one);
    },
  };
}
