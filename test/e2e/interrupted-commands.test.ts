import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { mongo } from 'mongoose';
import { eventually } from '../support/eventually';
import { startMongoStore, untilReady } from '../support/mongo-store';
import { startMongod } from '../support/mongod';
import { connectPeer, type Peer } from '../support/nats-peer';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import { newId, newPlacement } from '../support/placements';
import { ORDER_SERVICE, runProgram, startProgram } from '../support/run-program';
import { freePort, type ServerProcess } from '../support/server-process';
import { describeWith } from '../support/servers';

const ORDERS = 600;
const UNKNOWN = 50;

describeWith(['mongod', 'nats-streaming-server'], 'a command that ends half-way', () => {
  let mongod: ServerProcess;
  let nats: ServerProcess;
  let monitorPort: number;
  let peer: Peer;
  let client: mongo.MongoClient;
  let env: Record<string, string>;
  let folder: string;

  beforeEach(async () => {
    monitorPort = await freePort();
    [mongod, nats] = await Promise.all([
      startMongod(),
      startNatsStreamingServer(['-m', String(monitorPort)]),
    ]);
    env = { MONGO_URL: mongod.url, NATS_URL: nats.url };
    peer = await connectPeer(nats.url);
    client = await mongo.MongoClient.connect(mongod.url);
    folder = mkdtempSync(join(tmpdir(), 'interrupted-'));
  });

  afterEach(async () => {
    await client?.close();
    await peer?.close();
    await Promise.all([nats?.stop(), mongod?.stop()]);
    if (folder) rmSync(folder, { recursive: true });
  });

  const orders = () => client.db().collection('orders');
  const run = (...args: string[]) => runProgram([ORDER_SERVICE, ...args], env);

  /** Orders of tickets of their own; no service publishes their events. */
  async function placeOrders() {
    const store = startMongoStore({ url: mongod.url });
    await untilReady(store);
    const placements = Array.from({ length: ORDERS }, () => newPlacement({ withLease: false }));
    await Promise.all(placements.map((placement) => store.orders.insert(placement)));
    await store.close();
    return placements;
  }

  /** Starts it, and ends it with the signal once `isHalfWay`. */
  async function interrupt(
    args: readonly string[],
    signal: NodeJS.Signals,
    isHalfWay: () => void | Promise<void>,
  ) {
    const child = startProgram([ORDER_SERVICE, ...args], env);
    const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    const stderr = text(child.stderr);
    child.stdout.resume();
    await eventually(isHalfWay, 20_000);
    child.kill(signal);
    const [code, by] = await closed;
    return { code, by, stderr: await stderr };
  }

  describe('outbox republish', () => {
    it.each([
      ['SIGKILL', { code: null, by: 'SIGKILL' }],
      ['SIGINT', { code: 130, by: null }],
    ] as const)(
      'after %s: run again, it publishes all, and changes nothing in the database',
      async (signal, ended) => {
        const placements = await placeOrders();
        await orders().updateMany({}, { $set: { 'publishing.next': 1, 'publishing.pending': 0 } });
        const before = await orders().find().sort({ _id: 1 }).toArray();
        const heard = await peer.listen(['order:created']);

        const interrupted = await interrupt(['outbox', 'republish', '--all'], signal, () =>
          expect(heard.length).toBeGreaterThan(50),
        );
        expect(interrupted).toMatchObject(ended);
        await nothingMoreIn(heard);
        const firstRun = heard.length;
        expect(firstRun).toBeLessThan(ORDERS);

        const again = await run('outbox', 'republish', '--all', '--json');
        expect(again).toMatchObject({ code: 0, stdout: `{"republished":${ORDERS}}\n` });
        await eventually(() => expect(heard).toHaveLength(firstRun + ORDERS));
        const texts = heard.slice(firstRun).map((event) => event.text);
        expect(texts.sort()).toEqual(placements.map(({ events }) => events[0]!.data).sort());
        expect(await orders().find().sort({ _id: 1 }).toArray()).toEqual(before);
      },
      60_000,
    );

    /** The channel holds what the broker took before the end of the command. */
    async function nothingMoreIn(heard: readonly unknown[]): Promise<void> {
      const stored = await peer.wholeChannel('order:created');
      await eventually(() => expect(heard).toHaveLength(stored.length));
    }
  });

  it('events inject after SIGKILL: run again, it finishes; a third run changes nothing', async () => {
    const placements = await placeOrders();
    const file = join(folder, 'payments.ndjson');
    const payments = [
      ...placements.map(({ order }, i) => ({ id: `payment ${i}`, orderId: order.id })),
      ...Array.from({ length: UNKNOWN }, (_, i) => ({ id: `early ${i}`, orderId: newId() })),
    ];
    writeFileSync(file, payments.map((payment) => `${JSON.stringify(payment)}\n`).join(''));
    const inject = ['events', 'inject', 'payment:created', file];
    const complete = () => orders().countDocuments({ status: 'complete' });

    const interrupted = await interrupt(inject, 'SIGKILL', async () =>
      expect(await complete()).toBeGreaterThan(50),
    );
    expect(interrupted).toMatchObject({ code: null, by: 'SIGKILL' });
    expect(await complete()).toBeLessThan(ORDERS);

    const again = await run(...inject);
    expect(again.code).toBe(3);
    expect(again.stderr).toMatch(
      new RegExp(`^(\\d+ lines handled ...\n)*${ORDERS} done, ${UNKNOWN} parked\n$`),
    );
    const everything = async () => ({
      orders: await orders().find().sort({ _id: 1 }).toArray(),
      parked: await client.db().collection('dead_letters').find().sort({ _id: 1 }).toArray(),
    });
    const after = await everything();
    expect(after.parked).toHaveLength(UNKNOWN);
    expect(
      after.orders.map(({ status, version, payments: paid }) => ({
        status,
        version,
        paid: (paid as unknown[]).length,
      })),
    ).toEqual(Array.from({ length: ORDERS }, () => ({ status: 'complete', version: 1, paid: 1 })));

    expect((await run(...inject)).code).toBe(3);
    expect(await everything()).toEqual(after);
  }, 120_000);

  it('Ctrl-C closes its connection to the broker, so that nothing of it is left there', async () => {
    await placeOrders();
    await orders().updateMany({}, { $set: { 'publishing.next': 1, 'publishing.pending': 0 } });
    const heard = await peer.listen(['order:created']);
    const clients = async () => {
      const answer = await fetch(`http://127.0.0.1:${monitorPort}/streaming/clientsz`);
      const { clients: all } = (await answer.json()) as { clients: { id: string }[] };
      return all.filter(({ id }) => id.includes('operator'));
    };
    const { code, stderr } = await interrupt(['outbox', 'republish', '--all'], 'SIGINT', async () => {
      expect(heard.length).toBeGreaterThan(10);
      expect(await clients()).toHaveLength(1);
    });

    expect({ code, stderr }).toEqual({ code: 130, stderr: 'interrupted: run it again to finish\n' });
    expect(await clients()).toEqual([]);
  }, 60_000);
});
