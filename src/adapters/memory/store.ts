import type {
  Change,
  Clock,
  DeadLetter,
  DeadLetters,
  Log,
  OrderQuery,
  OrderStore,
  Outbox,
  OutboxEvent,
  Placement,
  PlacementResult,
  Publication,
  StoredOrder,
  TicketStore,
} from '../../application/ports';
import type { Order } from '../../domain/order';
import { supersedes } from '../../domain/ticket';
import type { Ticket } from '../../domain/ticket';

interface OrderRecord {
  order: Order;
  turn: number;
  idempotencyKey: string;
  outbox: OutboxEvent[];
  next: number;
  pending: number;
  /** By the clock's `now`, in milliseconds; 0: no lease. */
  leaseUntil: number;
  owner: string | undefined;
  attempts: number;
}

/** What several replicas share. Lost with the process. */
export interface MemoryDatabase {
  readonly orders: Map<string, OrderRecord>;
  /** Each ticket's orders, by turn. */
  readonly turns: Map<string, OrderRecord[]>;
  readonly byIdempotencyKey: Map<string, OrderRecord>;
  readonly tickets: Map<string, Ticket>;
  readonly deadLetters: Map<string, DeadLetter>;
}

export interface MemoryStore {
  readonly tickets: TicketStore;
  readonly orders: OrderStore;
  readonly outbox: Outbox;
  readonly deadLetters: DeadLetters;
  now(): Date;
  ready(): boolean;
  start(): void;
  close(): Promise<void>;
}

export function createMemoryDatabase(): MemoryDatabase {
  return {
    orders: new Map(),
    turns: new Map(),
    byIdempotencyKey: new Map(),
    tickets: new Map(),
    deadLetters: new Map(),
  };
}

/** One replica's view of the database. It keeps the promises that the real one keeps, as long as the process lives. */
export function connectMemoryStore(
  database: MemoryDatabase,
  deps: { replicaId: string; clock: Clock; leaseMs: number; log?: Log },
): MemoryStore {
  const { clock } = deps;
  const lease = { owner: deps.replicaId, ms: deps.leaseMs };
  return {
    tickets: createTickets(database),
    orders: createOrders(database, clock, lease),
    outbox: createOutbox(database, clock, lease),
    deadLetters: createDeadLetters(database, clock),
    now: clock.now,
    ready: () => true,
    start() {},
    close: () => Promise.resolve(),
  };
}

/** What a round trip would be: others get their turn, and values are copied on both ways. */
async function roundTrip<T>(operation: () => T): Promise<T> {
  await new Promise((resolve) => setImmediate(resolve));
  return structuredClone(operation());
}

function createTickets({ tickets }: MemoryDatabase): TicketStore {
  return {
    find: (id) => roundTrip(() => tickets.get(id)),
    apply(ticket) {
      const copy = structuredClone(ticket);
      return roundTrip(() => {
        if (supersedes(copy, tickets.get(copy.id))) tickets.set(copy.id, copy);
      });
    },
  };
}

interface Lease {
  readonly owner: string;
  readonly ms: number;
}

function createOrders(database: MemoryDatabase, clock: Clock, lease: Lease): OrderStore {
  const { orders, turns, byIdempotencyKey } = database;

  function insert(placement: Placement, sentAt: number): PlacementResult {
    const { order } = placement;
    const idempotencyKey = placement.idempotencyKey ?? order.id;
    const known = orders.get(order.id);
    if (known) return { type: 'inserted' };
    const sameKey = byIdempotencyKey.get(idempotencyKey);
    if (sameKey) return { type: 'key-taken', order: sameKey.order };
    const taken = turns.get(order.ticket.id) ?? [];
    const latest = taken.at(-1);
    if (taken[placement.turn] && latest) return { type: 'turn-taken', latest };

    const record: OrderRecord = {
      order,
      turn: placement.turn,
      idempotencyKey,
      outbox: [...placement.events],
      next: 0,
      pending: placement.events.length,
      leaseUntil: placement.lease ? clock.now().getTime() + lease.ms : 0,
      owner: placement.lease ? lease.owner : undefined,
      attempts: 0,
    };
    orders.set(order.id, record);
    taken[placement.turn] = record;
    turns.set(order.ticket.id, taken);
    byIdempotencyKey.set(idempotencyKey, record);
    if (!placement.lease || record.pending === 0) return { type: 'inserted' };
    return { type: 'inserted', publication: toPublication(record, sentAt + lease.ms) };
  }

  function save({ before, after, events }: Change): boolean {
    const record = orders.get(after.id);
    if (record?.order.version !== before.order.version) return false;
    record.order = after;
    record.outbox.push(...events);
    record.pending += events.length;
    return true;
  }

  return {
    insert(placement) {
      const copy = structuredClone(placement);
      const sentAt = clock.monotonic();
      return roundTrip(() => insert(copy, sentAt));
    },
    find: (id) => roundTrip(() => toStored(orders.get(id))),
    save(change) {
      const copy = structuredClone(change);
      return roundTrip(() => save(copy));
    },
    confirmReads: () => roundTrip(() => undefined),
    list: (query) => roundTrip(() => list([...orders.values()].map(({ order }) => order), query)),
    overdue: (time, limit) =>
      roundTrip(() =>
        [...orders.values()]
          .map(({ order }) => order)
          .filter(({ status, expiresAt }) => isOpen(status) && expiresAt < time)
          .sort((a, b) => a.expiresAt.getTime() - b.expiresAt.getTime())
          .slice(0, limit)
          .map(({ id }) => id),
      ),
  };
}

