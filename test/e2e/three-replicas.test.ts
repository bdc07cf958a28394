import { connectPeer, type Peer } from '../support/nats-peer';
import { newId } from '../support/new-id';
import { eventually } from '../support/eventually';
import { startMongod } from '../support/mongod';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import { describeWith } from '../support/servers';
import { ordersClient, startService, type ServiceProcess } from '../support/service-process';

const LIMIT = 4;
const TICKETS = 50;

describeWith(['mongod', 'nats-streaming-server'], 'three replicas', () => {
  let mongod: Awaited<ReturnType<typeof startMongod>>;
  let nats: Awaited<ReturnType<typeof startNatsStreamingServer>>;
  let replicas: ServiceProcess[];
  let peer: Peer;

  beforeAll(async () => {
    [mongod, nats] = await Promise.all([startMongod(), startNatsStreamingServer()]);
    const start = (clientId: string) =>
      startService({
        MONGO_URL: mongod.url,
        NATS_URL: nats.url,
        NATS_CLIENT_ID: clientId,
        MAX_OPEN_ORDERS_PER_USER: String(LIMIT),
      });
    replicas = await Promise.all(['a', 'b', 'c'].map(start));
    peer = await connectPeer(nats.url);
    await Promise.all(
      replicas.map((replica) => eventually(async () => expect(await replica.ready()).toBe(true), 25_000)),
    );
  });

  afterAll(async () => {
    await peer?.close();
    await Promise.all((replicas ?? []).map((replica) => replica.kill('SIGTERM')));
    await Promise.all([nats?.stop(), mongod?.stop()]);
  });

  /** Tickets that are known and free: each was ordered by a user of its own, who cancelled. */
  async function announceTickets(count: number): Promise<string[]> {
    const ids = Array.from({ length: count }, newId);
    for (const id of ids) {
      await peer.publish('ticket:created', { id, version: 0, title: 'T', price: 1, userId: 'seller' });
    }
    await Promise.all(
      ids.map((id, i) =>
        eventually(async () => {
          const prober = ordersClient(replicas[i % 3]!.url, `prober of ${id}`);
          const { status, body } = await prober.place(id);
          expect(status).toBe(201);
          expect((await prober.cancel(body.id)).status).toBe(204);
        }, 20_000),
      ),
    );
    return ids;
  }

  const buyerAt = (replica: number, userId = 'buyer') => ordersClient(replicas[replica % 3]!.url, userId);

  async function placeAll(tickets: readonly string[], headers: (id: string) => Record<string, string>) {
    const answers = await Promise.all(tickets.map((id, i) => buyerAt(i).place(id, headers(id))));
    return answers.map((answer, i) => ({ ...answer, ticketId: tickets[i]! }));
  }

  type Answers = Awaited<ReturnType<typeof placeAll>>;

  const withStatus = (answers: Answers, status: number) =>
    answers.filter((answer) => answer.status === status);

  function expectAtTheLimit(answers: Answers, placed: number): void {
    expect(withStatus(answers, 201)).toHaveLength(placed);
    const refused = withStatus(answers, 409).map(({ body }) => (body as unknown as { type: string }).type);
    expect(refused).toHaveLength(answers.length - placed);
    for (const type of refused) expect(type).toMatch(/\btoo-many-open-orders$/);
  }

  it('with MAX_OPEN_ORDERS_PER_USER let a user have as many open orders as allowed, however many are placed at once, and free each place that ends', async () => {
    const tickets = await announceTickets(TICKETS);
    const keyOf = (id: string) => ({ 'idempotency-key': `key-of-${id}` });

    const first = await placeAll(tickets, keyOf);
    expectAtTheLimit(first, LIMIT);
    expect(withStatus(await placeAll(tickets, () => ({})), 201)).toEqual([]);

    // Repeated keys get their 201, and the second click of a double click the order of the first, at the limit too.
    const [one, two, three, four] = withStatus(first, 201);
    const repeated = await placeAll(tickets, keyOf);
    expect(withStatus(repeated, 201)).toEqual(withStatus(first, 201));
    const twice = await buyerAt(1).place(one!.ticketId);
    expect(twice).toMatchObject({ status: 409, body: { orderId: one!.body.id } });

    const open = withStatus(first, 409).map(({ ticketId }) => ticketId);
    const statusIs = (orderId: string, status: string) =>
      eventually(async () => expect((await buyerAt(0).show(orderId)).body.status).toBe(status), 30_000);
    const endings: [string, string, () => Promise<unknown>][] = [
      [one!.body.id, 'cancelled', () => buyerAt(2).cancel(one!.body.id)],
      [
        two!.body.id,
        'complete',
        () => peer.publish('payment:created', { id: newId(), orderId: two!.body.id }),
      ],
      [three!.body.id, 'cancelled', () => peer.publish('expiration:complete', { orderId: three!.body.id })],
    ];
    for (const [orderId, status, end] of endings) {
      await end();
      await statusIs(orderId, status);
      expectAtTheLimit(await placeAll(open.splice(0, 12), () => ({})), 1);
    }
    expect((await buyerAt(0).show(four!.body.id)).body.status).toBe('created');
  });

  // Without being told, the waiting requests would be answered after 30 seconds.
  it('answer those who wait for an order, wherever it was cancelled or paid', async () => {
    const tickets = await announceTickets(3);
    const placed = await Promise.all(tickets.map((id, i) => buyerAt(i, 'eve').place(id)));
    const [cancelled, paid, other] = placed.map(({ body }) => body.id);
    const waitAt = (replica: number, orderId = '') =>
      buyerAt(replica, 'eve').show(`${orderId}?wait=30`, { 'if-none-match': '"0"' });
    const waiting = Array.from({ length: 60 }, (_, i) => waitAt(i, i < 30 ? cancelled : paid));

    await buyerAt(1, 'eve').cancel(cancelled!);
    await peer.publish('payment:created', { id: newId(), orderId: paid });

    const answers = await Promise.all(waiting);
    const statuses = answers.map(({ body }) => body.status);
    expect(new Set(statuses.slice(0, 30))).toEqual(new Set(['cancelled']));
    expect(new Set(statuses.slice(30))).toEqual(new Set(['complete']));
    expect((await buyerAt(0, 'eve').show(other!)).body.status).toBe('created');
  }, 20_000);

  it('count each user alone', async () => {
    const tickets = await announceTickets(2 * LIMIT);

    const answers = await Promise.all(tickets.map((id, i) => buyerAt(i, i % 2 ? 'ann' : 'bob').place(id)));

    expect(answers.map(({ status }) => status)).toEqual(tickets.map(() => 201));
  });
});
