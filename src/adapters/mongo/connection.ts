import { createConnection, type Connection, type mongo } from 'mongoose';
import { Unavailable, type Cancel, type Clock, type Log } from '../../application/ports';
import { backoff } from '../../application/schedule';
import { toUnavailable } from './errors';
import { ForeignData } from './foreign-data';
import { UnfinishedImport } from './import/marker';

const RETRY = { firstMs: 200, longestMs: 5_000 };

const CONNECT_OPTIONS = {
  // More connections cost more than they gain: concurrent work shares round trips anyway.
  maxPoolSize: 20,
  // Short, so that callers soon get 503; connecting is retried anyway.
  serverSelectionTimeoutMS: 2_000,
  connectTimeoutMS: 2_000,
  // The shortest that the driver allows: one broken connection keeps the service from being ready for this long. With
  // the connect timeout it also limits how late a frozen server is noticed and all waiting operations are given up.
  heartbeatFrequencyMS: 500,
  // For a whole operation with its retries. Longer than a write on a busy disk: only operations on a dead connection
  // end like this. A socket timeout would not end them: a command too long to be sent at once waits, without an end,
  // for a socket that the driver has closed.
  timeoutMS: 5_000,
  // Set one by one: the options of the URL win over a `writeConcern` object, and with `journal=false` there no answer
  // would be durable.
  w: 'majority',
  journal: true,
  readPreference: 'primary',
  bufferCommands: false,
} as const;

export interface MongoConnection {
  readonly mongoose: Connection;
  /** Reachable, and verified since it was last lost. */
  ready(): boolean;
  /**
   * Runs the operation if the database is ready. Rejects with {@link Unavailable} if it cannot answer, or was lost
   * meanwhile: the answer may come from a server that is not verified yet.
   */
  ask<T>(operation: () => Promise<T>): Promise<T>;
  /** Not ready any more until it is verified again: it holds data that must not be there. */
  distrust(): void;
  start(): void;
  close(): Promise<void>;
}

/**
 * A connection that is retried for ever. A server that was unavailable counts as new: `verify` must succeed before it
 * is used, because it may have come back with different data.
 */
export function createMongoConnection(deps: {
  url: string;
  clock: Pick<Clock, 'after' | 'random'>;
  log: Log;
  verify: () => Promise<void>;
  onReadyChange: (ready: boolean) => void;
  /** Called for each retry of connecting or verifying. */
  onRetry: () => void;
  /** Asked before each of them: `true` ends the retries, and nothing is logged. By default they never end. */
  givesUp?: (error: unknown) => boolean;
}): MongoConnection {
  const { clock, log, givesUp = () => false } = deps;
  const connection = createConnection();
  let ready = false;
  let closing = false;
  /** The writable server, in its current process. */
  let server: string | undefined;
  /** A result from before the latest change is not used. */
  let serverChanges = 0;
  let cancelRetry: Cancel = () => {};
  /** Why the last verification failed: logged once, however often it is retried. */
  let lastFailure: string | undefined;

  function setReady(now: boolean): void {
    if (ready === now) return;
    ready = now;
    deps.onReadyChange(now);
    if (now) log.info({}, 'connected to the database, indexes verified');
    else if (!closing) log.warn({}, 'the database is unavailable');
  }

  function retryIn(attempt: number, task: (attempt: number) => Promise<void>): void {
    if (closing) return;
    deps.onRetry();
    cancelRetry = clock.after(backoff(clock, attempt, RETRY), () => void task(attempt + 1));
  }

  async function connect(attempt: number): Promise<void> {
    try {
      await open();
    } catch (error) {
      if (closing || givesUp(error)) return;
      if (attempt === 1) log.warn({ err: error }, 'the database cannot be reached; trying again');
      retryIn(attempt, connect);
    }
  }

  async function open(): Promise<void> {
    let seen: string | undefined;
    let isOpen = false;
    const opening = connection.openUri(deps.url, CONNECT_OPTIONS);
    // Subscribed before the connection opens: a loss right after that must not be missed. There is no client if the URL
    // cannot be parsed.
    (connection.getClient() as mongo.MongoClient | null)?.on('topologyDescriptionChanged', (event) => {
      seen = writableServer(event.newDescription);
      if (isOpen) follow(seen);
    });
    await opening;
    isOpen = true;
    // For example a secondary that the URL names: nothing else would report why the service is not ready.
    if (seen === undefined) log.warn({}, 'connected to the database, but to no writable server');
    follow(seen);
  }

  function follow(now: string | undefined): void {
    if (server === now) return;
    server = now;
    distrust();
  }

  function distrust(): void {
    serverChanges += 1;
    cancelRetry();
    setReady(false);
    if (server !== undefined && !closing) void verify(1);
  }

  async function verify(attempt: number): Promise<void> {
    const changesBefore = serverChanges;
    try {
      await deps.verify();
    } catch (error) {
      if (serverChanges !== changesBefore || closing || givesUp(error)) return;
      reportFailure(error);
      retryIn(attempt, verify);
      return;
    }
    if (serverChanges !== changesBefore || closing) return;
    lastFailure = undefined;
    setReady(true);
  }

  function reportFailure(error: unknown): void {
    const kind = kindOf(error);
    if (kind === lastFailure) return;
    lastFailure = kind;
    if (error instanceof ForeignData) {
      const { collection, count, example } = error;
      log.error({ collection, count, example }, `the database cannot be used: ${error.message}`);
    } else if (error instanceof UnfinishedImport) {
      log.error({ startedAt: error.startedAt }, `the database cannot be used: ${error.message}`);
    } else {
      log.error({ err: error }, 'the database cannot be used: verifying it failed; trying again');
    }
  }

  return {
    mongoose: connection,
    ready: () => ready,
    async ask(operation) {
      if (!ready) throw new Unavailable('the database is not ready');
      const changesBefore = serverChanges;
      let answer;
      try {
        answer = await operation();
      } catch (error) {
        throw toUnavailable(error);
      }
      if (serverChanges !== changesBefore) throw new Unavailable('the database was lost meanwhile');
      return answer;
    },
    distrust,
    start: () => void connect(1),
    async close() {
      closing = true;
      cancelRetry();
      setReady(false);
      await connection.destroy();
    },
  };
}

/** Equal for equal failures: server messages differ with each attempt, and counts grow. */
function kindOf(error: unknown): string {
  if (error instanceof ForeignData) return `${error.code} ${error.collection}`;
  if (error instanceof UnfinishedImport) return error.code;
  const { name, message, code = message } = error as Error & { code?: unknown };
  return `${name} ${String(code)}`;
}

/** Writable servers. */
const WRITABLE: ReadonlySet<mongo.ServerType> = new Set([
  'Standalone',
  'RSPrimary',
  'Mongos',
  'LoadBalancer',
] as const);

/** Another name for each process of the server, if it reports that. */
function writableServer({ servers }: mongo.TopologyDescription): string | undefined {
  const found = [...servers.values()].find(({ type }) => WRITABLE.has(type));
  return found && `${found.address} ${found.topologyVersion?.processId.toHexString() ?? ''}`;
}
