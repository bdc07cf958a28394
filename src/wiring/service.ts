import { createSecretKey, randomBytes, randomUUID } from 'node:crypto';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Bus, Clock, OrderStore, Publisher, TicketStore } from '../application/ports';
import { LEASE_MS } from '../application/relay';
import type { Config } from '../config/load-config';
import { createApp } from '../http/app';
import { createHttpServer } from '../http/server';
import { createBacklogWatch } from '../observability/backlog-watch';
import type { ServiceLogger } from '../observability/logger';
import { createMetrics } from '../observability/metrics';
import { systemClock, ticking } from './clock';
import { createCore } from './core';
import { createLifecycle } from './lifecycle';
import { natsSettings } from './nats-settings';

export interface Service {
  readonly app: RequestListener;
  /** Listens, and connects in the background for as long as it takes. */
  start(): Promise<AddressInfo>;
  /** Resolves to whether everything ended in order within the deadline. */
  stop(): Promise<boolean>;
  /** Where store and broker are embedded: a connection such as the ticket service would have, and what came of it. */
  readonly embedded: { readonly peer: Publisher; readonly tickets: Pick<TicketStore, 'find'> } | undefined;
}

/** What may be put between the core and its adapters, where a build is made to try out what happens there. */
export interface Between {
  orders(orders: OrderStore): OrderStore;
  bus(bus: Bus): Bus;
}

export const NOTHING: Between = { orders: (orders) => orders, bus: (bus) => bus };

/**
 * The composition root: everything that is chosen is chosen here. Adapters are loaded only where they are used: the
 * embedded default is ready before Mongoose is even parsed.
 */
export async function compose(
  config: Config,
  { logger, onLineDropped }: Pick<ServiceLogger, 'logger' | 'onLineDropped'>,
  between = NOTHING,
): Promise<Service> {
  const log = logger;
  const metrics = createMetrics();
  onLineDropped(metrics.logLineDropped);
  const replicaId = `${config.nats.clientId}-${randomBytes(6).toString('hex')}`;

  const store = await chooseStore();
  const clock: Clock = { ...ticking, now: store.now };
  const { bus, peer } = await chooseBus();

  const core = createCore({
    store: { ...store, orders: between.orders(store.orders) },
    bus: between.bus(bus),
    clock,
    newId,
    metrics,
    log,
    expiration: config.expiration,
  });
  const backlogWatch = createBacklogWatch({
    outbox: store.outbox,
    failedMessages: store.failedMessages,
    clock,
    metrics,
    log,
  });

  const app = createApp({
    basePath: config.http.basePath,
    useCases: core.useCases,
    session: { keys: jwtKeys(config), now: clock.now },
    corsOrigins: config.http.corsOrigins,
    rateLimitPerMinute: config.http.rateLimitPerMinute,
    probes: {
      ready: () => ({
        database: store.ready() ? 'up' : 'down',
        broker: bus.available() ? 'up' : 'down',
        draining: lifecycle.draining(),
      }),
    },
    metrics: { observe: metrics.httpRequest, expose: metrics.expose },
    logger,
  });
  const keepAliveMs = config.http.keepAliveSeconds * 1000;
  const isEmbedded = peer && config.mongoUrl === undefined && !config.production;
  const listener = isEmbedded ? await playable(app, peer) : app;
  const server = createHttpServer(listener, config.http, { keepAliveMs }, (refusal) =>
    log.info(refusal, 'request refused unread'),
  );
  let address: AddressInfo | undefined;

  // Started from top to bottom, stopped from bottom to top.
  const lifecycle = createLifecycle(
    [
      { name: 'store', start: store.start, stop: store.close },
      { name: 'broker connection', start: bus.start, stop: bus.close },
      { name: 'backlog watch', ...backlogWatch },
      { name: 'relay', ...core.relay },
      { name: 'parked messages', ...core.parkedMessages },
      { name: 'expiry sweep', ...core.expirySweep },
      { name: 'subscriptions', start: core.subscribe, stop: core.stopReceiving },
      {
        name: 'http',
        start: async () => {
          address = await server.start();
        },
        stop: server.stop,
      },
    ],
    { deadlineMs: config.shutdownSeconds * 1000, log },
  );

  return {
    app,
    async start() {
      await lifecycle.start();
      if (!address) throw new Error('stopped while starting');
      return address;
    },
    stop: lifecycle.stop,
    embedded: peer && config.mongoUrl === undefined ? { peer, tickets: store.tickets } : undefined,
  };

  async function chooseStore() {
    const common = { replicaId, leaseMs: LEASE_MS, clock: ticking, log };
    if (config.mongoUrl === undefined) {
      const { createMemoryDatabase, connectMemoryStore } = await import('../adapters/memory/store.js');
      metrics.setDatabase(true);
      return connectMemoryStore(createMemoryDatabase(), { ...common, clock: systemClock });
    }
    const { createMongoStore } = await import('../adapters/mongo/store.js');
    return createMongoStore({
      ...common,
      url: config.mongoUrl,
      onReadyChange(ready) {
        metrics.setDatabase(ready);
        core.databaseChanged(ready);
      },
      onRetry: metrics.retried,
    });
  }

  async function chooseBus(): Promise<{ bus: Bus; peer?: Publisher }> {
    const { url, queueGroup, clientId } = config.nats;
    if (url !== undefined) return { bus: await natsStreamingBus(url) };
    const { createMemoryBroker } = await import('../adapters/memory/bus.js');
    metrics.setBroker(true);
    const broker = createMemoryBroker({
      clock,
      log,
      redeliveryWaitSeconds: config.nats.redeliveryWaitSeconds,
    });
    const peer = broker.connect({ clientId: 'ticket-service', queueGroup: 'ticket-service' });
    peer.start();
    return { bus: broker.connect({ clientId, queueGroup }), peer };
  }

  async function natsStreamingBus(url: string): Promise<Bus> {
    const { createNatsStreamingBus } = await import('../adapters/nats-streaming/bus.js');
    return createNatsStreamingBus({
      ...natsSettings(config.nats),
      url,
      clock,
      log,
      onConnectionChange: metrics.setBroker,
      onRetry: () => metrics.retried('broker_connection'),
    });
  }
}

/** Where nothing is real, nobody else could play the other services. */
async function playable(app: RequestListener, peer: Publisher): Promise<RequestListener> {
  const { withDevelopmentRoute } = await import('../demo/development-route.js');
  return withDevelopmentRoute(app, (subject, data) => peer.publish(subject, data, randomUUID()));
}

/** Starts with the time in seconds, so that new orders sit side by side in the index; the rest is chance. */
function newId(): string {
  const seconds = Math.floor(Date.now() / 1000) >>> 0;
  return seconds.toString(16).padStart(8, '0') + randomBytes(8).toString('hex');
}

/** Made once: turning a text into a key for every token costs more than the verification. */
function jwtKeys({ jwt }: Config) {
  return [jwt.key, jwt.previousKey]
    .filter((key) => key !== undefined)
    .map((key) => createSecretKey(Buffer.from(key, 'utf8')));
}
