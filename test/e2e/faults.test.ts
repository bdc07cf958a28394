import { sumOfSeries } from '../support/series';
import { newId } from '../support/new-id';
import { connectPeer, type Heard } from '../support/nats-peer';
import { eventually } from '../support/eventually';
import { startMongoProxy, type Command } from '../support/mongo-proxy';
import { startMongod } from '../support/mongod';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import { describeWith } from '../support/servers';
import {
  ordersClient,
  startService,
  type OrdersClient,
  type ServiceProcess,
} from '../support/service-process';

/** No more than the database serves in time, on a machine that is busy: cancellations share no round trips. */
const PROBES_AT_ONCE = 50;

describeWith(['mongod', 'nats-streaming-server'], 'when things fail', () => {
  let mongod: Awaited<ReturnType<typeof startMongod>>;
  let nats: Awaited<ReturnType<typeof startNatsStreamingServer>>;
  let services: ServiceProcess[] = [];
  const cleanUp: (() => Promise<void>)[] = [];

  beforeEach(async () => {
    services = [];
    [mongod, nats] = await Promise.all([startMongod(), startNatsStreamingServer()]);
  });

  afterEach(async () => {
    await Promise.all(services.map((service) => service.kill('SIGKILL')));
    for (const task of cleanUp.splice(0)) await task();
    await Promise.all([nats.stop(), mongod.stop()]);
  });

  async function start(
    clientId = 'order-service',
    env: Record<string, string> = {},
  ): Promise<ServiceProcess> {
    const service = await startService({
      MONGO_URL: mongod.url,
      NATS_URL: nats.url,
      NATS_CLIENT_ID: clientId,
      ...env,
    });
    services.push(service);
    return service;
  }

  /** When it does not come, what the service said tells why. */
  const ready = (service: ServiceProcess) =>
    eventually(async () => {
      if (!(await service.ready())) throw new Error(`not ready:\n${service.lines.slice(-20).join('\n')}`);
    }, 25_000);

  async function withPeer<T>(use: (peer: Awaited<ReturnType<typeof connectPeer>>) => Promise<T>): Promise<T> {
    const peer = await eventually(() => connectPeer(nats.url), 30_000);
    try {
      return await use(peer);
    } finally {
      await peer.close();
    }
  }

  async function announceTickets(service: ServiceProcess, count: number): Promise<string[]> {
    const ids = Array.from({ length: count }, newId);
    await withPeer((peer) =>
      Promise.all(
        ids.map((id) =>
          peer.publish('ticket:created', { id, version: 0, title: 'T', price: 1, userId: 's' }),
        ),
      ),
    );
    const prober = ordersClient(service.url, 'prober');
    for (let first = 0; first < count; first += PROBES_AT_ONCE) {
      await untilSold(prober, ids.slice(first, first + PROBES_AT_ONCE));
    }
    return ids;
  }

  /** A ticket that is known can be ordered; the probe is cancelled again, which leaves the ticket as it was. */
  const untilSold = (prober: OrdersClient, tickets: readonly string[]) =>
    eventually(async () => {
      const keyOf = (id: string) => ({ 'idempotency-key': `probe-${id}` });
      const probes = await Promise.all(tickets.map((id) => prober.place(id, keyOf(id))));
      expect(probes.map(({ status }) => status)).toEqual(tickets.map(() => 201));
      const cancelled = await Promise.all(probes.map(({ body }) => prober.cancel(body.id)));
      expect(cancelled.map(({ status }) => status)).toEqual(tickets.map(() => 204));
    }, 30_000);

  const orderEvents = (expectation: (heard: readonly Heard[]) => void) =>
    withPeer(async (peer) => {
      const heard = await peer.listen(['order:created', 'order:cancelled']);
      await eventually(() => expectation(heard), 40_000);
    });

  async function placeEach(buyer: OrdersClient, tickets: readonly string[]): Promise<string[]> {
    const placed = await Promise.all(tickets.map((id) => buyer.place(id)));
    expect(placed.map(({ status }) => status)).toEqual(tickets.map(() => 201));
    return placed.map(({ body }) => body.id);
  }

  /** Once each of the orders was shown, and is not waiting any more. */
  const statusesOnceDecided = (reader: OrdersClient, orders: readonly string[]) =>
    eventually(async () => {
      const shown = await Promise.all(orders.map((id) => reader.show(id)));
      expect(shown.map(({ status }) => status)).toEqual(orders.map(() => 200));
      const statuses = shown.map(({ body }) => body.status);
      expect(statuses).not.toContain('created');
      return statuses;
    }, 60_000);

  const complete = (orders: readonly string[]) => orders.map(() => 'complete');

  it('one ticket is sold to one of 120 people at three replicas', async () => {
    const replicas = await Promise.all(['a', 'b', 'c'].map((id) => start(id)));
    await Promise.all(replicas.map(ready));
    const [ticketId = ''] = await announceTickets(replicas[0]!, 1);
    const answers = await Promise.all(
      Array.from({ length: 120 }, (_, i) => ordersClient(replicas[i % 3]!.url, `user-${i}`).place(ticketId)),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(119);
  });

  it('an order placed while the broker is unavailable is announced after a crash, by the next process of its client id', async () => {
    const first = await start();
    await ready(first);
    const [ticketId = ''] = await announceTickets(first, 1);
    await nats.kill('SIGKILL');
    const placed = await ordersClient(first.url, 'buyer').place(ticketId);
    expect(placed.status).toBe(201);
    await first.kill('SIGKILL');
    await nats.restart();
    const second = await start();
    await orderEvents((heard) => expect(heard.map(({ data }) => data.id)).toContain(placed.body.id));
    expect((await ordersClient(second.url, 'buyer').show(placed.body.id)).body.status).toBe('created');
  });

  it('the API works on while the broker is unavailable, and everything is announced when it is back', async () => {
    const service = await start();
    await ready(service);
    const tickets = await announceTickets(service, 5);
    await nats.kill('SIGKILL');
    const buyer = ordersClient(service.url, 'buyer');
    const placed = await Promise.all(tickets.map((id) => buyer.place(id)));
    expect(placed.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
    expect((await buyer.cancel(placed[0]!.body.id)).status).toBe(204);
    const readiness = await fetch(`${service.url}/readyz`);
    expect([readiness.status, await readiness.json()]).toEqual([
      200,
      expect.objectContaining({ status: 'degraded' }),
    ]);
    await nats.restart();
    await orderEvents((heard) => {
      const ids = heard.map(({ subject, data }) => `${subject} ${data.id}`);
      for (const { body } of placed) expect(ids).toContain(`order:created ${body.id}`);
      expect(ids).toContain(`order:cancelled ${placed[0]!.body.id}`);
    });
  });

  it("a ticket's orders are announced one after the other, however many ended while the broker was unavailable", async () => {
    const service = await start();
    await ready(service);
    const tickets = await announceTickets(service, 8);
    await nats.kill('SIGKILL');
    const expected = new Map<string, string[]>();
    for (const ticketId of tickets) {
      const sequence: string[] = [];
      for (let turn = 0; turn < 4; turn += 1) {
        const buyer = ordersClient(service.url, `buyer-${turn}`);
        const { body } = await buyer.place(ticketId);
        sequence.push(`order:created ${body.id}`);
        if (turn === 3) break;
        await buyer.cancel(body.id);
        sequence.push(`order:cancelled ${body.id}`);
      }
      expected.set(ticketId, sequence);
    }
    await nats.restart();
    await withPeer(async (peer) => {
      const heard = await peer.listen(['order:created', 'order:cancelled']);
      await eventually(() => {
        for (const [ticketId, sequence] of expected) {
          const seen = heard
            .filter(({ data }) => data.ticket.id === ticketId)
            .map(({ subject, data }) => `${subject} ${data.id}`);
          expect(seen).toEqual(expect.arrayContaining(sequence));
        }
      }, 60_000);
      // Two channels have no order between them, so the broker's times tell.
      const firstAt = new Map<string, number>();
      for (const { subject, data, at } of heard) {
        const key = `${subject} ${data.id}`;
        firstAt.set(key, Math.min(firstAt.get(key) ?? Infinity, at));
      }
      for (const sequence of expected.values()) {
        const times = sequence.map((key) => firstAt.get(key) ?? NaN);
        expect(times).toEqual([...times].sort((a, b) => a - b));
      }
    });
  }, 90_000);

  it.each([1, 3])(
    '200 orders paid in time are complete, though they expired too while all replicas were down (%d)',
    async (count) => {
      const ids = Array.from({ length: count }, (_, i) => `replica-${i}`);
      const before = await Promise.all(ids.map((id) => start(id)));
      await Promise.all(before.map(ready));
      const tickets = await announceTickets(before[0]!, 200);
      const buyer = ordersClient(before[0]!.url, 'buyer');
      const orders = await placeEach(buyer, tickets);
      expect(await Promise.all(before.map((service) => service.kill('SIGTERM')))).toEqual(ids.map(() => 0));
      await withPeer(async (peer) => {
        for (const orderId of orders) {
          await peer.publish('expiration:complete', { orderId });
          await peer.publish('payment:created', { id: newId(), orderId, stripeId: 's' });
        }
      });
      const after = await Promise.all(ids.map((id) => start(id)));
      const reader = ordersClient(after[0]!.url, 'buyer');
      expect(await statusesOnceDecided(reader, orders)).toEqual(complete(orders));
    },
    120_000,
  );

  it('an order whose expiry was never announced is cancelled by the sweep', async () => {
    const service = await start('order-service', {
      EXPIRATION_WINDOW_SECONDS: '1',
      EXPIRATION_GRACE_SECONDS: '1',
    });
    await ready(service);
    const [ticketId = ''] = await announceTickets(service, 1);
    const buyer = ordersClient(service.url, 'buyer');
    const { body } = await buyer.place(ticketId);
    await eventually(async () => {
      expect((await buyer.show(body.id)).body).toMatchObject({ status: 'cancelled', reason: 'expired' });
    }, 30_000);
    await orderEvents((heard) => {
      const cancelled = heard.filter(
        ({ subject, data }) => subject === 'order:cancelled' && data.id === body.id,
      );
      expect(cancelled).toHaveLength(1);
    });
  });

  it('survives the loss and return of the database without a restart', async () => {
    const service = await start();
    await ready(service);
    const [first = '', second = ''] = await announceTickets(service, 2);
    const buyer = ordersClient(service.url, 'buyer');
    const placed = await buyer.place(first);
    await mongod.kill('SIGKILL');
    const refused = await buyer.place(second);
    expect(refused.status).toBe(503);
    expect((await fetch(`${service.url}/readyz`)).status).toBe(503);
    expect((await fetch(`${service.url}/livez`)).status).toBe(200);
    await withPeer((peer) =>
      peer.publish('payment:created', { id: newId(), orderId: placed.body.id, stripeId: 's' }),
    );
    await mongod.restart();
    await ready(service);
    await eventually(
      async () => expect((await buyer.show(placed.body.id)).body.status).toBe('complete'),
      20_000,
    );
    expect((await buyer.place(second)).status).toBe(201);
  }, 90_000);

  it('orders paid in time are complete, though the database was unavailable for longer than payments are waited for', async () => {
    const service = await start('order-service', {
      REDELIVERY_WAIT_SECONDS: '6',
      CATCH_UP_SECONDS: '7',
      CATCH_UP_LIMIT_SECONDS: '8',
    });
    await ready(service);
    const tickets = await announceTickets(service, 6);
    const buyer = ordersClient(service.url, 'buyer');
    const [unpaid = '', ...orders] = await placeEach(buyer, tickets);
    await withPeer((peer) => peer.publish('expiration:complete', { orderId: unpaid }));
    // Payments have been caught up on, so that nothing but those that come now keeps an order from expiring.
    expect(await statusesOnceDecided(buyer, [unpaid])).toEqual(['cancelled']);
    await mongod.kill('SIGKILL');
    await withPeer(async (peer) => {
      for (const orderId of orders)
        await peer.publish('payment:created', { id: newId(), orderId, stripeId: 's' });
    });
    // Each was delivered for the third time, without success: the expiry comes before the fourth.
    await eventually(async () => {
      const metrics = await (await fetch(`${service.url}/metrics`)).text();
      expect(paymentsNotHandled(metrics)).toBeGreaterThanOrEqual(3 * orders.length);
    }, 40_000);
    await mongod.restart();
    await ready(service);
    await withPeer(async (peer) => {
      for (const orderId of orders) await peer.publish('expiration:complete', { orderId });
    });
    expect(await statusesOnceDecided(buyer, orders)).toEqual(complete(orders));
  }, 120_000);

  it('starts before its dependencies and waits for them', async () => {
    await nats.kill('SIGKILL');
    await mongod.kill('SIGKILL');
    const service = await start();
    expect((await fetch(`${service.url}/readyz`)).status).toBe(503);
    expect((await fetch(`${service.url}/livez`)).status).toBe(200);
    await nats.restart();
    await mongod.restart();
    await ready(service);
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    expect(metrics).toMatch(/order_service_retries_total\{operation="broker_connection"\} [1-9]/);
    expect(metrics).toMatch(/order_service_broker_up 1/);
    expect(metrics).toMatch(/order_service_database_up 1/);
  });

  it('finishes what is in flight on SIGTERM and exits with 0', async () => {
    const proxy = await startMongoProxy(mongod.port);
    cleanUp.push(proxy.close);
    const service = await start('order-service', { MONGO_URL: `mongodb://127.0.0.1:${proxy.port}/orders` });
    await ready(service);
    const tickets = await announceTickets(service, 30);
    const buyer = ordersClient(service.url, 'buyer');
    // The database has stored the first of them, and does not say so before the service is told to stop.
    let answerNow = (): void => {};
    // Made before: the answer may come from the server after it was allowed.
    const allowed = new Promise<void>((resolve) => (answerNow = resolve));
    proxy.holdAnswerTo(
      (command) => command['insert'] === 'orders',
      () => allowed,
    );
    proxy.forget();
    const answers = Promise.all(tickets.map((id) => buyer.place(id)));
    answers.catch(() => {});
    await eventually(() => {
      expect(proxy.commands.filter((command) => command['insert'] === 'orders')).not.toEqual([]);
      expect(ticketsAskedFor(proxy.commands)).toEqual(new Set(tickets));
    });

    const exited = service.kill('SIGTERM');
    await eventually(() => expect(service.lines.join()).toContain('"stopping"'));
    answerNow();

    const placed = await answers;
    expect(placed.map(({ status }) => status)).toEqual(tickets.map(() => 201));
    expect(await exited).toBe(0);
    await orderEvents((heard) => {
      const announced = heard.map(({ data }) => data.id);
      expect(announced).toEqual(expect.arrayContaining(placed.map(({ body }) => body.id)));
    });
  });
});

/** Those whose requests have come as far as to the database. */
function ticketsAskedFor(commands: readonly Command[]): Set<string> {
  const questions = commands.filter((command) => command['find'] === 'tickets');
  return new Set(questions.flatMap(({ filter }) => (filter as TicketFilter)._id.$in.map(String)));
}

interface TicketFilter {
  readonly _id: { readonly $in: readonly unknown[] };
}

function paymentsNotHandled(metrics: string): number {
  const ofPayments = /subject="payment:created",verdict="retry"/;
  return sumOfSeries(metrics, 'order_service_message_duration_seconds_count', ofPayments);
}
