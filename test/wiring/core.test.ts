import { connectMemoryStore, createMemoryDatabase } from '../../src/adapters/memory/store';
import { PublishFailed, type Bus, type Message, type Subscription } from '../../src/application/bus';
import type { Metrics } from '../../src/application/ports';
import { LEASE_MS } from '../../src/application/relay';
import { createCore } from '../../src/wiring/core';
import { createMetrics } from '../../src/observability/metrics';
import { createTestClock } from '../support/clock';
import { eventId, REQUEST } from '../support/placements';
import { silentLog, silentMetrics } from '../support/silent';
import { hearer, receiver } from '../support/subscriptions';

const TICKET = { id: 'f'.repeat(24), version: 0, title: 'T', price: 1, userId: 'seller' };
const EXPIRATION = { windowSeconds: 900, graceSeconds: 60, catchUpSeconds: 15, catchUpLimitSeconds: 600 };

/** A broker that a test speaks for. */
function createBus() {
  const bus = {
    isUp: true,
    published: [] as string[],
    /** Called with each event before the broker takes it; may throw. */
    onPublish: (_subject: string): void => undefined,
    subscriptions: [] as readonly Subscription[],
  };
  const port: Bus = {
    start() {},
    close: () => Promise.resolve(),
    available: () => bus.isUp,
    async publish(subject, data) {
      bus.onPublish(subject);
      bus.published.push(eventId(data));
      return Promise.resolve();
    },
    onAvailable() {},
    subscribe: (subscriptions) => void (bus.subscriptions = subscriptions),
    stopReceiving: () => Promise.resolve(),
  };
  return { bus, port };
}

async function setUp(measured: Partial<Metrics> = {}) {
  const clock = createTestClock();
  const store = connectMemoryStore(createMemoryDatabase(), { replicaId: 'r', clock, leaseMs: LEASE_MS });
  const { bus, port } = createBus();
  const retried: string[] = [];
  let ids = 0;
  const core = createCore({
    store,
    bus: port,
    clock,
    newId: () => (ids += 1).toString(16).padStart(24, '0'),
    metrics: { ...silentMetrics, retried: (operation) => retried.push(operation), ...measured },
    log: silentLog,
    expiration: EXPIRATION,
    maxOpenOrdersPerUser: 0,
  });
  await store.tickets.apply(TICKET);
  core.subscribe();
  const place = async () => {
    const result = await core.useCases.placeOrder({ userId: 'buyer', ticketId: TICKET.id, cause: REQUEST });
    if (result.type !== 'placed') throw new Error(result.type);
    return result.order;
  };
  let sequence = 0;
  const message = (subject: string, data: object): Message => ({
    subject,
    sequence: (sequence += 1),
    publishedAt: clock.now(),
    redelivered: false,
    data: Buffer.from(JSON.stringify(data)),
  });
  /** What becomes of an order whose expiry is announced now. */
  const expire = async (orderId: string) => {
    const received = receiver(bus.subscriptions)(message('expiration:complete', { orderId }));
    await clock.advance(2_000);
    await received;
    return (await store.orders.find(orderId))?.order.status;
  };
  const change = (mode: Subscription['mode'], isUp: boolean, subject = 'payment:created') =>
    bus.subscriptions.find((one) => one.mode === mode && one.subject === subject)?.onChange?.(isUp);
  const subscribed = () => {
    change('group', true);
    change('watch', true);
  };
  return { clock, store, bus, core, place, message, expire, change, subscribed, retried };
}

