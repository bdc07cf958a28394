import { connectPeer, type Peer } from '../support/nats-peer';
import { newId } from '../support/new-id';
import { eventually } from '../support/eventually';
import { startMongod } from '../support/mongod';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import { describeWith } from '../support/servers';
import {
  ordersClient,
  startService,
  type OrdersClient,
  type ServiceProcess,
} from '../support/service-process';

describeWith(['mongod', 'nats-streaming-server'], 'an order among its peers', () => {
  let mongod: Awaited<ReturnType<typeof startMongod>>;
  let nats: Awaited<ReturnType<typeof startNatsStreamingServer>>;
  let service: ServiceProcess;
  let peer: Peer;
  let buyer: OrdersClient;

  beforeAll(async () => {
    [mongod, nats] = await Promise.all([startMongod(), startNatsStreamingServer()]);
    service = await startService({ MONGO_URL: mongod.url, NATS_URL: nats.url });
    peer = await connectPeer(nats.url);
    buyer = ordersClient(service.url, 'buyer');
    await eventually(async () => expect(await service.ready()).toBe(true));
  });

  afterAll(async () => {
    await peer?.close();
    expect(await service?.kill('SIGTERM')).toBe(0);
    await Promise.all([nats?.stop(), mongod?.stop()]);
  });

  async function announceTicket(version = 0, id = newId()): Promise<string> {
    const ticket = { id, version, title: 'Concert', price: 10 + version, userId: 'seller' };
    await peer.publish(version === 0 ? 'ticket:created' : 'ticket:updated', ticket);
    return id;
  }

  async function place(client = buyer): Promise<{ orderId: string; ticketId: string }> {
    const ticketId = await announceTicket();
    const placed = await eventually(async () => {
      const response = await client.place(ticketId);
      expect(response.status).toBe(201);
      return response.body;
    });
    return { orderId: placed.id, ticketId };
  }

  const pay = (orderId: string, id = newId()) =>
    peer.publish('payment:created', { id, orderId, stripeId: `stripe-${id}` });

  const statusOf = async (orderId: string) => (await buyer.show(orderId)).body;

  async function eventsOf(subject: string, orderId: string) {
    const history = await peer.history(subject);
    return eventually(() => {
      const found = history.filter(({ data }) => data.id === orderId || data.orderId === orderId);
      expect(found).not.toEqual([]);
      return found;
    });
  }

  it('is announced when it is placed and complete when it is paid', async () => {
    const { orderId, ticketId } = await place();
    const [created] = await eventsOf('order:created', orderId);
    expect(created?.data).toEqual({
      id: orderId,
      version: 0,
      status: 'created',
      userId: 'buyer',
      expiresAt: expect.stringMatching(/^\d{4}-.*Z$/),
      ticket: { id: ticketId, price: 10 },
    });
    await pay(orderId);
    await eventually(async () =>
      expect(await statusOf(orderId)).toMatchObject({ status: 'complete', version: 1 }),
    );
    expect((await buyer.cancel(orderId)).status).toBe(409);
  });

  it('is cancelled at once when it expires, and its ticket can be ordered again', async () => {
    const { orderId, ticketId } = await place();
    await peer.publish('expiration:complete', { orderId });
    await eventually(async () => {
      expect(await statusOf(orderId)).toMatchObject({ status: 'cancelled', reason: 'expired', version: 1 });
    });
    const [cancelled] = await eventsOf('order:cancelled', orderId);
    expect(cancelled?.data).toEqual({ id: orderId, version: 1, ticket: { id: ticketId } });
    expect((await ordersClient(service.url, 'another').place(ticketId)).status).toBe(201);
  });

  it('is cancelled by its owner once, however often it is asked and whatever expires afterwards', async () => {
    const { orderId, ticketId } = await place();
    expect((await buyer.cancel(orderId)).status).toBe(204);
    expect((await buyer.cancel(orderId)).status).toBe(204);
    const next = await ordersClient(service.url, 'another').place(ticketId);
    expect(next.status).toBe(201);
    await peer.publish('expiration:complete', { orderId });
    await peer.publish('expiration:complete', { orderId });
    const later = await place();
    await peer.publish('expiration:complete', { orderId: later.orderId });
    await eventsOf('order:cancelled', later.orderId);
    expect(await eventsOf('order:cancelled', orderId)).toHaveLength(1);
    expect((await ordersClient(service.url, 'another').show(next.body.id)).body.status).toBe('created');
  });

  it('stays cancelled when it is paid late, and asks for the refund once', async () => {
    const { orderId } = await place();
    await buyer.cancel(orderId);
    const paymentId = newId();
    await pay(orderId, paymentId);
    await pay(orderId, paymentId);
    const refunds = await eventsOf('order:refund-required', orderId);
    await pay(orderId, newId());
    await eventually(async () => expect(await eventsOf('order:refund-required', orderId)).toHaveLength(2));
    expect(refunds[0]?.data).toMatchObject({ orderId, paymentId, reason: 'late', paidInTime: true });
    expect(await statusOf(orderId)).toMatchObject({ status: 'cancelled', version: 3 });
  });

  it('is not changed by repeated payments, and asks for the refund of a second one', async () => {
    const { orderId } = await place();
    const first = newId();
    await pay(orderId, first);
    await pay(orderId, first);
    await eventually(async () => expect((await statusOf(orderId)).status).toBe('complete'));
    const second = newId();
    await pay(orderId, second);
    const refunds = await eventsOf('order:refund-required', orderId);
    expect(refunds.map(({ data }) => data)).toMatchObject([{ paymentId: second, reason: 'second' }]);
    expect(await statusOf(orderId)).toMatchObject({ status: 'complete', version: 2 });
  });

  it('sells the newest version of a ticket, in whatever order the versions came', async () => {
    const ticketId = newId();
    await announceTicket(2, ticketId);
    await announceTicket(0, ticketId);
    await announceTicket(1, ticketId);
    await announceTicket(2, ticketId);
    const afterwards = await place();
    expect(afterwards.orderId).toBeDefined();
    const placed = await buyer.place(ticketId);
    expect(placed.body.ticket).toMatchObject({ id: ticketId, price: 12 });
  });

  it('goes on after poison messages', async () => {
    await peer.publish('ticket:created', 'not json');
    await peer.publish('payment:created', { orderId: { $gt: '' } });
    await peer.publish('expiration:complete', { orderId: newId() });
    const { orderId } = await place();
    await pay(orderId);
    await eventually(async () => expect((await statusOf(orderId)).status).toBe('complete'));
  });

  it('replays the first answer to a repeated idempotency key, byte for byte', async () => {
    const ticketId = await announceTicket();
    const headers = { 'idempotency-key': 'once' };
    const first = await eventually(async () => {
      const response = await buyer.place(ticketId, headers);
      expect(response.status).toBe(201);
      return response;
    });
    await buyer.cancel(first.body.id);
    expect(await buyer.place(ticketId, headers)).toEqual(first);
  });
});
