import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  COUNTERS,
  GAUGES,
  HISTOGRAMS,
  createMetrics,
  type ServiceMetrics,
} from '../../src/observability/metrics';

const NOW = new Date('2026-01-01T00:01:00Z');

/** Each series of the service with its value, as a scrape sees it; those of Node itself are left out. */
async function scrape(metrics: ServiceMetrics): Promise<Map<string, number>> {
  const { contentType, body } = await metrics.expose();
  expect(contentType).toMatch(/^text\/plain; version=0\.0\.4/);
  return new Map(
    body
      .split('\n')
      .filter((line) => /^(order_service_|http_)/.test(line))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

/** What a call changes, against metrics to which nothing has happened. */
async function changesBy(call: (metrics: ServiceMetrics) => void): Promise<Record<string, number>> {
  const metrics = createMetrics();
  const before = await scrape(metrics);
  call(metrics);
  const after = await scrape(metrics);
  return Object.fromEntries([...after].filter(([series, value]) => before.get(series) !== value));
}

describe('the metrics', () => {
  it.each<[string, (metrics: ServiceMetrics) => void, Record<string, number>]>([
    [
      'orders by outcome',
      (metrics) => {
        metrics.orderOutcome('placed');
        metrics.orderOutcome('placed');
        metrics.orderOutcome('refused_reserved');
      },
      {
        'order_service_orders_total{outcome="placed"}': 2,
        'order_service_orders_total{outcome="refused_reserved"}': 1,
      },
    ],
    [
      'decisions by input, status and decision',
      (metrics) => metrics.decided('expire', 'complete', 'unchanged'),
      { 'order_service_decisions_total{input="expire",status="complete",decision="unchanged"}': 1 },
    ],
    [
      'refunds by reason',
      (metrics) => metrics.refundRequired('second'),
      { 'order_service_refunds_required_total{reason="second"}': 1 },
    ],
    [
      'attempts to publish by subject',
      (metrics) => metrics.publishAttempt('order:created'),
      { 'order_service_publish_attempts_total{subject="order:created"}': 1 },
    ],
    [
      'failures to publish by reason',
      (metrics) => metrics.publishFailure('timeout'),
      { 'order_service_publish_failures_total{reason="timeout"}': 1 },
    ],
    [
      'dead letters by subject',
      (metrics) => metrics.deadLettered('payment:created'),
      { 'order_service_dead_lettered_total{subject="payment:created"}': 1 },
    ],
    [
      'retries by operation',
      (metrics) => metrics.retried('insert'),
      { 'order_service_retries_total{operation="insert"}': 1 },
    ],
    [
      'expirations that came early',
      (metrics) => metrics.expiredEarly(),
      { order_service_early_expirations_total: 1 },
    ],
    [
      'log lines that were dropped',
      (metrics) => metrics.logLineDropped(),
      { order_service_log_lines_dropped_total: 1 },
    ],
    ['the broker', (metrics) => metrics.setBroker(true), { order_service_broker_up: 1 }],
    ['the database', (metrics) => metrics.setDatabase(true), { order_service_database_up: 1 }],
    [
      'what is put aside, by state',
      (metrics) => metrics.setFailedMessages({ parked: 3, dead: 7 }),
      {
        'order_service_dead_letters{state="parked"}': 3,
        'order_service_dead_letters{state="dead"}': 7,
      },
    ],
    [
      'what is to be published, and for how long',
      (metrics) => metrics.setBacklog({ pending: 4, oldest: new Date(NOW.getTime() - 12_500) }, NOW),
      { order_service_outbox_pending_orders: 4, order_service_outbox_oldest_age_seconds: 12.5 },
    ],
  ])('tell %s', async (_, call, expected) => {
    expect(await changesBy(call)).toEqual(expected);
  });

  it.each<[string, (metrics: ServiceMetrics) => void, string, string]>([
    [
      'requests',
      (metrics) => metrics.httpRequest('GET', '/x/:id', 404, 0.03),
      'http_request_duration_seconds',
      'method="GET",route="/x/:id",status="404"',
    ],
    [
      'messages',
      (metrics) => metrics.messageHandled('payment:created', 'park', 0.03),
      'order_service_message_duration_seconds',
      'subject="payment:created",verdict="park"',
    ],
  ])('tell how long %s take, in buckets of seconds', async (_, call, name, labels) => {
    const changes = await changesBy(call);
    expect(changes[`${name}_count{${labels}}`]).toBe(1);
    expect(changes[`${name}_sum{${labels}}`]).toBe(0.03);
    expect(changes[`${name}_bucket{le="0.05",${labels}}`]).toBe(1);
    expect(changes[`${name}_bucket{le="0.025",${labels}}`]).toBe(0);
    expect(changes[`${name}_bucket{le="0.001",${labels}}`]).toBe(0);
    expect(changes[`${name}_bucket{le="5",${labels}}`]).toBe(1);
  });

  it('show an age of 0 where nothing waits, and where what waits is of a later time', async () => {
    const metrics = createMetrics();
    const age = async () => (await scrape(metrics)).get('order_service_outbox_oldest_age_seconds');
    metrics.setBacklog({ pending: 1, oldest: new Date(NOW.getTime() - 1_000) }, NOW);
    expect(await age()).toBe(1);
    metrics.setBacklog({ pending: 1, oldest: new Date(NOW.getTime() + 1_000) }, NOW);
    expect(await age()).toBe(0);
    metrics.setBacklog({ pending: 1, oldest: new Date(NOW.getTime() - 1_000) }, NOW);
    metrics.setBacklog({ pending: 0 }, NOW);
    expect(await age()).toBe(0);
  });

  it.each(['setBroker', 'setDatabase'] as const)('show by %s what is lost again', async (set) => {
    const changes = await changesBy((metrics) => {
      metrics[set](true);
      metrics[set](false);
    });
    expect(changes).toEqual({});
  });

  it('show what alerts look at from zero on', async () => {
    const series = [...(await scrape(createMetrics()))]
      .filter(([, value]) => value === 0)
      .map(([name]) => name);
    expect(series).toEqual(
      expect.arrayContaining([
        'order_service_refunds_required_total{reason="late"}',
        'order_service_refunds_required_total{reason="second"}',
        'order_service_publish_failures_total{reason="disconnected"}',
        'order_service_publish_failures_total{reason="timeout"}',
        'order_service_publish_failures_total{reason="refused"}',
      ]),
    );
  });

  it('tell which build they are of', async () => {
    const { version } = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as {
      version: string;
    };
    const name = `order_service_build_info{version="${version}",node="${process.versions.node}"}`;
    expect((await scrape(createMetrics())).get(name)).toBe(1);
  });

  it('of two services in one process are their own', async () => {
    const [one, other] = [createMetrics(), createMetrics()];
    one.logLineDropped();
    expect((await scrape(other)).get('order_service_log_lines_dropped_total')).toBe(0);
  });
});

describe('what else names metrics', () => {
  const defined = new Map(
    [HISTOGRAMS, COUNTERS, GAUGES].flatMap((kind) =>
      Object.values(kind).map(([name, , ...labels]) => [name, labels.join()] as const),
    ),
  );
  const read = (path: string) => readFileSync(join(__dirname, '../..', path), 'utf8');

  it('is the table of docs/operations.md, with all of them and their labels', () => {
    const rows = [
      ...read('docs/operations.md').matchAll(/^\| (`(?:order_service|http)_.*?) \| (.*?) ?\| /gm),
    ];
    const inTable = rows.flatMap(([, names = '', labels = '']) => {
      const named = labels
        .split('; ')
        .flatMap((one) => (one.includes(':') ? one.slice(0, one.indexOf(':')) : one.split(', ')));
      return [...names.matchAll(/`(\w+)`/g)].map(
        ([, name]) => [name, named.join().replaceAll('`', '')] as const,
      );
    });

    expect(new Map(inTable)).toEqual(defined);
  });

  it.each(['templates/prometheusrule.yaml', 'dashboards/order-service.json'])('is helm: %s', (file) => {
    const text = read(`helm/order-service/${file}`);
    const used = [...text.matchAll(/\b(order_service_\w+|http_request_duration_seconds\w*)/g)].map(([name]) =>
      name.replace(/_(bucket|count|sum)$/, ''),
    );

    expect(used).not.toEqual([]);
    expect([...new Set(used)].filter((name) => !defined.has(name))).toEqual([]);
  });
});
