import type { Claimable, Clock, Outbox, PublishingLease } from '../../application/ports';
import { byTimeAndId, roundTrip, roundTrips, type MemoryDatabase, type OrderRecord } from './database';

export interface LeaseSettings {
  readonly owner: string;
  readonly ms: number;
}

export function createOutbox(
  { orders, turns }: MemoryDatabase,
  clock: Clock,
  leasing: LeaseSettings,
): Outbox {
  const hasPending = ({ pending }: OrderRecord) => pending > 0;
  const isFree = ({ leaseUntil }: OrderRecord) => leaseUntil <= clock.now().getTime();

  /** The order, if its lease is ours and begins at its next event. */
  function held({ orderId, events }: PublishingLease): OrderRecord | undefined {
    const record = orders.get(orderId);
    return record?.owner === leasing.owner && record.next === events[0]?.seq ? record : undefined;
  }

  function take(record: OrderRecord, sentAt: number): PublishingLease {
    record.owner = leasing.owner;
    record.leaseUntil = clock.now().getTime() + leasing.ms;
    return toLease(record, sentAt + leasing.ms);
  }

  function claimable(limit: number, after?: Claimable): Claimable[] {
    return [...orders.values()]
      .filter((record) => hasPending(record) && isFree(record))
      .map(toClaimable)
      .sort(freeForLongest)
      .filter((one) => after === undefined || freeForLongest(one, after) > 0)
      .slice(0, limit);
  }

  function claim(orderId: string, sentAt: number): PublishingLease | undefined {
    const record = orders.get(orderId);
    return record && hasPending(record) && isFree(record) ? take(record, sentAt) : undefined;
  }

  function markPublished(lease: PublishingLease, count: number, sentAt: number): PublishingLease | undefined {
    const record = held(lease);
    if (!record || record.pending < count) return undefined;
    record.next += count;
    record.pending -= count;
    record.attempts = 0;
    if (hasPending(record)) return take(record, sentAt);
    record.owner = undefined;
    record.leaseUntil = 0;
    return undefined;
  }

  function release(lease: PublishingLease, delayMs: number, attempts: number): void {
    const record = held(lease);
    if (!record) return;
    record.owner = undefined;
    record.leaseUntil = clock.now().getTime() + delayMs;
    record.attempts = attempts;
  }

  function backlog(): { pending: number; oldest?: Date } {
    const waiting = [...orders.values()].filter(hasPending);
    const times = waiting.flatMap(({ outbox, next }) => outbox[next]?.at.getTime() ?? []);
    const pending = waiting.length;
    return pending > 0 ? { pending, oldest: new Date(Math.min(...times)) } : { pending };
  }

  return {
    claim(orderId) {
      const sentAt = clock.monotonic();
      return roundTrip(() => claim(orderId, sentAt));
    },
    markPublished(lease, count) {
      const copy = structuredClone(lease);
      const sentAt = clock.monotonic();
      return roundTrip(() => markPublished(copy, count, sentAt));
    },
    ...roundTrips({
      earliest: (ticketId: string) => turns.get(ticketId)?.find(hasPending)?.order.id,
      claimable,
      release,
      backlog,
    }),
  };
}

function toClaimable({ order, turn, leaseUntil }: OrderRecord): Claimable {
  return { orderId: order.id, ticketId: order.ticket.id, turn, freeSince: new Date(leaseUntil) };
}

function freeForLongest(a: Claimable, b: Claimable): number {
  return byTimeAndId([a.freeSince, a.orderId], [b.freeSince, b.orderId]);
}

/** The lease that was taken just now, until `leaseUntil` by the monotonic clock. */
export function toLease(record: OrderRecord, leaseUntil: number): PublishingLease {
  return {
    orderId: record.order.id,
    ticketId: record.order.ticket.id,
    turn: record.turn,
    events: record.outbox.slice(record.next, record.next + record.pending),
    attempts: record.attempts,
    leaseUntil,
  };
}
