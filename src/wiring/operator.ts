import { randomBytes } from 'node:crypto';
import { createMongoStore } from '../adapters/mongo/store';
import { createNatsStreamingBus } from '../adapters/nats-streaming/bus';
import type { Bus } from '../application/bus';
import type { Log } from '../application/ports';
import { LEASE_MS } from '../application/relay';
import { pause } from '../application/schedule';
import type { AdminConfig } from '../config/load-config';
import type { Admin } from '../operator/commands';
import { ticking } from './clock';
import { natsSettings } from './nats-settings';

const PATIENCE_MS = 15_000;

/** The dependencies of the operator's command line. Rejects when the database does not answer. */
export async function composeAdmin({ mongoUrl, nats }: AdminConfig, log: Log): Promise<Admin> {
  const clientId = `${nats?.clientId ?? 'order-service'}-admin-${randomBytes(4).toString('hex')}`;
  const store = createMongoStore({
    url: mongoUrl,
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
    failedMessages: store.failedMessages,
    outboxHistory: store.outboxHistory,
    async connectPublisher() {
      const [server] = nats?.servers ?? [];
      if (!nats || !server) throw new Error('NATS_URL is not set: there is nowhere to publish to');
      // It subscribes to nothing.
      const settings = natsSettings({ ...nats, clientId, queueGroup: clientId, redeliveryWaitSeconds: 1 });
      bus = createNatsStreamingBus({ ...settings, url: server.url, clock: ticking, log });
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
    if (performance.now() > deadline)
      throw new Error(`timed out: waited ${PATIENCE_MS / 1000} s until ${what}`);
    await pause(ticking, 50);
  }
}
