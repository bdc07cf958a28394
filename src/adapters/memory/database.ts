import type { FailedMessage } from '../../application/failed-messages';
import type { OpenTurn, OutboxEvent } from '../../application/ports';
import type { Order } from '../../domain/order';
import type { Ticket } from '../../domain/ticket';

export interface OrderRecord {
  order: Order;
  turn: number;
  idempotencyKey: string;
  openTurn?: OpenTurn;
  outbox: OutboxEvent[];
  /** `seq` of the next event to publish. */
  next: number;
  pending: number;
  /** By the clock's `now`, in milliseconds; 0: no lease. */
  leaseUntil: number;
  owner: string | undefined;
  attempts: number;
}

/** The data that several replicas share. Lost with the process. */
export interface MemoryDatabase {
  readonly orders: Map<string, OrderRecord>;
  /** Each ticket's orders, by turn. */
  readonly turns: Map<string, OrderRecord[]>;
  readonly byIdempotencyKey: Map<string, OrderRecord>;
  readonly tickets: Map<string, Ticket>;
  readonly failedMessages: Map<string, FailedMessage>;
}

export function createMemoryDatabase(): MemoryDatabase {
  return {
    orders: new Map(),
    turns: new Map(),
    byIdempotencyKey: new Map(),
    tickets: new Map(),
    failedMessages: new Map(),
  };
}

/** Earlier ones first; at the same time, the smaller id first. */
export function byTimeAndId(
  [aTime, aId]: readonly [time: Date, id: string],
  [bTime, bId]: readonly [time: Date, id: string],
): number {
  const time = aTime.getTime() - bTime.getTime();
  if (time !== 0) return time;
  if (aId === bId) return 0;
  return aId < bId ? -1 : 1;
}

/** Simulates a round trip: other work runs in between, and no value is shared with the caller. */
export async function roundTrip<T>(operation: () => T): Promise<T> {
  await new Promise((resolve) => setImmediate(resolve));
  return structuredClone(operation());
}

/** Each operation as a round trip of its own. */
export function roundTrips<T extends Record<string, (...args: never[]) => unknown>>(operations: T) {
  const trips = Object.entries(operations).map(([name, operation]) => [
    name,
    (...args: never[]) => {
      const copies = structuredClone(args);
      return roundTrip(() => operation(...copies));
    },
  ]);
  return Object.fromEntries(trips) as {
    [Name in keyof T]: (...args: Parameters<T[Name]>) => Promise<ReturnType<T[Name]>>;
  };
}
