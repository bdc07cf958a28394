/** The interfaces that the use cases need. Adapters implement them. */
import type { OrderEvent } from '../domain/events';
import type { Decision, Order, OrderChange, OrderInput, OrderStatus } from '../domain/order';
import type { Ticket } from '../domain/ticket';
import type { PublishFailed } from './bus';

// --- time and randomness ---------------------------------------------------------------------

export type Cancel = () => void;

export interface Clock {
  /** Database time, the one clock that all replicas share: a wrong clock on one of them harms nothing. */
  now(): Date;
  /** Milliseconds that never jump; only differences mean something. */
  monotonic(): number;
  /** Runs `task` once after `ms`. */
  after(ms: number, task: () => void): Cancel;
  /** In [0, 1), for jitter. */
  random(): number;
}

/** A new order id: 24 lower-case hexadecimal characters, never twice. */
export type NewId = () => string;

// --- stores ----------------------------------------------------------------------------------

/**
 * The store did not answer, or the outcome of a write is unknown. The request may or may not have taken effect;
 * repeating it is safe.
 */
export class Unavailable extends Error {
  readonly code = 'unavailable';
  override readonly name = 'Unavailable';
}

export interface TicketStore {
  find(id: string): Promise<Ticket | undefined>;
  /** Newest version wins. Resolves when it is durable that the copy is this version or a newer one. */
  apply(ticket: Ticket): Promise<void>;
}

/** An event as it will be published. `data` is the exact text; `seq` counts from 0 within its order. */
export interface OutboxEvent {
  readonly seq: number;
  readonly subject: OrderEvent['subject'];
  readonly data: string;
  readonly at: Date;
}

/** The orders of a user that have the same number take turns: 0 for the first one. One of them at most is open. */
export interface OpenTurn {
  readonly number: number;
  readonly turn: number;
}

/** What caused a change of an order. */
export type Cause =
  | { readonly type: 'request'; readonly requestId: string }
  | { readonly type: 'message'; readonly subject: string; readonly sequence: number }
  /** The order was overdue. */
  | { readonly type: 'sweep' }
  | { readonly type: 'operator'; readonly reason: string }
  /** The order comes from another system. */
  | { readonly type: 'import' };

/** One entry of an order's history. */
export interface RecordedChange {
  /** Of the order after the change. */
  readonly version: number;
  readonly status: OrderStatus;
  readonly input: 'place' | OrderInput['type'];
  readonly cause: Cause;
  readonly at: Date;
}

export interface Placement {
  readonly order: Order;
  /** The orders of a ticket take turns: 0 for its first one. Unique per ticket, for ever. */
  readonly turn: number;
  readonly events: readonly OutboxEvent[];
  readonly record: RecordedChange;
  /** Unique per user and key. Absent: the request had no key. */
  readonly idempotencyKey?: string;
  /** Unique per user, for ever. Absent: the open orders of a user are not limited. */
  readonly openTurn?: OpenTurn;
  /** Whether the placing replica takes the publishing lease with the insert. */
  readonly withLease: boolean;
}

export type PlacementResult =
  /** `lease` is present when the lease was taken and is certainly ours. */
  | { readonly type: 'inserted'; readonly lease?: PublishingLease }
  | { readonly type: 'key-taken'; readonly order: Order }
  /** `latest`: the order of the ticket whose turn is the highest. */
  | { readonly type: 'turn-taken'; readonly latest: { readonly order: Order; readonly turn: number } }
  /** `taken`: the numbers of the user's open orders. */
  | { readonly type: 'open-turn-taken'; readonly taken: readonly number[] };

export interface OpenNumberLook {
  readonly latest?: { readonly order: Order; readonly turn: number };
  readonly taken: readonly number[];
}

export interface StoredOrder {
  readonly order: Order;
  readonly turn: number;
  /** How many events the outbox holds: the next event's `seq`. */
  readonly recorded: number;
  /** Since when some of them are not published. Orders of earlier releases may lack it. */
  readonly unpublishedSince?: Date;
}

export interface Change {
  readonly before: StoredOrder;
  readonly change: OrderChange;
  readonly events: readonly OutboxEvent[];
  readonly record: RecordedChange;
}

/** Which of a user's orders. */
export interface OrderFilter {
  readonly userId: string;
  readonly ticketId?: string;
  /** One of these; absent: any. */
  readonly statuses?: readonly OrderStatus[];
}

export interface OrderQuery extends OrderFilter {
  readonly limit: number;
  /** Only orders that come after this one in the listing. */
  readonly after?: { readonly createdAt: Date; readonly id: string };
}

