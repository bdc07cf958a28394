import { Schema, Types, type Connection, type Model } from 'mongoose';
import { versionOCCPlugin } from 'mongoose-update-if-current/lib/version-occ-plugin';
import type { FailedMessage } from '../../application/failed-messages';
import type {
  OutboxEvent,
  Placement,
  PublishingLease,
  RecordedChange,
  StoredOrder,
} from '../../application/ports';
import {
  OPEN_STATUSES,
  type CancelReason,
  type Order,
  type OrderStatus,
  type Payment,
  type Refunded,
} from '../../domain/order';
import { expectOwn, expectPublishing } from './foreign-data';

/** How far an order's events are published. Changes of it do not increment `version`. */
export interface PublishingDocument {
  /** `seq` of the next event to publish. */
  next: number;
  /** How many events to publish from there. */
  pending: number;
  /** Database time; {@link NO_LEASE} when nobody holds it. */
  leaseUntil: Date;
  owner: string | null;
  attempts: number;
  /**
   * Since when there are events to publish, or since some time before. Not used when there are none. Orders of earlier
   * releases lack it.
   */
  since?: Date;
}

export interface OrderDocument {
  _id: Types.ObjectId;
  version: number;
  userId: string;
  status: OrderStatus;
  reason?: CancelReason;
  createdAt: Date;
  expiresAt: Date;
  ticket: { id: Types.ObjectId; title: string; price: number };
  /** Unique per ticket. */
  turn: number;
  /** The order's own id when the request named no key. Unique. */
  idempotencyKey: string;
  /** Together unique per user. Absent if the open orders of a user are not limited. */
  openNumber?: number;
  openTurn?: number;
  payments: Payment[];
  /** Append-only: the events to publish, and the audit trail. */
  outbox: OutboxEvent[];
  publishing: PublishingDocument;
  /** Append-only. Orders of earlier releases lack it. */
  changes?: RecordedChange[];
  /** When each event was marked as published. Orders of earlier releases lack it. */
  published?: { seq: number; at: Date }[];
  /** Whether each payment to refund is refunded. Absent where there never was one. */
  allRefunded?: boolean;
  /** Absent if the order was placed here. */
  imported?: Imported & {
    /** An import has cancelled it, because this order kept the ticket. */
    conflictWith?: string;
  };
}

/** An import has stored the document with this version: with another one, it was changed here since. */
interface Imported {
  version: number;
}

export interface TicketDocument {
  _id: Types.ObjectId;
  version: number;
  title: string;
  price: number;
  userId: string | null;
  /** Copies of earlier releases lack it. */
  orderId?: string | null;
  imported?: Imported;
}

export type FailedMessageDocument = Omit<FailedMessage, 'id'> & { _id: string };

export const NO_LEASE = new Date(0);

/** Orders with events to publish. A query needs exactly this filter to use the partial indexes. */
export const HAS_PENDING = { 'publishing.pending': { $gt: 0 } } as const;

/** Orders that wait for their payment. */
export const IS_OPEN = { status: { $in: [...OPEN_STATUSES] } };

/** The orders that were placed under a limit of open orders. */
export const HAS_OPEN_NUMBER = { openNumber: { $gte: 0 } } as const;

/** Orders with a payment that must or had to be refunded. A query needs it to use the partial index. */
export const HAS_REFUNDS = { 'payments.refund': { $exists: true } } as const;

export interface Models {
  readonly orders: Model<OrderDocument>;
  readonly tickets: Model<TicketDocument>;
  readonly failedMessages: Model<FailedMessageDocument>;
}

/** Mongoose makes no index itself: the service is not ready before all of them are verified. */
const OPTIONS = { autoIndex: false, autoCreate: false, id: false, minimize: false } as const;

export function createModels(connection: Connection): Models {
  return {
    orders: connection.model('Order', orderSchema(), 'orders'),
    tickets: connection.model('Ticket', ticketSchema(), 'tickets'),
    failedMessages: connection.model('FailedMessage', failedMessageSchema(), 'dead_letters'),
  };
}

