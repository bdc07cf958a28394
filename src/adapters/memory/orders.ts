import type {
  Change,
  Clock,
  OpenNumberLook,
  OrderFilter,
  OrderQuery,
  OrderStore,
  Placement,
  PlacementResult,
  StoredOrder,
} from '../../application/ports';
import { applyChange, isOpen, openRefunds, type Order } from '../../domain/order';
import { byTimeAndId, roundTrip, roundTrips, type MemoryDatabase, type OrderRecord } from './database';
import { toLease, type LeaseSettings } from './outbox';

export function createOrders(database: MemoryDatabase, clock: Clock, leasing: LeaseSettings): OrderStore {
  const { orders, turns, byIdempotencyKey } = database;

  function insert(placement: Placement, sentAt: number): PlacementResult {
    const { order } = placement;
    const idempotencyKey = placement.idempotencyKey ?? order.id;
    if (orders.has(order.id)) return { type: 'inserted' };
    const sameKey = byIdempotencyKey.get(idempotencyKey);
    if (sameKey) return { type: 'key-taken', order: sameKey.order };
    const taken = turns.get(order.ticket.id) ?? [];
    const latest = taken.at(-1);
    if (taken[placement.turn] && latest) {
      return { type: 'turn-taken', latest: { order: latest.order, turn: latest.turn } };
    }

    const { openTurn } = placement;
    if (openTurn && atNumber(order.userId, openTurn.number).some(({ turn }) => turn === openTurn.turn)) {
      return { type: 'open-turn-taken', taken: openNumbersOf(order.userId) };
    }

    const takesLease = placement.withLease && placement.events.length > 0;
    const record: OrderRecord = {
      order,
      turn: placement.turn,
      idempotencyKey,
      ...(openTurn ? { openTurn } : {}),
      outbox: [...placement.events],
      next: 0,
      pending: placement.events.length,
      leaseUntil: takesLease ? clock.now().getTime() + leasing.ms : 0,
      owner: takesLease ? leasing.owner : undefined,
      attempts: 0,
    };
    orders.set(order.id, record);
    taken[placement.turn] = record;
    turns.set(order.ticket.id, taken);
    byIdempotencyKey.set(idempotencyKey, record);
    if (!takesLease) return { type: 'inserted' };
    return { type: 'inserted', lease: toLease(record, sentAt + leasing.ms) };
  }

  /** The user's orders with this number, the latest turn first. */
  function atNumber(userId: string, number: number) {
    return [...orders.values()]
      .filter(({ order, openTurn }) => order.userId === userId && openTurn?.number === number)
      .map(({ order, openTurn }) => ({ order, turn: openTurn?.turn ?? 0 }))
      .sort((a, b) => b.turn - a.turn);
  }

  function openNumbersOf(userId: string): number[] {
    const mine = [...orders.values()].filter(({ order }) => order.userId === userId && isOpen(order));
    return mine.flatMap(({ openTurn }) => openTurn?.number ?? []);
  }

  function lookAtOpenNumber(userId: string, number: number): OpenNumberLook {
    const [latest] = atNumber(userId, number);
    return { ...(latest ? { latest } : {}), taken: openNumbersOf(userId) };
  }

  function save({ before, change, events }: Change): boolean {
    const record = orders.get(before.order.id);
    if (record?.order.version !== before.order.version) return false;
    record.order = applyChange(record.order, change);
    record.outbox.push(...events);
    record.pending += events.length;
    return true;
  }

  function matching({ userId, ticketId, statuses }: OrderFilter): Order[] {
    return [...orders.values()]
      .map(({ order }) => order)
      .filter((order) => order.userId === userId)
      .filter(({ ticket }) => ticketId === undefined || ticket.id === ticketId)
      .filter(({ status }) => statuses === undefined || statuses.includes(status));
  }

  function versions(ids: readonly string[]): Map<string, number> {
    const found = ids.map((id) => orders.get(id)).filter((record) => record !== undefined);
    return new Map(found.map(({ order }) => [order.id, order.version]));
  }

  function overdue(time: Date, limit: number): string[] {
    return [...orders.values()]
      .map(({ order }) => order)
      .filter((order) => isOpen(order) && order.expiresAt < time)
      .sort((a, b) => a.expiresAt.getTime() - b.expiresAt.getTime())
      .slice(0, limit)
      .map(({ id }) => id);
  }

  function withOpenRefunds(limit: number): Order[] {
    return [...orders.values()]
      .map(({ order }) => order)
      .filter((order) => openRefunds(order).length > 0)
      .slice(0, limit);
  }

  return {
    insert(placement) {
      const copy = structuredClone(placement);
      const sentAt = clock.monotonic();
      return roundTrip(() => insert(copy, sentAt));
    },
    ...roundTrips({
      find: (id: string) => toStored(orders.get(id)),
      versions,
      lookAtOpenNumber,
      findByKey: (idempotencyKey: string) => byIdempotencyKey.get(idempotencyKey)?.order,
      save,
      confirmReads: () => undefined,
      list: (query: OrderQuery) => list(matching(query), query),
      count: (filter: OrderFilter) => matching(filter).length,
      overdue,
      withOpenRefunds,
    }),
  };
}

function toStored(record: OrderRecord | undefined): StoredOrder | undefined {
  if (!record) return undefined;
  const { order, turn, outbox, next } = record;
  const unpublishedSince = outbox[next]?.at;
  return { order, turn, recorded: outbox.length, ...(unpublishedSince ? { unpublishedSince } : {}) };
}

function list(orders: readonly Order[], { limit, after }: OrderQuery): Order[] {
  return orders
    .filter((order) => after === undefined || newestFirst(order, after) > 0)
    .sort(newestFirst)
    .slice(0, limit);
}

type Position = Pick<Order, 'createdAt' | 'id'>;

function newestFirst(a: Position, b: Position): number {
  return byTimeAndId([b.createdAt, b.id], [a.createdAt, a.id]);
}
