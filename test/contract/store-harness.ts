import type { FailedMessages } from '../../src/application/failed-messages';
import type { OrderStore, Outbox, TicketStore } from '../../src/application/ports';

export const LEASE_MS = 15_000;

/** What every store gives to one replica. */
export interface ConnectedStore {
  readonly tickets: TicketStore;
  readonly orders: OrderStore;
  readonly outbox: Outbox;
  readonly failedMessages: FailedMessages;
  now(): Date;
}

/** A database of its own for one test, and replicas of the service on it. */
export interface StoreHarness {
  /** A replica with leases of {@link LEASE_MS}, ready. */
  connect(replicaId: string): Promise<ConnectedStore>;
  /** By the replicas' shared monotonic clock. */
  monotonic(): number;
  /** Lets time pass, for the database and the replicas alike. */
  advance(ms: number): void;
  close(): Promise<void>;
}

/** Opens a harness and two replicas for each test. */
export type SetUp = () => Promise<{ harness: StoreHarness; a: ConnectedStore; b: ConnectedStore }>;