export interface OrderStore {
  /**
   * One atomic write: order, turns, key, events and lease. At most one order has a turn of a ticket, at most one an
   * idempotency key, and at most one a turn at a user's number, however many replicas insert. If several are taken, the
   * result names the key first, then the ticket's turn. The store itself settles an insert of unknown outcome, with the same
   * order id. Rejects with {@link Unavailable} when it cannot be settled in time.
   */
  insert(placement: Placement): Promise<PlacementResult>;
  find(id: string): Promise<StoredOrder | undefined>;
  /** The versions of these orders, by id; without those that do not exist. */
  versions(ids: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** The order that was placed with this key, as {@link Placement} names it. */
  findByKey(idempotencyKey: string): Promise<Order | undefined>;
  /** The user's order with this number whose turn is the highest, and the numbers of all open orders of the user. */
  lookAtOpenNumber(userId: string, number: number): Promise<OpenNumberLook>;
  /**
   * One guarded write: false when `before` is not the newest version any more. Durable when it resolves. Never
   * takes a live lease. Rejects with {@link Unavailable} when the outcome is unknown.
   */
  save(change: Change): Promise<boolean>;
  /**
   * Resolves when everything read before the call is durable. Await it before an answer or an acknowledgement that
   * depends on a read alone: that may not have reached the journal yet.
   */
  confirmReads(): Promise<void>;
  /** Newest first by (createdAt, id), a total order. */
  list(query: OrderQuery): Promise<readonly Order[]>;
  count(filter: OrderFilter): Promise<number>;
  /** Unpaid orders that expired before `time`, oldest first. */
  overdue(time: Date, limit: number): Promise<readonly string[]>;
  /** Orders with payments that must be refunded and are not yet. */
  withOpenRefunds(limit: number): Promise<readonly Order[]>;
}

// --- publishing ------------------------------------------------------------------------------

/**
 * A live lease on an order's publishing, and the events that may be published under it: only those that a durable write
 * of our own returned.
 */
export interface PublishingLease {
  readonly orderId: string;
  readonly ticketId: string;
  readonly turn: number;
  /** The events not yet marked as published, in order; never empty. */
  readonly events: readonly OutboxEvent[];
  /** Failed attempts at the first of them. */
  readonly attempts: number;
  /** By {@link Clock.monotonic}, counted from before the request: after this moment another replica may hold it. */
  readonly leaseUntil: number;
}

/** An order that has events to publish and no live lease since some database time. */
export type Claimable = Pick<PublishingLease, 'orderId' | 'ticketId' | 'turn'> & { readonly freeSince: Date };

export interface Outbox {
  /** The ticket's order of the earliest turn that has events to publish. It is durable that earlier turns have none. */
  earliest(ticketId: string): Promise<string | undefined>;
  /** The next `limit` claimable orders after `after`, in the order in which they became claimable. */
  claimable(limit: number, after?: Claimable): Promise<readonly Claimable[]>;
  /** Takes the lease if it is free and there are events to publish. */
  claim(orderId: string): Promise<PublishingLease | undefined>;
  /**
   * Marks the first `count` events of the lease as published. Resolves to what is left to publish under the
   * renewed lease; undefined when nothing is left (the lease is given back) or the lease was lost.
   * @param haste `can wait`: nothing else depends on it, and it may share a write with others a moment later.
   */
  markPublished(
    lease: PublishingLease,
    count: number,
    haste: 'now' | 'can wait',
  ): Promise<PublishingLease | undefined>;
  /** Gives the lease back, if it is still ours; the order is claimable again after `delayMs`. */
  release(lease: PublishingLease, delayMs: number, attempts: number): Promise<void>;
  /** How many orders have events to publish, up to the limit of the store, and since when the oldest has. */
  backlog(): Promise<{ readonly pending: number; readonly oldest?: Date }>;
}

// --- observability ---------------------------------------------------------------------------

export interface Log {
  debug(fields: object, text: string): void;
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

/**
 * `place`: another order had the turn of the ticket or at the user's number, or an idempotency key had expired. `change`: another change came first.
 * `insert`, `booking` (marking as published), `change` too: the outcome in the database was unknown.
 */
export type RetriedOperation =
  'place' | 'change' | 'insert' | 'booking' | 'parked_message' | 'broker_connection' | 'database_connection';

export interface Metrics {
  orderOutcome(
    outcome:
      | 'placed'
      | 'refused_reserved'
      | 'refused_elsewhere'
      | 'refused_price'
      | 'refused_limit'
      | 'cancelled_by_user'
      | 'expired'
      | 'completed',
  ): void;
  /** An ExpirationComplete cancelled an order long before its `expiresAt`. */
  expiredEarly(): void;
  /**
   * A decision of the order's state table, once it is durable; `unchanged` for a payment means that it was known
   * already. Nothing is counted if the change was not permitted.
   */
  decided(input: OrderInput['type'], status: OrderStatus, decision: Decision['type']): void;
  refundRequired(reason: 'late' | 'second'): void;
  publishAttempt(subject: string): void;
  publishFailure(reason: PublishFailed['reason']): void;
  messageHandled(subject: string, verdict: string, seconds: number): void;
  deadLettered(subject: string): void;
  retried(operation: RetriedOperation): void;
}
