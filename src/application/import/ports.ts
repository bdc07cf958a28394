/** What an import reads and writes, and how it plans one ticket. */
import type { OrderEvent } from '../../domain/events';
import type { Order, OrderStatus } from '../../domain/order';
import type { Ticket } from '../../domain/ticket';

/**
 * The import is not possible with what these databases hold, however often it is run; the message says why, for the person
 * who ran it.
 */
export class ImportRefused extends Error {
  readonly code = 'import-refused';
  override readonly name = 'ImportRefused';
}

/** The import was given up, and can be run again; the message says why. */
export class ImportFailed extends Error {
  readonly code = 'import-failed';
  override readonly name = 'ImportFailed';
}

/** A document of the old system as it was read, for the file of what is not imported. */
export type SourceDocument = unknown;

/** An order of the old system. All of its fields are valid. */
export interface OldOrder extends Pick<Order, 'id' | 'version' | 'userId' | 'status' | 'createdAt'> {
  /** Some systems store none. */
  readonly expiresAt?: Date;
  readonly source: SourceDocument;
}

/** What cannot be imported. */
export interface Refused {
  /** As text, whatever it is. */
  readonly id: string;
  /** Names the field. */
  readonly reason: string;
  readonly source: SourceDocument;
}

export interface RefusedOrder extends Refused {
  /** As text, if it is one of the known ones. */
  readonly status?: OrderStatus;
  /** Whether it is not certainly cancelled. */
  readonly mayHoldTicket: boolean;
}

/** A ticket of the old system with all of its orders. */
export interface OldTicket {
  readonly id: string;
  /** Absent if there is none, or an invalid one: `problem` says which. */
  readonly copy?: Pick<Ticket, 'id' | 'version' | 'title' | 'price'>;
  readonly problem?: string;
  readonly orders: readonly OldOrder[];
  readonly refused: readonly RefusedOrder[];
  /** Ids of refused orders that name the ticket in another form and may hold it. They are among the batch's own refused orders. */
  readonly holdersInOtherForm?: readonly string[];
}

/** A part of the old system: no ticket comes twice. */
export interface OldBatch {
  readonly tickets: readonly OldTicket[];
  /** Orders whose ticket has no valid id. */
  readonly refusedOrders: readonly RefusedOrder[];
  readonly refusedTickets: readonly Refused[];
  /** How many documents have each field that this service does not know. */
  readonly unknownFields: ReadonlyMap<string, number>;
}

/** It is only read. */
export interface OldSystem {
  /** Tickets in the order of their ids. */
  batches(): AsyncIterable<OldBatch>;
  /** A document as JSON that loses no type. */
  textOf(source: SourceDocument): string;
}

// --- what this service has -------------------------------------------------------------------

/** An order that an earlier import has stored. */
export interface ImportedOrder {
  readonly order: Order;
  readonly turn: number;
  /** The version that the import stored: with another one, this service has changed the order since. */
  readonly importedVersion: number;
  /** The import cancelled it, because this order kept the ticket. */
  readonly conflictWith?: string;
  /** Peers may have received that cancellation: a replica has begun to publish it. */
  readonly isAnnounced?: boolean;
}

/** A copy of a ticket; `importedVersion` as for an order, absent if no import has stored it. */
export interface StoredCopy {
  readonly ticket: Ticket;
  readonly importedVersion?: number;
}

export interface StoredTicket {
  readonly copy?: StoredCopy;
  readonly orders: readonly ImportedOrder[];
}

// --- the plan of one ticket ------------------------------------------------------------------

export interface PlannedOrder {
  readonly order: Order;
  readonly turn: number;
  readonly conflictWith?: string;
  /** To be published. Nothing that the old system has published is published again. */
  readonly events: readonly OrderEvent[];
}

export type OrderWrite =
  | { readonly type: 'insert'; readonly planned: PlannedOrder }
  | { readonly type: 'update'; readonly planned: PlannedOrder; readonly before: ImportedOrder }
  /** Only its turn changes. */
  | { readonly type: 'move'; readonly turn: number; readonly before: ImportedOrder }
  /** Removed, and inserted with another turn. */
  | { readonly type: 'store anew'; readonly planned: PlannedOrder; readonly before: ImportedOrder }
  | { readonly type: 'remove'; readonly before: ImportedOrder };

export type TicketWrite =
  | { readonly type: 'insert'; readonly ticket: Ticket }
  | { readonly type: 'update'; readonly ticket: Ticket; readonly before: StoredCopy };

/** What becomes of one document of the old system. */
export type Outcome = 'imported' | 'updated' | 'upToDate' | 'keptOurs' | 'rejected';

export interface OrderOutcome {
  readonly id: string;
  /** In the old system; of an order that is removed, here. */
  readonly status?: OrderStatus;
  /** `removed`: the old system does not have it any more, and an order of the old system holds its ticket. */
  readonly outcome: Outcome | 'removed';
  /** Set if it is rejected or removed. */
  readonly reason?: string;
  /** Set if that is because this order keeps the ticket. */
  readonly keptOrderId?: string;
  /** Of an order that is removed, the order as it was stored. */
  readonly source: SourceDocument;
  /** Something that the old system does not say, and that was decided here. */
  readonly assumed?: 'expiryIsCreation' | 'expiryFromOption';
}

/** Several orders hold one ticket, or did when an earlier import cancelled all but one. */
export interface Conflict {
  readonly ticketId: string;
  /** Absent if all that hold it in the old system stay cancelled here: the ticket is free. */
  readonly kept?: { readonly id: string; readonly status: OrderStatus };
  readonly others: readonly {
    readonly id: string;
    readonly status: OrderStatus;
    readonly result: 'not imported' | 'removed' | 'cancelled' | 'cancelled, to be refunded';
  }[];
}

export interface TicketPlan {
  readonly ticketId: string;
  readonly outcomes: readonly OrderOutcome[];
  readonly orderWrites: readonly OrderWrite[];
  readonly ticketWrite?: TicketWrite;
  /** Absent if there is no copy to import. */
  readonly ticketOutcome?: Exclude<Outcome, 'rejected'>;
  readonly conflict?: Conflict;
  /** Orders that are not imported and may hold the ticket. */
  readonly unimportedHolders: readonly string[];
  /** Whether the copy of the ticket names one of them, so that the ticket is not sold. */
  readonly isBlocked: boolean;
  /** The order that holds the ticket here, if one does. */
  readonly keptOrderId?: string;
}

export interface ImportTarget {
  /**
   * From now on no service uses this database, until {@link finish}. Rejects if that must not be done to it. Resolves to
   * whether an earlier import was unfinished.
   */
  begin(): Promise<boolean>;
  /** Whether an import is unfinished. */
  isUnfinished(): Promise<boolean>;
  stored(ticketIds: readonly string[]): Promise<ReadonlyMap<string, StoredTicket>>;
  /** Durable when it resolves. Rejects if something has changed since it was read. */
  write(plans: readonly TicketPlan[]): Promise<void>;
  finish(): Promise<void>;
}

export interface ImportOptions {
  /** Orders that hold the ticket of another order are imported cancelled, instead of not at all. */
  readonly cancelConflicts: boolean;
  /** For open orders without an expiry: this long after their creation. */
  readonly expirySeconds?: number;
}
