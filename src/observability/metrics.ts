import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { FailedMessages } from '../application/failed-messages';
import type { Metrics, Outbox } from '../application/ports';
import { readBuild } from './build';

export interface ServiceMetrics extends Metrics {
  httpRequest(method: string, route: string, status: number, seconds: number): void;
  logLineDropped(): void;
  setBroker(up: boolean): void;
  setDatabase(up: boolean): void;
  setBacklog(backlog: Awaited<ReturnType<Outbox['backlog']>>, now: Date): void;
  setFailedMessages(count: Awaited<ReturnType<FailedMessages['count']>>): void;
  setOpenRefunds(count: number): void;
  expose(): Promise<{ contentType: string; body: string }>;
}

/** Name, help and labels. */
type Definition = readonly [name: string, help: string, ...labels: string[]];

const defined = <Key extends string>(definitions: Record<Key, Definition>) => definitions;

/** Durations in seconds. */
export const HISTOGRAMS = defined({
  http: ['http_request_duration_seconds', 'HTTP requests, by route template', 'method', 'route', 'status'],
  messages: ['order_service_message_duration_seconds', 'Handling of messages', 'subject', 'verdict'],
});
export const COUNTERS = defined({
  orders: ['order_service_orders_total', 'Orders by outcome', 'outcome'],
  decisions: [
    'order_service_decisions_total',
    'Decisions about orders, by input, status before and decision',
    ...['input', 'status', 'decision'],
  ],
  expiredEarly: [
    'order_service_early_expirations_total',
    'Orders that an ExpirationComplete cancelled long before their expiresAt',
  ],
  refunds: ['order_service_refunds_required_total', 'Payments that must be refunded', 'reason'],
  publishAttempts: ['order_service_publish_attempts_total', 'Attempts to publish an event', 'subject'],
  publishFailures: [
    'order_service_publish_failures_total',
    'Attempts to publish that were not acknowledged',
    'reason',
  ],
  deadLettered: ['order_service_dead_lettered_total', 'Messages that became dead letters', 'subject'],
  retries: ['order_service_retries_total', 'Operations that were retried', 'operation'],
  logLinesDropped: [
    'order_service_log_lines_dropped_total',
    'Log lines that were not written, because those before them were not read fast enough',
  ],
});
export const GAUGES = defined({
  failedMessages: [
    'order_service_dead_letters',
    'Failed messages: parked ones are tried again, dead letters wait for someone to replay them',
    'state',
  ],
  outboxPending: [
    'order_service_outbox_pending_orders',
    'Orders with events that are not published yet, counted up to 10,000',
  ],
  outboxAge: [
    'order_service_outbox_oldest_age_seconds',
    'Age of the oldest event that is not published yet; 0 when there is none',
  ],
  openRefunds: [
    'order_service_open_refunds',
    'Payments that must be refunded and are not yet, of up to 1,000 orders',
  ],
  broker: ['order_service_broker_up', '1 while connected to the broker'],
  database: ['order_service_database_up', '1 while the database answers and its indexes are verified'],
  build: ['order_service_build_info', 'Always 1; its labels are versions', 'version', 'node'],
});

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** All metrics of the service, in a registry of its own. */
export function createMetrics(): ServiceMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const { http, messages } = registered(
    HISTOGRAMS,
    (options) => new Histogram({ ...options, buckets: BUCKETS }),
  );
  const counters = registered(COUNTERS, (options) => new Counter(options));
  const gauges = registered(GAUGES, (options) => new Gauge(options));
  gauges.build.set({ ...readBuild() }, 1);
  // Starts at zero: a series that begins with its first event shows no increase.
  for (const reason of ['late', 'second']) counters.refunds.inc({ reason }, 0);
  for (const reason of ['disconnected', 'timeout', 'refused']) counters.publishFailures.inc({ reason }, 0);

  return {
    httpRequest: (method, route, status, seconds) => http.observe({ method, route, status }, seconds),
    messageHandled: (subject, verdict, seconds) => messages.observe({ subject, verdict }, seconds),
    ...counting(counters),
    ...setting(gauges),
    expose: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };

  function registered<Key extends string, Made>(
    definitions: Record<Key, Definition>,
    make: (options: { name: string; help: string; labelNames: string[]; registers: [Registry] }) => Made,
  ): Record<Key, Made> {
    const made = Object.entries<Definition>(definitions).map(([key, [name, help, ...labelNames]]) => {
      return [key, make({ name, help, labelNames, registers: [registry] })];
    });
    return Object.fromEntries(made) as Record<Key, Made>;
  }
}

function counting(of: Record<keyof typeof COUNTERS, Counter>) {
  return {
    orderOutcome: (outcome) => of.orders.inc({ outcome }),
    decided: (input, status, decision) => of.decisions.inc({ input, status, decision }),
    expiredEarly: () => of.expiredEarly.inc(),
    refundRequired: (reason) => of.refunds.inc({ reason }),
    publishAttempt: (subject) => of.publishAttempts.inc({ subject }),
    publishFailure: (reason) => of.publishFailures.inc({ reason }),
    deadLettered: (subject) => of.deadLettered.inc({ subject }),
    retried: (operation) => of.retries.inc({ operation }),
    logLineDropped: () => of.logLinesDropped.inc(),
  } satisfies Partial<ServiceMetrics>;
}

function setting(of: Record<keyof typeof GAUGES, Gauge>) {
  return {
    setBroker: (up) => of.broker.set(up ? 1 : 0),
    setDatabase: (up) => of.database.set(up ? 1 : 0),
    setBacklog({ pending, oldest }, now) {
      of.outboxPending.set(pending);
      of.outboxAge.set(oldest ? Math.max(0, (now.getTime() - oldest.getTime()) / 1000) : 0);
    },
    setOpenRefunds: (count) => of.openRefunds.set(count),
    setFailedMessages({ parked, dead }) {
      of.failedMessages.set({ state: 'parked' }, parked);
      of.failedMessages.set({ state: 'dead' }, dead);
    },
  } satisfies Partial<ServiceMetrics>;
}
