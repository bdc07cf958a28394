import type { Clock, Outbox, Publication } from '../../application/ports';
import { roundTrip } from './database';
import type { MemoryDatabase, OrderRecord } from './database';

export interface LeaseSettings {
  readonly owner: string;
  readonly ms: number;
}

export function createOutbox({ orders, turns }: MemoryDatabase, clock: Clock, lease: LeaseSettings): Outbox {
  const hasPending = ({ pending }: OrderRecord) => pending > 0;
  const isFree = ({ leaseUntil }: OrderRecord) => leaseUntil <= clock.now().getTime();

  /** The order, if the lease on it is ours and the publication stands where the order does. */
  function held({ orderId, events }: Publication): OrderRecord | undefined {
    const record = orders.get(orderId);
    return record?.owner === lease.owner && record.next === events[0]?.seq ? record : undefined;
  }

  function take(record: OrderRecord, sentAt: number): Publication {
    record.owner = lease.owner;
    record.leaseUntil = clock.now().getTime() + lease.ms;
    return toPublication(record, sentAt + lease.ms);
  }

  function claim(orderId: string, sentAt: number): Publication | undefined {
    const record = orders.get(orderId);
    return record && hasPending(record) && isFree(record) ? take(record, sentAt) : undefined;
  }

  function book(publication: Publication, sentAt: number): Publication | undefined {
    const record = held(publication);
    if (!record || !hasPending(record)) return undefined;
    record.next += 1;
    record.pending -= 1;
    record.attempts = 0;
    if (hasPending(record)) return take(record, sentAt);
    record.owner = undefined;
    record.leaseUntil = 0;
    return undefined;
  }

  function release(publication: Publication, delayMs: number, attempts: number): void {
    const record = held(publication);
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
    pendingBefore: (ticketId, turn) =>
      roundTrip(() =>
        (turns.get(ticketId) ?? [])
          .slice(0, turn)
          .filter(hasPending)
          .map(({ order }) => order.id),
      ),
    claimable: (limit) =>
      roundTrip(() =>
        [...orders.values()]
          .filter((record) => hasPending(record) && isFree(record))
          .slice(0, limit)
          .map(({ order }) => order.id),
      ),
    claim(orderId) {
      const sentAt = clock.monotonic();
      return roundTrip(() => claim(orderId, sentAt));
    },
    book(publication) {
      const copy = structuredClone(publication);
      const sentAt = clock.monotonic();
      return roundTrip(() => book(copy, sentAt));
    },
    release(publication, delayMs, attempts) {
      const copy = structuredClone(publication);
      return roundTrip(() => release(copy, delayMs, attempts));
    },
    backlog: () => roundTrip(backlog),
  };
}

/** What may be published under the lease taken just now, until `leaseUntil` by the monotonic clock. */
export function toPublication(record: OrderRecord, leaseUntil: number): Publication {
  return {
    orderId: record.order.id,
    ticketId: record.order.ticket.id,
    turn: record.turn,
    events: record.outbox.slice(record.next, record.next + record.pending),
    attempts: record.attempts,
    leaseUntil,
  };
}
