import { createSecretKey, randomBytes } from 'node:crypto';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Bus, Publisher } from '../application/bus';
import type { Clock, OrderStore, TicketStore } from '../application/ports';
import type { Config } from '../config/load-config';
import { createApp } from '../http/app';
import type { OrderUseCases } from '../http/orders';
import type { Readiness } from '../http/probes';
import { createHttpServer } from '../http/server';
import { createBacklogWatch } from '../observability/backlog-watch';
import type { ServiceLogger } from '../observability/logger';
import { createMetrics, type ServiceMetrics } from '../observability/metrics';
import { chooseBus, chooseStore } from './adapters';
import { ticking } from './clock';
import { createCore } from './core';
import { createLifecycle } from './lifecycle';

export interface Service {
  readonly app: RequestListener;
  /** Listens, and connects in the background for as long as it takes. */
  start(): Promise<AddressInfo>;
  /** Resolves to whether everything ended in order within the deadline. */
  stop(): Promise<boolean>;
  /** With an embedded store and broker: a connection like that of the ticket service, and the tickets it published. */
  readonly embedded: { readonly peer: Publisher; readonly tickets: Pick<TicketStore, 'find'> } | undefined;
}

/** Wrappers around adapters, for a build that tests what happens between them and the core. */
export interface Between {
  orders(orders: OrderStore): OrderStore;
  bus(bus: Bus): Bus;
}

export const NOTHING: Between = { orders: (orders) => orders, bus: (bus) => bus };

/** The composition root of the service. */
export async function compose(
  config: Config,
  { logger: log, onLineDropped }: Pick<ServiceLogger, 'logger' | 'onLineDropped'>,
  between = NOTHING,
): Promise<Service> {
  const metrics = createMetrics();
  onLineDropped(metrics.logLineDropped);
  const replicaId = `${config.nats.clientId}-${randomBytes(6).toString('hex')}`;
  const onReadyChange = (ready: boolean) => core.databaseChanged(ready);
  const store = await chooseStore(config.mongoUrl, replicaId, { metrics, log, onReadyChange });
  const clock: Clock = { ...ticking, now: store.now };
  const { bus, peer } = await chooseBus(config.nats, { clock, metrics, log });

  const core = createCore({
    store: { ...store, orders: between.orders(store.orders) },
    bus: between.bus(bus),
    clock,
    newId,
    metrics,
    log,
    expiration: config.expiration,
    maxOpenOrdersPerUser: config.maxOpenOrdersPerUser,
  });
  const ready = (): Readiness => ({
    database: store.ready() ? 'up' : 'down',
    broker: bus.available() ? 'up' : 'down',
    draining: lifecycle.draining(),
  });
  const app = httpApp(config, { useCases: core.useCases, ready, now: clock.now, metrics, log });
  const embedded = peer && config.mongoUrl === undefined ? { peer, tickets: store.tickets } : undefined;
  const listener =
    embedded && !config.production ? await playable(app, embedded.peer, config.http.basePath) : app;
  const server = httpServer(config.http, listener, log);
  let address: AddressInfo | undefined;
  const stopHttp = (): Promise<void> => {
    // The server waits for the requests in flight.
    core.endWaits();
    return server.stop();
  };

  // Started from top to bottom, stopped from bottom to top.
  const lifecycle = createLifecycle(
    [
      { name: 'store', start: store.start, stop: store.close },
      { name: 'broker connection', start: bus.start, stop: bus.close },
      { name: 'backlog watch', ...createBacklogWatch({ ...store, clock, metrics, log }) },
      { name: 'relay', ...core.relay },
      { name: 'parked messages', ...core.parkedMessages },
      { name: 'expiry sweep', ...core.expirySweep },
      { name: 'subscriptions', start: core.subscribe, stop: core.stopReceiving },
      { name: 'http', start: async () => void (address = await server.start()), stop: stopHttp },
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
    embedded,
  };
}

function httpApp(
  { http, jwt }: Config,
  deps: {
    readonly useCases: OrderUseCases;
    readonly ready: () => Readiness;
    readonly now: () => Date;
    readonly metrics: ServiceMetrics;
    readonly log: ServiceLogger['logger'];
  },
): RequestListener {
  // Made once: turning a text into a key for every token costs more than the verification.
  const keys = [jwt.key, jwt.previousKey]
    .filter((key) => key !== undefined)
    .map((key) => createSecretKey(Buffer.from(key, 'utf8')));
  return createApp({
    ...http,
    useCases: deps.useCases,
    session: { keys, now: deps.now },
    probes: { ready: deps.ready },
    metrics: { observe: deps.metrics.httpRequest, expose: deps.metrics.expose },
    logger: deps.log,
  });
}

function httpServer(http: Config['http'], listener: RequestListener, log: ServiceLogger['logger']) {
  return createHttpServer(listener, http, { keepAliveMs: http.keepAliveSeconds * 1000 }, (refusal) =>
    log.info(refusal, 'request refused unread'),
  );
}

/** With an embedded broker no other service can connect: a route takes their place. */
async function playable(app: RequestListener, peer: Publisher, basePath: string): Promise<RequestListener> {
  const { withDevelopmentRoute } = await import('../demo/development-route.js');
  return withDevelopmentRoute(app, peer.publish, basePath);
}

/** Starts with the time in seconds, so that new orders are adjacent in the index; the rest is random. */
function newId(): string {
  const seconds = Math.floor(Date.now() / 1000) >>> 0;
  return seconds.toString(16).padStart(8, '0') + randomBytes(8).toString('hex');
}