function orderSchema() {
  const refunded = new Schema<Refunded>({ at: Date, reference: String }, { _id: false });
  const payment = {
    ...{ id: String, stripeId: String, at: Date, refund: String, refunded, sameAs: String },
    placeholder: Boolean,
  };
  const cause = {
    type: { type: String },
    requestId: String,
    subject: String,
    sequence: Number,
    reason: String,
  };
  const change = { version: Number, status: String, input: String, cause, at: Date };
  const event = { seq: Number, subject: String, data: String, at: Date };
  const orders = new Schema<OrderDocument>(
    {
      userId: String,
      status: String,
      reason: String,
      createdAt: Date,
      expiresAt: Date,
      ticket: { id: Schema.Types.ObjectId, title: String, price: Number },
      turn: Number,
      idempotencyKey: String,
      openNumber: Number,
      openTurn: Number,
      payments: [new Schema<Payment>(payment, { _id: false, id: false })],
      outbox: [new Schema<OutboxEvent>(event, { _id: false })],
      changes: [new Schema<RecordedChange>(change, { _id: false })],
      // Without the default of an empty array, which a change of a loaded document would store.
      published: { type: [new Schema({ seq: Number, at: Date }, { _id: false })], default: undefined },
      allRefunded: Boolean,
      publishing: {
        next: Number,
        pending: Number,
        leaseUntil: Date,
        owner: String,
        attempts: Number,
        since: Date,
      },
    },
    { ...OPTIONS, versionKey: 'version' },
  );
  orders.plugin(versionOCCPlugin as (schema: Schema) => void);
  return orders;
}

/** `version` is the ticket service's here, not Mongoose's. */
function ticketSchema() {
  const fields = { version: Number, title: String, price: Number, userId: String, orderId: String };
  return new Schema<TicketDocument>(fields, { ...OPTIONS, versionKey: false });
}

function failedMessageSchema() {
  return new Schema<FailedMessageDocument>(
    {
      _id: String,
      subject: String,
      sequence: Number,
      publishedAt: Date,
      data: String,
      encoding: String,
      reason: String,
      attempts: Number,
      retryAt: Date,
      at: Date,
      discarded: { at: Date, reason: String },
    },
    { ...OPTIONS, versionKey: false },
  );
}

export function toObjectId(hex: string): Types.ObjectId {
  return Types.ObjectId.createFromHexString(hex);
}

/** What an order is read from. */
export type ReadOrder = Omit<
  OrderDocument,
  | 'outbox'
  | 'publishing'
  | 'turn'
  | 'idempotencyKey'
  | 'openNumber'
  | 'openTurn'
  | 'changes'
  | 'published'
  | 'allRefunded'
  | 'imported'
>;

/** The fields of an order, without storage and publishing. Included by name: an exclusion is slower for the server. */
export const ORDER_FIELDS: Readonly<Record<Exclude<keyof ReadOrder, '_id'>, 1>> = {
  version: 1,
  userId: 1,
  status: 1,
  reason: 1,
  createdAt: 1,
  expiresAt: 1,
  ticket: 1,
  payments: 1,
};

/** Throws `Unavailable` if the document is not one of ours. */
export function toOrder(document: ReadOrder): Order {
  expectOwn(document);
  return {
    id: document._id.toHexString(),
    version: document.version,
    userId: document.userId,
    status: document.status,
    ...(document.reason ? { reason: document.reason } : {}),
    createdAt: document.createdAt,
    expiresAt: document.expiresAt,
    ticket: {
      id: document.ticket.id.toHexString(),
      title: document.ticket.title,
      price: document.ticket.price,
    },
    payments: document.payments,
  };
}

export function toStoredOrder(document: Omit<OrderDocument, 'outbox'>): StoredOrder {
  const order = toOrder(document);
  expectPublishing(document);
  const { next, pending, since } = document.publishing;
  return {
    order,
    turn: document.turn,
    // The outbox is append-only, and each of its events is either published or pending.
    recorded: next + pending,
    ...(pending > 0 && since ? { unpublishedSince: since } : {}),
  };
}

/** The document of a new order, none of whose events is published. */
export function toOrderDocument(
  { order, turn, events, record }: Pick<Placement, 'order' | 'turn' | 'events' | 'record'>,
  {
    idempotencyKey = order.id,
    ...publishing
  }: Pick<PublishingDocument, 'leaseUntil' | 'owner' | 'since'> & { idempotencyKey?: string | undefined },
): OrderDocument {
  const { id, ticket, payments, ...fields } = order;
  return {
    _id: toObjectId(id),
    ...fields,
    ticket: { ...ticket, id: toObjectId(ticket.id) },
    turn,
    idempotencyKey,
    payments: [...payments],
    outbox: [...events],
    changes: [record],
    publishing: { next: 0, pending: events.length, attempts: 0, ...publishing },
  };
}

/** The fields of a lease. */
export const LEASE_FIELDS = { ticket: 1, turn: 1, outbox: 1, publishing: 1 } as const;

/** The lease that the write of `document` took, until `leaseUntil` by the monotonic clock. */
export function toLease(
  document: Pick<OrderDocument, '_id' | 'ticket' | 'turn' | 'outbox' | 'publishing'>,
  leaseUntil: number,
): PublishingLease {
  const { next, pending, attempts } = document.publishing;
  return {
    orderId: document._id.toHexString(),
    ticketId: document.ticket.id.toHexString(),
    turn: document.turn,
    events: document.outbox.slice(next, next + pending),
    attempts,
    leaseUntil,
  };
}
