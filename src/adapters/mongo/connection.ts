import { createConnection } from 'mongoose';
import type { Connection, mongo } from 'mongoose';
import { Unavailable } from '../../application/ports';
import type { Cancel, Clock, Log } from '../../application/ports';
import { backoff } from '../../application/schedule';
import { toUnavailable } from './errors';

const RETRY = { firstMs: 200, longestMs: 5_000 };

const CONNECT_OPTIONS = {
  // More connections cost more than they give: concurrent work shares round trips anyway.
  maxPoolSize: 20,
  // Short, so that callers hear 503 soon; the connection goes on being tried all the same.
  serverSelectionTimeoutMS: 2_000,
  connectTimeoutMS: 2_000,
  waitQueueTimeoutMS: 2_000,
  // Above any write that a busy disk delays; an answer that never comes must not hold a group up for longer.
  socketTimeoutMS: 5_000,
  heartbeatFrequencyMS: 2_000,
  writeConcern: { w: 'majority', journal: true, wtimeoutMS: 5_000 },
  bufferCommands: false,
} as const;

export interface MongoConnection {
  readonly mongoose: Connection;
  /** Reachable, and verified since it was last lost. */
  ready(): boolean;
  /** Runs the operation if the database is ready; every failure of the driver becomes {@link Unavailable}. */
  ask<T>(operation: () => Promise<T>): Promise<T>;
  start(): void;
  close(): Promise<void>;
}

/**
 * A connection that is tried for ever. Each time the server has been away it counts as new: `verify` has to succeed
 * before anything is asked of it, for it may have come back with another past.
 */
export function createMongoConnection(deps: {
  url: string;
  clock: Pick<Clock, 'after' | 'random'>;
  log: Log;
  verify: () => Promise<void>;
  onReadyChange: (ready: boolean) => void;
}): MongoConnection {
  const { clock, log } = deps;
  const connection = createConnection();
  let ready = false;
  let reachable = false;
  let closing = false;
  /** Counts the times the server was lost: what was begun before counts no more. */
  let losses = 0;
  let cancelRetry: Cancel = () => {};

  function setReady(now: boolean): void {
    if (ready === now) return;
    ready = now;
    deps.onReadyChange(now);
    if (now) log.info({}, 'connected to the database, indexes verified');
    else if (!closing) log.warn({}, 'the database is away');
  }

  function retryIn(attempt: number, task: (attempt: number) => Promise<void>): void {
    if (closing) return;
    cancelRetry = clock.after(backoff(clock, attempt, RETRY), () => void task(attempt + 1));
  }

  async function connect(attempt: number): Promise<void> {
    try {
      await connection.openUri(deps.url, CONNECT_OPTIONS);
    } catch (error) {
      if (attempt === 1) log.warn({ err: error }, 'the database cannot be reached; trying again until it can');
      retryIn(attempt, connect);
      return;
    }
    if (closing) return;
    connection.getClient().on('topologyDescriptionChanged', ({ newDescription }) => {
      onReachable([...newDescription.servers.values()].some(({ type }) => WRITABLE.has(type)));
    });
    onReachable(true);
  }

  function onReachable(now: boolean): void {
    if (!now) {
      losses += 1;
      cancelRetry();
      setReady(false);
    } else if (!reachable && !closing) {
      void verify(1);
    }
    reachable = now;
  }

  async function verify(attempt: number): Promise<void> {
    const lossesBefore = losses;
    try {
      await deps.verify();
    } catch (error) {
      if (losses !== lossesBefore || closing) return;
      log.error({ err: error }, 'the database cannot be used: verifying its indexes failed; trying again');
      retryIn(attempt, verify);
      return;
    }
    if (losses === lossesBefore && !closing) setReady(true);
  }

  return {
    mongoose: connection,
    ready: () => ready,
    async ask(operation) {
      if (!ready) throw new Unavailable('the database is not ready');
      try {
        return await operation();
      } catch (error) {
        throw toUnavailable(error);
      }
    },
    start: () => void connect(1),
    async close() {
      closing = true;
      cancelRetry();
      setReady(false);
      await connection.destroy();
    },
  };
}

/** Servers that take writes. */
const WRITABLE: ReadonlySet<mongo.ServerType> = new Set([
  'Standalone',
  'RSPrimary',
  'Mongos',
  'LoadBalancer',
] as const);
