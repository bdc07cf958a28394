import { contentOf } from './content';

/** An order as the database holds it. */
export interface StoredOrder {
  readonly id: string;
  readonly version: number;
  readonly userId: string;
  readonly status: 'created' | 'awaiting:payment' | 'complete' | 'cancelled';
  readonly reason?: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly ticketId: string;
  readonly turn: number;
  readonly idempotencyKey?: string;
  readonly payments: readonly {
    readonly id: string;
    readonly stripeId?: string;
    readonly at: Date;
    readonly refund?: string;
    /** It only adds a name to the charge of that payment. */
    readonly sameAs?: string;
  }[];
  readonly outbox: readonly {
    readonly seq: number;
    readonly subject: string;
    readonly data: string;
    readonly at: Date;
  }[];
  readonly publishing: { readonly next: number; readonly pending: number };
}

export interface OrderDocument extends Omit<StoredOrder, 'id' | 'ticketId'> {
  readonly _id: unknown;
  readonly ticket: { readonly id: unknown };
}

export function readOrder({ _id, ticket, ...order }: OrderDocument): StoredOrder {
  return { ...order, id: String(_id), ticketId: String(ticket.id) };
}

export function isOpen(status: string): boolean {
  return status === 'created' || status === 'awaiting:payment';
}

/** Cancelled or completed once, and one for each payment that is to be given back or adds a name to a charge. */
export function changesOf({ status, payments }: StoredOrder): number {
  const others = payments.filter(({ refund, sameAs }) => (refund ?? sameAs) !== undefined);
  return (isOpen(status) ? 0 : 1) + others.length;
}

/** What is published and what is pending is the whole outbox. */
export function isBookKept({ outbox, publishing: { next, pending } }: StoredOrder): boolean {
  return next >= 0 && pending >= 0 && next + pending === outbox.length;
}

/** A cancelled order announces so once, any other never. */
export function tellsItsEnd(order: StoredOrder): boolean {
  return cancellationsOf(order).length === (order.status === 'cancelled' ? 1 : 0);
}

function cancellationsOf({ outbox }: StoredOrder): StoredOrder['outbox'] {
  return outbox.filter(({ subject }) => subject === 'order:cancelled');
}

export function whatIsWrongWithTheOutbox(order: StoredOrder): string | undefined {
  const { outbox } = order;
  if (outbox.some(({ seq }, i) => seq !== i)) return `numbered ${outbox.map(({ seq }) => seq).join()}`;
  const [first, ...others] = outbox;
  if (first?.subject !== 'order:created' || !announces(first.data, order)) {
    return `begins with ${first?.subject} ${first?.data}`;
  }
  if (!tellsItsEnd(order)) return `has ${cancellationsOf(order).length} cancellations`;
  const wrong = cancellationsOf(order).find(({ data }) => !cancels(data, order));
  if (wrong) return `cancels with ${wrong.data}`;
  const stranger = others.find(
    ({ subject }) => !['order:cancelled', 'order:refund-required'].includes(subject),
  );
  return stranger && `holds ${stranger.subject} at ${stranger.seq}`;
}

function announces(data: string, { id, userId, ticketId, expiresAt }: StoredOrder): boolean {
  const content = contentOf(data);
  return (
    content?.['id'] === id &&
    content['version'] === 0 &&
    content['status'] === 'created' &&
    content['userId'] === userId &&
    content['expiresAt'] === expiresAt.toISOString() &&
    (content['ticket'] as { id?: unknown } | undefined)?.id === ticketId
  );
}

function cancels(data: string, { id, ticketId }: StoredOrder): boolean {
  const content = contentOf(data);
  const ticket = content?.['ticket'] as { id?: unknown } | undefined;
  return content?.['id'] === id && content['version'] === 1 && ticket?.id === ticketId;
}

/** From when on it should have been cancelled; never where its buyer has nothing left to do. */
export function overdueFrom({ status, expiresAt }: StoredOrder, graceMs: number): number {
  return isOpen(status) ? expiresAt.getTime() + graceMs : Infinity;
}

/** Undefined where the copy of the ticket is this version, the newest. */
export function staleCopy(
  [id, version]: readonly [id: string, version: number],
  copies: ReadonlyMap<string, number>,
): string | undefined {
  return copies.get(id) === version ? undefined : `ticket ${id} is at ${copies.get(id)}, not at ${version}`;
}
