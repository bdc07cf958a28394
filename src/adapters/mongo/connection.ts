import { createConnection } from 'mongoose';
import type { Connection, mongo } from 'mongoose';
import { Unavailable } from '../../application/ports';
import type { Cancel, Clock, Log } from '../../application/ports';
import { backoff } from '../../application/schedule';
import { toUnavailable } from './errors';
import { ForeignData } from './foreign-data';

const RETRY = { firstMs: 200, longestMs: 5_000 };

const CONNECT_OPTIONS = {
  // More connections cost more than they give: concurrent work shares round trips anyway.
  maxPoolSize: 20,
  // Short, so that callers hear 503 soon; the connection goes on being tried anyway.
  serverSelectionTimeoutMS: 2_000,
  connectTimeoutMS: 2_000,
  // As often as the driver allows: it is how long one broken connection keeps us from being ready. Together with the
  // connect timeout it is also how soon a frozen server is noticed, and all that waits for it is given up.
  heartbeatFrequencyMS: 500,
  // The whole of an operation, repeated or not. Above any write that a busy disk delays: only what met a connection that
  // went dead is left to this. No timeout of the socket does: a command that is too long to be sent at once waits, without
  // an end, for a socket that the driver has closed meanwhile.
  timeoutMS: 5_000,
  // Named one by one: the URL's own would win over a `writeConcern` object, and `journal=false` there would make
  // every answer a lie.
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
   * Runs the operation if the database is ready. Rejects with {@link Unavailable} where it cannot answer, and where
   * it was lost in the meantime: the answer may come from one that is not verified yet.
   */
  ask<T>(operation: () => Promise<T>): Promise<T>;
  /** Not ready any more until it is verified again: something was found there that must not be. */
  distrust(): void;
  start(): void;
  close(): Promise<void>;
}

/**
 * A connection that is tried for ever. Each time the server has been unavailable it counts as new: `verify` has to succeed
 * before anything is asked of it, for it may have come back with another past.
 */
export function createMongoConnection(deps: {
  url: string;
  clock: Pick<Clock, 'after' | 'random'>;
  log: Log;
  verify: () => Promise<void>;
  onReadyChange: (ready: boolean) => void;
  /** Connecting or verifying is tried once more. */
  onRetry: () => void;
}): MongoConnection {
  const { clock, log } = deps;
  const connection = createConnection();
  let ready = false;
  let closing = false;
  /** The server that takes our writes, in this life of it. */
  let server: string | undefined;
  /** What was begun under another number counts no more. */
  let serverChanges = 0;
  let cancelRetry: Cancel = () => {};
  /** Why the last verification failed: said once, however often it is tried. */
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
      if (attempt === 1)
        log.warn({ err: error }, 'the database cannot be reached; trying again until it can');
      retryIn(attempt, connect);
    }
  }

  async function open(): Promise<void> {
    let seen: string | undefined;
    let isOpen = false;
    const opening = connection.openUri(deps.url, CONNECT_OPTIONS);
    // Listened to from the first moment: a loss right after the connection was made must not be missed. There is no
    // client where the URL cannot be parsed.
    (connection.getClient() as mongo.MongoClient | null)?.on('topologyDescriptionChanged', (event) => {
      seen = writableServer(event.newDescription);
      if (isOpen) follow(seen);
    });
    await opening;
    isOpen = true;
    // A secondary that was asked for by name, say: without this it would never tell why it is not ready.
    if (seen === undefined) log.warn({}, 'connected to the database, but to no server that takes writes');
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
      if (serverChanges !== changesBefore || closing) return;
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
    } else {
      log.error({ err: error }, 'the database cannot be used: verifying its indexes failed; trying again');
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

/** The same for the same state: messages of the server name each attempt by itself, and counts grow. */
function kindOf(error: unknown): string {
  if (error instanceof ForeignData) return `${error.code} ${error.collection}`;
  const { name, message, code = message } = error as Error & { code?: unknown };
  return `${name} ${String(code)}`;
}

/** Servers that take writes. */
const WRITABLE: ReadonlySet<mongo.ServerType> = new Set([
  'Standalone',
  'RSPrimary',
  'Mongos',
  'LoadBalancer',
] as const);

/** Another name for each life of the process, where it tells. */
function writableServer({ servers }: mongo.TopologyDescription): string | undefined {
  const found = [...servers.values()].find(({ type }) => WRITABLE.has(type));
  return found && `${found.address} ${found.topologyVersion?.processId.toHexString() ?? ''}`;
}
