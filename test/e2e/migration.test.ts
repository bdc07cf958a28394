import { mongo } from 'mongoose';
import { createChance } from '../support/chance';
import { eventually } from '../support/eventually';
import { withDatabase } from '../support/mongo-store';
import { startMongod } from '../support/mongod';
import { connectPeer, type Heard, type Peer } from '../support/nats-peer';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import { createOldDatabase } from '../support/old-system';
import { createOldMarketplace, type OldMarketplace } from '../support/old-marketplace';
import { ORDER_SERVICE, runProgram } from '../support/run-program';
import type { ServerProcess } from '../support/server-process';
import { describeWith } from '../support/servers';
import { ordersClient, startService, type ServiceProcess } from '../support/service-process';

const TICKETS = 60;
const BUYERS = 8;

describeWith(['mongod', 'nats-streaming-server'], 'the migration of an existing system', () => {
  let mongod: ServerProcess;
  let nats: ServerProcess;
  let peer: Peer;
  let client: mongo.MongoClient;
  let service: ServiceProcess | undefined;
  let old: Awaited<ReturnType<typeof createOldDatabase>>;
  let market: OldMarketplace;

  beforeAll(async () => {
    [mongod, nats] = await Promise.all([startMongod(), startNatsStreamingServer()]);
    [peer, client] = await Promise.all([connectPeer(nats.url), mongo.MongoClient.connect(mongod.url)]);
    old = await createOldDatabase(withDatabase(mongod.url), { orders: [], tickets: [] });
    market = await createOldMarketplace(peer, old);
  });

  afterAll(async () => {
    await service?.kill('SIGTERM');
    await market?.stop();
    await Promise.all([old?.close(), client?.close(), peer?.close()]);
    await Promise.all([nats?.stop(), mongod?.stop()]);
  });

  it('gives every ticket one owner, keeps every peer in agreement, and says nothing twice', async () => {
    const url = withDatabase(mongod.url);
    const env = { PATH: process.env['PATH']!, MONGO_URL: url, OLD_MONGO_URL: old.url };
    const runImport = () =>
      runProgram([ORDER_SERVICE, 'import', '--json', '--rejected', '-', '--cancel-conflicts'], env);
    const chance = createChance(16);

    // The old service sells, and is imported while it still runs.
    const tickets = await market.announceTickets(TICKETS);
    await market.sellAsBefore(tickets.slice(0, TICKETS / 2), chance);
    const first = await runImport();
    expect(first).toMatchObject({ code: 0, stderr: expect.stringMatching(/^(\d+ \w+ read( \.\.\.)?\n)*$/) });
    await market.sellAsBefore(tickets.slice(0, TICKETS / 2), chance);
    // Sold twice, as it happens there: one of the two buyers has paid, or both.
    const conflicts = await market.sellTwice(tickets.slice(TICKETS / 2, TICKETS / 2 + 4));
    await market.settled();
    market.stopOldService();
    // It has stopped.
    const oldEvents = {
      created: (await channel('order:created')).length,
      cancelled: (await channel('order:cancelled')).length,
    };
    expect(oldEvents.created).toBeGreaterThan(TICKETS / 2);
    expect(oldEvents.cancelled).toBeGreaterThan(5);

    // The last import; the new service starts, with a new queue group.
    const before = await old.content();
    const last = await runImport();
    expect(last).toMatchObject({ code: 0, stderr: expect.stringMatching(/^(\d+ \w+ read( \.\.\.)?\n)*$/) });
    const report = JSON.parse(last.stdout) as { orders: Record<string, number>; conflicts: unknown[] };
    expect(report.conflicts).toHaveLength(4);
    expect(report.orders['imported']).toBeGreaterThan(5);
    expect(report.orders['updated']).toBeGreaterThan(2);
    expect(await old.content()).toEqual(before);
    service = await startService({
      MONGO_URL: url,
      NATS_URL: nats.url,
      NATS_CLIENT_ID: 'orders',
      QUEUE_GROUP_NAME: 'order-service',
      EXPIRATION_WINDOW_SECONDS: '10',
      EXPIRATION_GRACE_SECONDS: '1',
    });
    const { url: api, ready } = service;
    await eventually(async () => expect(await ready()).toBe(true), 20_000);

    // The second half of the load: everyone wants every ticket.
    const bought: string[] = [];
    for (const ticket of tickets) {
      const answers = await Promise.all(
        Array.from({ length: BUYERS }, (_, n) => ordersClient(api, `new-${n}`).place(ticket)),
      );
      for (const { status, body } of answers) {
        expect([201, 409]).toContain(status);
        if (status !== 201) continue;
        bought.push(body.id);
        // At once: in time on a slow machine too.
        if (chance.happens(0.5)) await market.pay(body.id);
      }
    }
    expect(bought.length).toBeGreaterThan(10);
    // All that is open expires, old orders too.
    await eventually(async () => {
      const open = await orders().countDocuments({ status: { $in: ['created', 'awaiting:payment'] } });
      expect(open).toBe(0);
    }, 60_000);
    await eventually(
      async () => expect(await orders().countDocuments({ 'publishing.pending': { $gt: 0 } })).toBe(0),
      60_000,
    );
    await market.settled();

    await expectOneOwner(tickets);
    await expectAgreement();
    await expectNothingTwice(oldEvents, conflicts);

    function orders() {
      return client.db(new URL(url).pathname.slice(1)).collection('orders');
    }

    async function expectOneOwner(ids: readonly string[]): Promise<void> {
      const complete = await orders().find({ status: 'complete' }).toArray();
      expect(complete.length).toBeGreaterThan(10);
      const owners = new Map<string, number>();
      for (const { ticket } of complete) {
        const id = String((ticket as { id: unknown }).id);
        owners.set(id, (owners.get(id) ?? 0) + 1);
      }
      expect([...owners].filter(([, count]) => count > 1)).toEqual([]);
      expect([...owners.keys()].every((id) => ids.includes(id))).toBe(true);
      // Whoever has paid in the old system has the ticket still, or a refund.
      for (const { _id } of paidIn(before)) {
        const kept = await orders().findOne({ _id: _id as never });
        const isRefunded = (kept?.['payments'] as { refund?: string }[]).some(({ refund }) => refund);
        expect(kept?.['status'] === 'complete' || isRefunded).toBe(true);
      }
    }

    async function expectAgreement(): Promise<void> {
      const all = await orders().find().toArray();
      for (const { _id, status } of all) {
        const atPayments = market.orders.get(String(_id));
        expect(atPayments).toBeDefined();
        // A payment service does not hear that an order is complete: it knows that it was cancelled, or not.
        expect([String(_id), atPayments?.status]).toEqual([
          String(_id),
          status === 'cancelled' ? 'cancelled' : 'created',
        ]);
      }
      expect(market.unmatched).toEqual([]);
      for (const [ticketId, { orderId }] of market.tickets) {
        const owner = all.find(
          (order) =>
            String((order['ticket'] as { id: unknown }).id) === ticketId && order['status'] === 'complete',
        );
        // What a conflict does at the ticket service is described in docs/migrating.md.
        if (conflicts.some((one) => one.ticketId === ticketId)) continue;
        expect([ticketId, orderId]).toEqual([ticketId, owner && String(owner._id)]);
      }
    }

    async function expectNothingTwice(
      { created, cancelled }: { created: number; cancelled: number },
      doubles: readonly { losers: readonly string[]; paidLosers: readonly string[] }[],
    ): Promise<void> {
      const newlyCreated = (await channel('order:created')).slice(created);
      expect(newlyCreated.map(({ data }) => data.id).sort()).toEqual([...bought].sort());
      const cancellations = (await channel('order:cancelled')).map(({ data }) => data.id);
      expect(new Set(cancellations).size).toBe(cancellations.length);
      expect(cancellations.slice(cancelled)).toEqual(
        expect.arrayContaining(doubles.flatMap(({ losers }) => losers)),
      );
      const refunds = (await channel('order:refund-required')).map(({ data }) => [
        data.orderId,
        data['paymentId'],
      ]);
      const expected = doubles.flatMap(({ paidLosers }) => paidLosers);
      expect(expected.length).toBeGreaterThan(0);
      expect(refunds.map(([orderId]) => orderId).sort()).toEqual([...expected].sort());
      for (const [orderId, paymentId] of refunds) {
        expect(market.paymentsOf(String(orderId))).toContain(paymentId);
      }
    }
  }, 240_000);

  async function channel(subject: string): Promise<readonly Heard[]> {
    const stored = await peer.wholeChannel(subject);
    return stored.map((one) => ({ ...one, data: JSON.parse(one.text) as Heard['data'] }));
  }
});

/** The orders that were paid in the old system. */
function paidIn(content: unknown): { _id: unknown }[] {
  const collections = content as { name: string; documents: { _id: unknown; status: string }[] }[];
  const orders = collections.find(({ name }) => name === 'orders')?.documents ?? [];
  return orders.filter(({ status }) => status === 'complete');
}