describe('the core', () => {
  it('hears the subjects of its peers, and all payments that an order can still be waiting for', async () => {
    const { bus } = await setUp();
    expect(bus.subscriptions).toEqual([
      expect.objectContaining({ mode: 'group', subject: 'ticket:created' }),
      expect.objectContaining({ mode: 'group', subject: 'ticket:updated' }),
      expect.objectContaining({ mode: 'group', subject: 'expiration:complete' }),
      expect.objectContaining({ mode: 'group', subject: 'payment:created' }),
      expect.objectContaining({
        mode: 'watch',
        subject: 'payment:created',
        sinceMs: (900 + 60 + 600) * 1_000,
      }),
    ]);
  });

  it('lets orders expire once both subscriptions to payments have been up for long enough', async () => {
    const { clock, place, expire, subscribed } = await setUp();
    const { id } = await place();
    subscribed();
    await clock.advance(12_000);
    expect(await expire(id)).toBe('created');
    await clock.advance(15_000);
    expect(await expire(id)).toBe('cancelled');
  });

  it('counts no other subject as a subscription to payments', async () => {
    const { clock, change, place, expire } = await setUp();
    const { id } = await place();
    change('group', true, 'ticket:created');
    change('watch', true);
    await clock.advance(60_000);
    expect(await expire(id)).toBe('created');
    change('group', true);
    await clock.advance(60_000);
    change('group', false, 'ticket:created');
    expect(await expire(id)).toBe('cancelled');
  });

  it.each(['group', 'watch'] as const)('lets none expire while its %s is down', async (which) => {
    const { clock, change, place, expire, subscribed } = await setUp();
    const { id } = await place();
    subscribed();
    await clock.advance(60_000);
    change(which, false);
    await clock.advance(60_000);
    expect(await expire(id)).toBe('created');
  });

  it('lets none expire whose payment it has heard, whichever replica is to handle it', async () => {
    const { clock, bus, place, message, expire, subscribed } = await setUp();
    const { id } = await place();
    subscribed();
    await clock.advance(60_000);
    hearer(bus.subscriptions)(message('payment:created', { id: 'p', orderId: id, stripeId: 's' }));
    expect(await expire(id)).toBe('created');
  });

  it('lets none expire for time without the database', async () => {
    const { clock, core, place, expire, subscribed } = await setUp();
    const { id } = await place();
    subscribed();
    core.databaseChanged(false);
    await clock.advance(60_000);
    core.databaseChanged(true);
    expect(await expire(id)).toBe('created');
    await clock.advance(60_000);
    expect(await expire(id)).toBe('cancelled');
  });

  it('knows the next turn of a ticket until the database was lost', async () => {
    const { core, place, retried } = await setUp();
    const cancelled = await place();
    await core.useCases.cancelOrder({ userId: 'buyer', orderId: cancelled.id, cause: REQUEST });
    const next = await place();
    expect(retried).toEqual([]);
    await core.useCases.cancelOrder({ userId: 'buyer', orderId: next.id, cause: REQUEST });
    core.databaseChanged(true);
    core.databaseChanged(false);
    await place();
    expect(retried).toEqual(['place']);
  });

  it('publishes what it places and changes, in order, and takes no lease where it cannot', async () => {
    const { clock, bus, core, place, store } = await setUp();
    const first = await place();
    await core.useCases.cancelOrder({ userId: 'buyer', orderId: first.id, cause: REQUEST });
    await clock.advance(0);
    expect(bus.published).toEqual([`${first.id}:0`, `${first.id}:1`]);

    bus.isUp = false;
    const second = await place();
    expect(await store.outbox.claimable(10)).toMatchObject([{ orderId: second.id }]);
  });

  it('gives an order the time to be paid that it is told to', async () => {
    const { place, clock } = await setUp();
    expect((await place()).expiresAt).toEqual(new Date(clock.now().getTime() + 900_000));
  });

  it('sweeps overdue orders, and tries parked messages again', async () => {
    const { clock, bus, core, place, message, subscribed, store } = await setUp();
    const late = { id: 'p', orderId: 'e'.repeat(24), stripeId: 's' };
    const { id } = await place();
    subscribed();
    await receiver(bus.subscriptions)(message('payment:created', late));
    expect(await store.failedMessages.count()).toEqual({ parked: 1, dead: 0 });

    core.expirySweep.start();
    core.parkedMessages.start();
    await clock.advance((900 + 60) * 1_000 + 10_000);
    await Promise.all([core.expirySweep.stop(), core.parkedMessages.stop()]);

    expect((await store.orders.find(id))?.order).toMatchObject({ status: 'cancelled', reason: 'expired' });
    expect(await store.failedMessages.list(1)).toMatchObject([{ attempts: 10 }]);
  });

  it('counts what happened under the right name, once', async () => {
    const metrics = createMetrics();
    const { clock, bus, core, place, message, expire, subscribed } = await setUp(metrics);
    const { placeOrder, cancelOrder } = core.useCases;
    const pay = (orderId: string, id: string) =>
      receiver(bus.subscriptions)(message('payment:created', { id, orderId, stripeId: `stripe-${id}` }));

    await receiver(bus.subscriptions)(message('ticket:created', TICKET));
    await receiver(bus.subscriptions)(message('ticket:updated', { id: 'wrong' }));
    const cancelled = await place();
    await placeOrder({ userId: 'another', ticketId: TICKET.id, cause: REQUEST });
    await cancelOrder({ userId: 'stranger', orderId: cancelled.id, cause: REQUEST });
    await cancelOrder({ userId: 'buyer', orderId: cancelled.id, cause: REQUEST });
    await cancelOrder({ userId: 'buyer', orderId: cancelled.id, cause: REQUEST });
    await pay(cancelled.id, 'late');
    await clock.advance(0);
    subscribed();
    await clock.advance(60_000);
    expect(await expire((await place()).id)).toBe('cancelled');
    const complete = await place();
    for (const id of ['first', 'first', 'second']) await pay(complete.id, id);
    await pay('e'.repeat(24), 'early');
    await cancelOrder({ userId: 'buyer', orderId: complete.id, cause: REQUEST });
    await clock.advance(0);
    bus.onPublish = () => {
      throw new PublishFailed('refused', 'no');
    };
    await pay(complete.id, 'third');
    await clock.advance(0);

    const { body } = await metrics.expose();
    const counted = body
      .split('\n')
      .filter((line) => /^order_service_\w+_(total|count)\b/.test(line) && !line.endsWith(' 0'))
      .map((line) => line.replace(/^order_service_/, ''));
    expect(counted.sort()).toEqual([
      'dead_lettered_total{subject="ticket:updated"} 1',
      'decisions_total{input="cancel",status="cancelled",decision="unchanged"} 1',
      'decisions_total{input="cancel",status="complete",decision="refused"} 1',
      'decisions_total{input="cancel",status="created",decision="changed"} 1',
      'decisions_total{input="expire",status="created",decision="changed"} 1',
      'decisions_total{input="pay",status="cancelled",decision="changed"} 1',
      'decisions_total{input="pay",status="complete",decision="changed"} 2',
      'decisions_total{input="pay",status="complete",decision="unchanged"} 1',
      'decisions_total{input="pay",status="created",decision="changed"} 1',
      'early_expirations_total 1',
      'message_duration_seconds_count{subject="expiration:complete",verdict="done"} 1',
      'message_duration_seconds_count{subject="payment:created",verdict="done"} 5',
      'message_duration_seconds_count{subject="payment:created",verdict="park"} 1',
      'message_duration_seconds_count{subject="ticket:created",verdict="done"} 1',
      'message_duration_seconds_count{subject="ticket:updated",verdict="reject"} 1',
      'orders_total{outcome="cancelled_by_user"} 1',
      'orders_total{outcome="completed"} 1',
      'orders_total{outcome="expired"} 1',
      'orders_total{outcome="placed"} 3',
      'orders_total{outcome="refused_reserved"} 1',
      'publish_attempts_total{subject="order:cancelled"} 2',
      'publish_attempts_total{subject="order:created"} 3',
      'publish_attempts_total{subject="order:refund-required"} 3',
      'publish_failures_total{reason="refused"} 1',
      'refunds_required_total{reason="late"} 1',
      'refunds_required_total{reason="second"} 2',
    ]);
  });
});
