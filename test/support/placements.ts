import { toOutbox } from '../../src/application/outbox-events';
import type {
  Cause,
  Change,
  OpenTurn,
  OrderStore,
  Placement,
  PublishingLease,
  StoredOrder,
} from '../../src/application/ports';
import { applyChange, decide, place, type OrderInput } from '../../src/domain/order';
import { newId } from './new-id';

export { newId };

/** A cause, where the test is not about it. */
export const REQUEST: Cause = { type: 'request', requestId: 'a-request' };

const NOW = new Date('2026-01-01T00:00:00.000Z');

export interface PlacementOptions {
  id?: string;
  userId?: string;
  ticketId?: string;
  turn?: number;
  idempotencyKey?: string;
  openTurn?: OpenTurn;
  withLease?: boolean;
  now?: Date;
}

/** A placement of an order that nobody has placed before. */
export function newPlacement({
  id = newId(),
  userId = 'buyer',
  ticketId = newId(),
  turn = 0,
  idempotencyKey,
  openTurn,
  withLease = true,
  now = NOW,
}: PlacementOptions = {}): Placement {
  const ticket = { id: ticketId, version: 3, title: 'A concert', price: 12.5, userId: 'seller' };
  const { order, events } = place({ id, userId, ticket, now, expirationWindowSeconds: 900 });
  return {
    order,
    turn,
    events: toOutbox(events, 0, now),
    record: { version: 0, status: order.status, input: 'place', cause: REQUEST, at: now },
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(openTurn ? { openTurn } : {}),
    withLease,
  };
}

/** The change that an input makes of an order as it was read. */
export function changeOf(before: StoredOrder, input: OrderInput, now = NOW): Change {
  const decision = decide(before.order, input);
  if (decision.type !== 'changed') throw new Error(`the input ${input.type} changes nothing`);
  const { change, events } = decision;
  const { version, status } = applyChange(before.order, change);
  return {
    before,
    change,
    events: toOutbox(events, before.recorded, now),
    record: { version, status, input: input.type, cause: REQUEST, at: now },
  };
}

export function payment(id: string, at = NOW): OrderInput {
  return { type: 'pay', payment: { id, stripeId: `stripe-${id}`, at } };
}

/** Reads, decides and saves; fails the test if another change came in between. */
export async function change(orders: OrderStore, orderId: string, input: OrderInput): Promise<void> {
  expect(await orders.save(changeOf(await read(orders, orderId), input))).toBe(true);
}

export async function read(orders: OrderStore, orderId: string): Promise<StoredOrder> {
  const found = await orders.find(orderId);
  if (!found) throw new Error(`no order ${orderId}`);
  return found;
}

/** Inserts with the lease and returns the right to publish. */
export async function placeWithLease(
  orders: OrderStore,
  options: PlacementOptions = {},
): Promise<PublishingLease> {
  const result = await orders.insert(newPlacement(options));
  if (result.type !== 'inserted' || !result.lease) throw new Error('no lease was given');
  return result.lease;
}

export function seqs(lease: PublishingLease | undefined): number[] | undefined {
  return lease?.events.map(({ seq }) => seq);
}

/** `<orderId>:<version>`, as a peer sees it. */
export function eventId(data: string): string {
  const { id, version } = JSON.parse(data) as { id: string; version: number };
  return `${id}:${version}`;
}
