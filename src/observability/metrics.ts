import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { FailedMessages, Metrics, Outbox } from '../application/ports';
import { readBuild } from './build';

export interface ServiceMetrics extends Metrics {
  httpRequest(method: string, route: string, status: number, seconds: number): void;
  logLineDropped(): void;
  setBroker(up: boolean): void;
  setDatabase(up: boolean): void;
  setBacklog(backlog: Awaited<ReturnType<Outbox['backlog']>>, now: Date): void;
  setFailedMessages(count: Awaited<ReturnType<FailedMessages['count']>>): void;
  expose(): Promise<{ contentType: string; body: string }>;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** All metrics of the service, in a registry of its own. */
export function createMetrics(): ServiceMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const http = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Duration of HTTP requests by method, route template and status',
    labelNames: ['method', 'route', 'status'],
    buckets: SECONDS,
    registers,
  });
  const messages = new Histogram({
    name: 'order_service_message_duration_seconds',
    help: 'Duration of handling messages by subject and verdict',
    labelNames: ['subject', 'verdict'],
    buckets: SECONDS,
    registers,
  });
  const orders = new Counter({
    name: 'order_service_orders_total',
    help: 'Orders by outcome',
    labelNames: ['outcome'],
    registers,
  });
  const decisions = new Counter({
    name: 'order_service_decisions_total',
    help: 'What inputs met which status of an order, and what was decided',
    labelNames: ['input', 'status', 'decision'],
    registers,
  });
  const expiredEarly = new Counter({
    name: 'order_service_early_expirations_total',
    help: 'Orders that an ExpirationComplete cancelled long before their expiresAt',
    registers,
  });
  const refunds = new Counter({
    name: 'order_service_refunds_required_total',
    help: 'Payments that must be given back, by reason',
    labelNames: ['reason'],
    registers,
  });
  const publishAttempts = new Counter({
    name: 'order_service_publish_attempts_total',
    help: 'Attempts to publish an event, by subject',
    labelNames: ['subject'],
    registers,
  });
  const publishFailures = new Counter({
    name: 'order_service_publish_failures_total',
    help: 'Attempts to publish that were not acknowledged, by reason',
    labelNames: ['reason'],
    registers,
  });
  const deadLettered = new Counter({
    name: 'order_service_dead_lettered_total',
    help: 'Messages that became dead letters, by subject',
    labelNames: ['subject'],
    registers,
  });
  const retries = new Counter({
    name: 'order_service_retries_total',
    help: 'Operations tried again, by operation',
    labelNames: ['operation'],
    registers,
  });
  const logLinesDropped = new Counter({
    name: 'order_service_log_lines_dropped_total',
    help: 'Log lines that were not written, because those before them were not read fast enough',
    registers,
  });
  const failedMessages = new Gauge({
    name: 'order_service_dead_letters',
    help: 'Messages put aside: parked ones are tried again, dead ones wait for someone to replay them',
    labelNames: ['state'],
    registers,
  });
  const outboxPending = new Gauge({
    name: 'order_service_outbox_pending_orders',
    help: 'Orders with events that are not published yet, counted up to 10,000',
    registers,
  });
  const outboxAge = new Gauge({
    name: 'order_service_outbox_oldest_age_seconds',
    help: 'Age of the oldest event that is not published yet; 0 when there is none',
    registers,
  });
  const broker = new Gauge({
    name: 'order_service_broker_up',
    help: '1 while connected to the broker',
    registers,
  });
  const database = new Gauge({
    name: 'order_service_database_up',
    help: '1 while the database answers and its indexes are verified',
    registers,
  });

  new Gauge({
    name: 'order_service_build_info',
    help: 'Always 1; the labels are the versions of the service and of Node',
    labelNames: ['version', 'node'],
    registers,
  }).set({ ...readBuild() }, 1);

  // From zero on: a series that begins with its first event shows no increase.
  for (const reason of ['late', 'second']) refunds.inc({ reason }, 0);
  for (const reason of ['disconnected', 'timeout', 'refused']) publishFailures.inc({ reason }, 0);

  return {
    httpRequest: (method, route, status, seconds) => http.observe({ method, route, status }, seconds),
    messageHandled: (subject, verdict, seconds) => messages.observe({ subject, verdict }, seconds),
    orderOutcome: (outcome) => orders.inc({ outcome }),
    decided: (input, status, decision) => decisions.inc({ input, status, decision }),
    expiredEarly: () => expiredEarly.inc(),
    refundRequired: (reason) => refunds.inc({ reason }),
    publishAttempt: (subject) => publishAttempts.inc({ subject }),
    publishFailure: (reason) => publishFailures.inc({ reason }),
    deadLettered: (subject) => deadLettered.inc({ subject }),
    retried: (operation) => retries.inc({ operation }),
    logLineDropped: () => logLinesDropped.inc(),
    setBroker: (up) => broker.set(up ? 1 : 0),
    setDatabase: (up) => database.set(up ? 1 : 0),
    setBacklog({ pending, oldest }, now) {
      outboxPending.set(pending);
      outboxAge.set(oldest ? Math.max(0, (now.getTime() - oldest.getTime()) / 1000) : 0);
    },
    setFailedMessages({ parked, dead }) {
      failedMessages.set({ state: 'parked' }, parked);
      failedMessages.set({ state: 'dead' }, dead);
    },
    expose: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };
}
