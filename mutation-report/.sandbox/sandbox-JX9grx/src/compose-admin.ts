import { randomBytes } from 'node:crypto';
import { createMongoStore } from './adapters/mongo/store';
import { createNatsStreamingBus } from './adapters/nats-streaming/bus';
import type { Bus, DeadLetters, Log, OutboxHistory, Publisher } from './application/ports';
import { LEASE_MS } from './application/relay';
import { pause } from './application/schedule';
import { natsSettings, ticking } from './compose';
import type { Config } from './config';

const PATIENCE_MS = 15_000;

export interface Admin {
  readonly deadLetters: DeadLetters;
  readonly outboxHistory: OutboxHistory;
  /** A connection of its own to the broker, beside those of the running service. */
  connectPublisher(): Promise<Publisher>;
  close(): Promise<void>;
}

/** What the operator's command line works on. Rejects when the database does not answer. */
export async function composeAdmin(config: Config & { mongoUrl: string }, log: Log): Promise<Admin> {
  const clientId = `${config.nats.clientId}-admin-${randomBytes(4).toString('hex')}`;
  const store = createMongoStore({
    url: config.mongoUrl,
    replicaId: clientId,
    leaseMs: LEASE_MS,
    clock: ticking,
    log,
  });
  let bus: Bus | undefined;
  store.start();
  await until('the database answers', store.ready).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });

  return {
    deadLetters: store.deadLetters,
    outboxHistory: store.outboxHistory,
    async connectPublisher() {
      const { url } = config.nats;
      if (url === undefined) throw new Error('NATS_URL is not set: there is nowhere to publish to');
      bus = createNatsStreamingBus({ ...natsSettings(config.nats), url, clientId, clock: ticking, log });
      bus.start();
      await until('the broker answers', bus.available);
      return bus;
    },
    async close() {
      await bus?.close();
      await store.close();
    },
  };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await pause(ticking, 50);
  }
}
