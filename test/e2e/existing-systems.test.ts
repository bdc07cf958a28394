import { mongo } from 'mongoose';
import { connectPeer, type Peer } from '../support/nats-peer';
import { newId } from '../support/new-id';
import { eventually } from '../support/eventually';
import { startMongod } from '../support/mongod';
import { withDatabase } from '../support/mongo-store';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import { describeWith } from '../support/servers';
import { ordersClient, startService, type ServiceProcess } from '../support/service-process';

/** What the order service of an earlier system stores. */
function foreignOrder(ticket: mongo.ObjectId, status: string) {
  return { userId: 'buyer', status, expiresAt: new Date(), ticket, version: 0 };
}

describeWith(['mongod', 'nats-streaming-server'], 'beside and after other order services', () => {
  let mongod: Awaited<ReturnType<typeof startMongod>>;
  let nats: Awaited<ReturnType<typeof startNatsStreamingServer>>;
  let peer: Peer;
  let services: ServiceProcess[] = [];

  beforeAll(async () => {
    [mongod, nats] = await Promise.all([startMongod(), startNatsStreamingServer()]);
    peer = await connectPeer(nats.url);
  });

  afterEach(async () => {
    await Promise.all(services.map((service) => service.kill('SIGTERM')));
    services = [];
  });

  afterAll(async () => {
    await peer?.close();
    await Promise.all([nats?.stop(), mongod?.stop()]);
  });

  /** With a database and a queue group of its own. */
  async function start(env: Record<string, string> = {}): Promise<ServiceProcess> {
    const service = await startService({
      MONGO_URL: withDatabase(mongod.url),
      NATS_URL: nats.url,
      NATS_CLIENT_ID: `client-${newId()}`,
      QUEUE_GROUP_NAME: `group-${newId()}`,
      ...env,
    });
    services.push(service);
    return service;
  }

  const ready = (service: ServiceProcess) =>
    eventually(async () => expect(await service.ready()).toBe(true), 20_000);

  const metric = async (service: ServiceProcess, name: string) => {
    const text = await (await fetch(`${service.url}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? NaN);
  };

  const announce = (ticket: { id: string; version: number; orderId?: string | null }) =>
    peer.publish(ticket.version === 0 ? 'ticket:created' : 'ticket:updated', {
      title: 'Concert',
      price: '12.50',
      ...ticket,
    });

  const place = (service: ServiceProcess, ticketId: string, status: number, user = 'buyer') =>
    eventually(async () => {
      const answer = await ordersClient(service.url, user).place(ticketId);
      expect(answer.status).toBe(status);
      return answer.body;
    }, 20_000);

  it('does not sell, serve or change anything in the database of another service, and says so once', async () => {
    const url = withDatabase(mongod.url);
    const client = await mongo.MongoClient.connect(url);
    try {
      const database = client.db();
      const ticket = new mongo.ObjectId();
      const orders = [
        foreignOrder(ticket, 'created'),
        foreignOrder(ticket, 'complete'),
        foreignOrder(new mongo.ObjectId(), 'cancelled'),
      ];
      await database.collection('tickets').insertOne({ _id: ticket, title: 'T', price: 1, version: 4 });
      await database.collection('orders').insertMany(orders);
      const content = async () => [
        await database.collection('orders').find().toArray(),
        await database.collection('orders').indexes(),
        await database.collection('tickets').find().toArray(),
        (await database.listCollections().toArray()).map(({ name }) => name).sort(),
      ];
      const before = await content();
      const [foreign] = await database.collection('orders').find().limit(1).toArray();
      const foreignId = foreign!._id.toHexString();
      await peer.publish('expiration:complete', { orderId: foreignId });
      await peer.publish('payment:created', { id: 'p', orderId: foreignId });

      const service = await start({ MONGO_URL: url });
      const found = () => service.lines.filter((line) => line.includes('data of another service'));
      await eventually(() => expect(found()).toHaveLength(1), 20_000);
      await eventually(async () =>
        expect(
          await metric(service, 'order_service_retries_total\\{operation="database_connection"\\}'),
        ).toBeGreaterThan(3),
      );

      expect((await fetch(`${service.url}/readyz`)).status).toBe(503);
      const buyer = ordersClient(service.url, 'buyer');
      const statuses = [
        await buyer.place(ticket.toHexString()),
        await buyer.show(foreignId),
        await buyer.cancel(foreignId),
      ].map(({ status }) => status);
      expect(statuses).toEqual([503, 503, 503]);
      expect(await content()).toEqual(before);
      expect(found()).toHaveLength(1);
      expect(JSON.parse(found()[0]!)).toMatchObject({
        level: 'error',
        collection: 'orders',
        count: 3,
        example: foreignId,
        msg: expect.stringMatching(/3 documents in "orders".*database of its own.*MONGO_URL/),
      });
      expect(service.lines.filter((line) => /"status":500|dead/.test(line))).toEqual([]);
    } finally {
      await client.close();
    }
  }, 60_000);

  it('does not sell what was sold elsewhere, though it hears of it from the beginning, until it is freed', async () => {
    const id = newId();
    const elsewhere = newId();
    await announce({ id, version: 0 });
    await announce({ id, version: 1, orderId: elsewhere });
    const service = await start();
    await ready(service);

    const refused = await place(service, id, 409);
    expect(refused).toMatchObject({ code: 'reserved-elsewhere' });
    await place(service, id, 409, 'another');
    const warnings = service.lines.filter((line) => line.includes(elsewhere));
    expect(warnings.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({ level: 'warn', ticketId: id, heldForOrderId: elsewhere }),
    ]);
    expect(
      await metric(service, 'order_service_orders_total\\{outcome="refused_elsewhere"\\}'),
    ).toBeGreaterThanOrEqual(2);

    await announce({ id, version: 2 });
    const order = await place(service, id, 201);
    expect(order.ticket).toMatchObject({ id, price: 12.5 });

    // As the ticket service does with each order: that is ours, and changes nothing.
    await announce({ id, version: 3, orderId: order.id });
    await announce({ id: newId(), version: 0 });
    expect(await place(service, id, 409, 'another')).toMatchObject({
      code: 'ticket-reserved',
    });
    expect((await ordersClient(service.url, 'buyer').cancel(order.id)).status).toBe(204);
    await place(service, id, 201, 'another');
  }, 60_000);

  it('hears what waited in the broker once, when it starts before its database is ready', async () => {
    const ids = Array.from({ length: 20 }, newId);
    for (const id of ids) await announce({ id, version: 0 });
    await mongod.kill('SIGSTOP');
    const service = await start({ REDELIVERY_WAIT_SECONDS: '60', CATCH_UP_SECONDS: '61' });
    try {
      await eventually(async () => expect(await metric(service, 'order_service_broker_up')).toBe(1), 20_000);
    } finally {
      await mongod.kill('SIGCONT');
    }
    await ready(service);
    for (const id of ids) await place(service, id, 201);
    const refused =
      'order_service_message_duration_seconds_count\\{subject="ticket:created",verdict="retry"\\}';
    const heard = 'order_service_message_duration_seconds_count\\{subject="ticket:created",verdict="done"\\}';
    expect(await metric(service, heard)).toBeGreaterThanOrEqual(20);
    expect(await metric(service, refused)).toBeNaN();
  }, 60_000);

  it('keeps one charge that comes under two ids, in either state, and reports an expiry that comes too early', async () => {
    const service = await start();
    await ready(service);
    const [first = '', second = ''] = [newId(), newId()];
    await announce({ id: first, version: 0 });
    await announce({ id: second, version: 0 });
    const kept = await place(service, first, 201);
    const late = await place(service, second, 201);
    await peer.publish('expiration:complete', { orderId: late.id });
    const buyer = ordersClient(service.url, 'buyer');
    await eventually(async () => expect((await buyer.show(late.id)).body.status).toBe('cancelled'));
    expect(await metric(service, 'order_service_early_expirations_total')).toBe(1);
    expect(service.lines.filter((line) => line.includes('long before its expiresAt'))).toHaveLength(1);

    for (const { id: orderId } of [kept, late]) {
      await peer.publish('payment:created', { id: `${orderId}-1`, orderId, stripeId: `charge-${orderId}` });
      await peer.publish('payment:created', { id: `${orderId}-2`, orderId, stripeId: `charge-${orderId}` });
    }
    // Each payment is a change: cancelled or complete, and one for each name of the charge.
    await eventually(async () =>
      expect((await buyer.show(kept.id)).body).toMatchObject({ status: 'complete', version: 2 }),
    );
    await eventually(async () =>
      expect((await buyer.show(late.id)).body).toMatchObject({ status: 'cancelled', version: 3 }),
    );
    const refunds = await eventually(async () => {
      const history = await peer.history('order:refund-required');
      expect(history.length).toBeGreaterThan(0);
      return history.map(({ data }) => [data.orderId, data.paymentId]);
    });
    expect(refunds).toEqual([[late.id, expect.stringMatching(`^${late.id}-[12]$`)]]);
  }, 60_000);
});