function createOutbox({ orders, turns }: MemoryDatabase, clock: Clock, lease: Lease): Outbox {
  const hasPending = ({ pending }: OrderRecord) => pending > 0;
  const isFree = ({ leaseUntil }: OrderRecord) => leaseUntil <= clock.now().getTime();

  function claim(orderId: string, sentAt: number): Publication | undefined {
    const record = orders.get(orderId);
    if (!record || !hasPending(record) || !isFree(record)) return undefined;
    return take(record, sentAt);
  }

  function take(record: OrderRecord, sentAt: number): Publication {
    record.owner = lease.owner;
    record.leaseUntil = clock.now().getTime() + lease.ms;
    return toPublication(record, sentAt + lease.ms);
  }

  function book({ orderId, events }: Publication, sentAt: number): Publication | undefined {
    const record = orders.get(orderId);
    if (record?.owner !== lease.owner || record.next !== events[0]?.seq || !hasPending(record)) return undefined;
    record.next += 1;
    record.pending -= 1;
    record.attempts = 0;
    if (hasPending(record)) return take(record, sentAt);
    record.owner = undefined;
    record.leaseUntil = 0;
    return undefined;
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
      const sentAt = clock.monotonic();
      return roundTrip(() => book(publication, sentAt));
    },
    release: ({ orderId }, delayMs, attempts) =>
      roundTrip(() => {
        const record = orders.get(orderId);
        if (record?.owner !== lease.owner) return;
        record.owner = undefined;
        record.leaseUntil = clock.now().getTime() + delayMs;
        record.attempts = attempts;
      }),
    backlog: () =>
      roundTrip(() => {
        const waiting = [...orders.values()].filter(hasPending);
        const times = waiting.flatMap(({ outbox, next }) => outbox[next]?.at.getTime() ?? []);
        const pending = waiting.length;
        return times.length > 0 ? { pending, oldest: new Date(Math.min(...times)) } : { pending };
      }),
  };
}

function createDeadLetters({ deadLetters }: MemoryDatabase, clock: Clock): DeadLetters {
  const isDue = ({ retryAt }: DeadLetter) => retryAt !== undefined && retryAt <= clock.now();

  return {
    put(letter) {
      const copy = structuredClone(letter);
      return roundTrip(() => {
        if (!deadLetters.has(copy.id)) deadLetters.set(copy.id, copy);
      });
    },
    takeDue: (claimedUntil, limit) =>
      roundTrip(() => {
        const due = [...deadLetters.values()].filter(isDue).slice(0, limit);
        for (const letter of due) deadLetters.set(letter.id, { ...letter, retryAt: claimedUntil });
        return due;
      }),
    postpone: (id, update) =>
      roundTrip(() => {
        const letter = deadLetters.get(id);
        if (!letter) return;
        const { retryAt: _, ...rest } = letter;
        deadLetters.set(id, { ...rest, ...update });
      }),
    remove: (id) => roundTrip(() => void deadLetters.delete(id)),
    list: (limit) => roundTrip(() => [...deadLetters.values()].slice(0, limit)),
    replay: (id) =>
      roundTrip(() => {
        const letters = [...deadLetters.values()].filter((letter) => id === undefined || letter.id === id);
        for (const letter of letters) {
          deadLetters.set(letter.id, { ...letter, attempts: 0, retryAt: clock.now() });
        }
        return letters.length;
      }),
    count: () =>
      roundTrip(() => {
        const parked = [...deadLetters.values()].filter(({ retryAt }) => retryAt !== undefined).length;
        return { parked, dead: deadLetters.size - parked };
      }),
  };
}

function isOpen(status: Order['status']): boolean {
  return status === 'created' || status === 'awaiting:payment';
}

function toStored(record: OrderRecord | undefined): StoredOrder | undefined {
  return record && { order: record.order, turn: record.turn, recorded: record.outbox.length };
}

function toPublication(record: OrderRecord, leaseUntil: number): Publication {
  return {
    orderId: record.order.id,
    ticketId: record.order.ticket.id,
    turn: record.turn,
    events: record.outbox.slice(record.next, record.next + record.pending),
    attempts: record.attempts,
    leaseUntil,
  };
}

function list(orders: readonly Order[], { userId, status, limit, after }: OrderQuery): Order[] {
  return orders
    .filter((order) => order.userId === userId && (status === undefined || order.status === status))
    .filter((order) => after === undefined || newestFirst(order, after) > 0)
    .sort(newestFirst)
    .slice(0, limit);
}

type Position = Pick<Order, 'createdAt' | 'id'>;

function newestFirst(a: Position, b: Position): number {
  const time = b.createdAt.getTime() - a.createdAt.getTime();
  return time !== 0 ? time : a.id < b.id ? 1 : -1;
}
