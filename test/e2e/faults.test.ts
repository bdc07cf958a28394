import { randomBytes } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { connectPeer } from '../support/nats-peer';
import type { Heard } from '../support/nats-peer';
import { eventually } from '../support/eventually';
import { startMongod } from '../support/mongod';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import { describeWith } from '../support/servers';
import { ordersClient, startService } from '../support/service-process';
import type { ServiceProcess } from '../support/service-process';

const newId = () => randomBytes(12).toString('hex');

describeWith(['mongod', 'nats-streaming-server'], 'when things fail', () => {
  let mongod: Awaited<ReturnType<typeof startMongod>>;
  let nats: Awaited<ReturnType<typeof startNatsStreamingServer>>;
  let services: ServiceProcess[] = [];

  beforeEach(async () => {
    services = [];
    [mongod, nats] = await Promise.all([startMongod(), startNatsStreamingServer()]);
  });

  afterEach(async () => {
    await Promise.all(services.map((service) => service.kill('SIGKILL')));
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
    // A ticket that is known answers 409 or 201; the probe order is cancelled again.
    const prober = ordersClient(service.url, 'prober');
    await eventually(async () => {
      const probes = await Promise.all(
        ids.map((id) => prober.place(id, { 'idempotency-key': `probe-${id}` })),
      );
      expect(probes.every(({ status }) => status === 201)).toBe(true);
      await Promise.all(probes.map(({ body }) => prober.cancel(body.id)));
    }, 30_000);
    return ids;
  }

  const orderEvents = (expectation: (heard: readonly Heard[]) => void) =>
    withPeer(async (peer) => {
      const heard = await peer.listen(['order:created', 'order:cancelled']);
      await eventually(() => expectation(heard), 40_000);
    });

  const statusesOnceDecided = (reader: ReturnType<typeof ordersClient>, orders: readonly string[]) =>
    eventually(async () => {
      const statuses = await Promise.all(orders.map(async (id) => (await reader.show(id)).body.status));
      expect(statuses).not.toContain('created');
      return statuses;
    }, 60_000);

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

  it('an order placed while the broker is away is announced after a crash, by the next process', async () => {
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

  it('the API works on while the broker is away, and everything is announced when it is back', async () => {
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

  it("a ticket's orders are announced one after the other, however many ended while the broker was away", async () => {
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
      const orders = await Promise.all(tickets.map(async (id) => (await buyer.place(id)).body.id));
      expect(await Promise.all(before.map((service) => service.kill('SIGTERM')))).toEqual(ids.map(() => 0));
      await withPeer(async (peer) => {
        for (const orderId of orders) {
          await peer.publish('expiration:complete', { orderId });
          await peer.publish('payment:created', { id: newId(), orderId, stripeId: 's' });
        }
      });
      const after = await Promise.all(ids.map((id) => start(id)));
      const reader = ordersClient(after[0]!.url, 'buyer');
      const outcome = await statusesOnceDecided(reader, orders);
      expect(outcome.filter((status) => status === 'cancelled')).toEqual([]);
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

  it('orders paid in time are complete, though the database was away for longer than payments are waited for', async () => {
    const limitSeconds = 8;
    const service = await start('order-service', {
      REDELIVERY_WAIT_SECONDS: '6',
      CATCH_UP_SECONDS: '7',
      CATCH_UP_LIMIT_SECONDS: String(limitSeconds),
    });
    await ready(service);
    const tickets = await announceTickets(service, 5);
    const buyer = ordersClient(service.url, 'buyer');
    const orders = await Promise.all(tickets.map(async (id) => (await buyer.place(id)).body.id));
    // Until the subscriptions have been up for as long, too.
    await setTimeout(limitSeconds * 1_000);
    await mongod.kill('SIGKILL');
    await withPeer(async (peer) => {
      for (const orderId of orders)
        await peer.publish('payment:created', { id: newId(), orderId, stripeId: 's' });
    });
    // Until they have been delivered in vain for the third time: the expiry comes before the fourth.
    await setTimeout(12_500);
    await mongod.restart();
    await ready(service);
    await withPeer(async (peer) => {
      for (const orderId of orders) await peer.publish('expiration:complete', { orderId });
    });
    const outcome = await statusesOnceDecided(buyer, orders);
    expect(outcome.filter((status) => status === 'cancelled')).toEqual([]);
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

  it('takes over a client id that a crashed process left behind', async () => {
    const first = await start();
    await ready(first);
    await first.kill('SIGKILL');
    const second = await start();
    await ready(second);
  });

  it('finishes what is in hand on SIGTERM and exits with 0', async () => {
    const service = await start();
    await ready(service);
    const tickets = await announceTickets(service, 30);
    const buyer = ordersClient(service.url, 'buyer');
    const answers = Promise.allSettled(tickets.map((id) => buyer.place(id)));
    const code = await service.kill('SIGTERM');
    expect(code).toBe(0);
    const placed = (await answers).flatMap((answer) =>
      answer.status === 'fulfilled' && answer.value.status === 201 ? [answer.value.body.id] : [],
    );
    await orderEvents((heard) => {
      expect(heard.map(({ data }) => data.id)).toEqual(expect.arrayContaining(placed));
    });
  });
});
