/** What only the commands of an operator need from the store. */
import type { Order } from '../domain/order';
import type { ListedMessage } from './failed-messages';
import type { OutboxEvent, RecordedChange } from './ports';

export interface OutboxHistory {
  /**
   * The published events, of one ticket or all, since a time or ever: ticket by ticket, its orders by turn, their events
   * in order.
   */
  published(filter?: { readonly ticketId?: string; readonly since?: Date }): AsyncIterable<OutboxEvent>;
}

/** All that is stored of an order. */
export interface OrderHistory {
  readonly order: Order;
  readonly turn: number;
  /** Empty for orders of earlier releases. */
  readonly changes: readonly RecordedChange[];
  /** `publishedAt`: when it was marked as published. Absent while it waits, and in orders of earlier releases. */
  readonly events: readonly (OutboxEvent & { readonly publishedAt?: Date; readonly isPublished: boolean })[];
  readonly publishing: { readonly attempts: number; readonly owner?: string; readonly leaseUntil?: Date };
  /** Set if an import stored it. `conflictWith`: it was cancelled, because this order keeps the ticket. */
  readonly imported?: { readonly version: number; readonly conflictWith?: string };
}

export interface StuckQuery {
  readonly expiredBefore: Date;
  readonly unpublishedBefore: Date;
  /** Or publishing failed this often. */
  readonly attempts: number;
  /** Of each kind. */
  readonly limit: number;
}

/** An order with events to publish. */
export interface UnpublishedOrder {
  readonly orderId: string;
  /** Orders of earlier releases may lack it. */
  readonly since?: Date;
  /** Failed attempts at its next event. */
  readonly attempts: number;
  /** Who holds the publishing lease, if anyone. */
  readonly owner?: string;
  readonly leaseUntil: Date;
  /** An earlier order of its ticket, whose events go first. */
  readonly waitsFor?: string;
}

/** Orders that should have gone on, the oldest first. */
export interface StuckOrders {
  readonly overdue: readonly Order[];
  readonly unpublished: readonly UnpublishedOrder[];
}

export interface OperatorReads {
  findStuck(query: StuckQuery): Promise<StuckOrders>;
  /** By order: the newest parked message or dead letter that names it. */
  failedAbout(orderIds: readonly string[]): Promise<ReadonlyMap<string, ListedMessage>>;
  /** Orders that could not keep the payment of this id, whether it is refunded or not. */
  withRefundOf(paymentId: string): Promise<readonly Order[]>;
}
