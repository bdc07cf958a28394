import type { Publisher } from '../application/bus';
import type { ChangeOrder } from '../application/change-order';
import type { ImportTarget, OldSystem } from '../application/import/ports';
import type { FailedMessages } from '../application/failed-messages';
import type { OperatorReads, OrderHistory, OutboxHistory } from '../application/operator-ports';
import type { OrderStore } from '../application/ports';
import type { Environment } from '../config/load-config';
import type { Inject } from '../messaging/injection';
import type { Output } from './output';

/** What the commands use from outside. Nothing is read or connected before a command asks for it. */
export interface CommandContext {
  readonly env: Environment;
  readonly output: Output;
  stdin(): AsyncIterable<Buffer | string>;
  /** Runs the service until it is asked to stop. */
  serve(): void;
  /** Connects to the database of `MONGO_URL` and makes nothing there; it is closed when the command ends. */
  openDatabase(): Promise<OperatorDatabase>;
  /** The same with the broker of `NATS_URL`: the settings of both are checked before either is connected. */
  openDatabaseAndBroker(): Promise<{ readonly database: OperatorDatabase; readonly publisher: Publisher }>;
  /** Connects to the database of an earlier service, at `from` or `OLD_MONGO_URL`, and to that of `MONGO_URL`. */
  openImport(from?: string): Promise<{ readonly source: OldSystem; readonly target: ImportTarget }>;
}

/** The database as the commands use it. */
export interface OperatorDatabase extends OperatorReads {
  readonly orders: Pick<OrderStore, 'withOpenRefunds'>;
  readonly failedMessages: FailedMessages;
  readonly outboxHistory: OutboxHistory;
  readonly orderHistory: (orderId: string) => Promise<OrderHistory | undefined>;
  /** The running service finds the events of a change by its poll, and publishes them. */
  readonly changeOrder: ChangeOrder;
  readonly inject: Inject;
  /** Decides as `inject` does, and writes nothing. */
  readonly decide: Inject;
  /** Database time. */
  now(): Date;
}
