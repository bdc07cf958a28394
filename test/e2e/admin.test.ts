import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { mongo } from 'mongoose';
import { connectPeer, type Peer } from '../support/nats-peer';
import { newId } from '../support/new-id';
import { eventually } from '../support/eventually';
import { startMongod } from '../support/mongod';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import type { ServerProcess } from '../support/server-process';
import { describeWith } from '../support/servers';
import { JWT_KEY, ordersClient, startService, type ServiceProcess } from '../support/service-process';

const run = promisify(execFile);

describeWith(['mongod', 'nats-streaming-server'], "the operator's command line", () => {
  let mongod: ServerProcess;
  let nats: ServerProcess;
  let service: ServiceProcess;
  let peer: Peer;

  beforeAll(async () => {
    [mongod, nats] = await Promise.all([startMongod(), startNatsStreamingServer()]);
    service = await startService({ MONGO_URL: mongod.url, NATS_URL: nats.url });
    peer = await connectPeer(nats.url);
    await eventually(async () => expect(await service.ready()).toBe(true));
  });

  afterAll(async () => {
    await peer?.close();
    await service?.kill('SIGTERM');
    await Promise.all([nats?.stop(), mongod?.stop()]);
  });

  async function admin(...args: string[]): Promise<Record<string, unknown>[]> {
    const { stdout } = await run(
      process.execPath,
      [join(__dirname, '../../dist/bin/order-service.js'), ...args],
      {
        env: { PATH: process.env['PATH'], MONGO_URL: mongod.url, NATS_URL: nats.url, JWT_KEY },
      },
    );
    const lines = stdout.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  it('lists dead letters as they came, and replays one', async () => {
    await peer.publish('ticket:created', 'not json');
    const [one] = await eventually(async () => {
      const failed = await admin('dead-letters', 'list');
      expect(failed).toHaveLength(1);
      return failed;
    });
    expect(one).toMatchObject({ subject: 'ticket:created', data: 'not json', reason: 'is not JSON' });
    expect(one).not.toHaveProperty('retryAt');
    expect(await admin('dead-letters', 'replay', String(one?.['id']))).toEqual([{ replayed: 1 }]);
    await expect(admin('dead-letters', 'replay', 'unknown')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no dead letter unknown'),
    });
  });

  it("fills a broker again, each ticket's events in their order and to the byte", async () => {
    const ticketId = newId();
    await peer.publish('ticket:created', { id: ticketId, version: 0, title: 'T', price: 1, userId: 's' });
    const heard = await peer.listen(['order:created', 'order:cancelled']);
    for (const userId of ['first', 'second']) {
      const client = ordersClient(service.url, userId);
      const { body } = await eventually(async () => {
        const response = await client.place(ticketId);
        expect(response.status).toBe(201);
        return response;
      });
      await client.cancel(body.id);
    }
    const before = await eventually(() => {
      expect(heard).toHaveLength(4);
      return [...heard].sort((a, b) => a.at - b.at).map(({ text }) => text);
    });
    expect(await admin('outbox', 'republish', '--ticket', ticketId)).toEqual([{ republished: 4 }]);
    await eventually(() => expect(heard).toHaveLength(8));
    const again = heard.slice(4).sort((a, b) => a.at - b.at);
    expect(again.map(({ text }) => text)).toEqual(before);
  });

  it('lists the newest hundred dead letters, or as many as asked for, and replays all', async () => {
    const client = await mongo.MongoClient.connect(mongod.url);
    try {
      const failed = client.db().collection<{ _id: string }>('dead_letters');
      await failed.deleteMany({});
      await failed.insertMany(Array.from({ length: 130 }, (_, i) => letterOf(i)));

      expect((await admin('dead-letters', 'list')).map(({ sequence }) => sequence)).toEqual(newest(100));
      expect((await admin('dead-letters', 'list', '--limit', '125')).map(({ sequence }) => sequence)).toEqual(
        newest(125),
      );
      expect(await admin('dead-letters', 'replay', '--all')).toEqual([{ replayed: 130 }]);
      // More than one poll takes; none of them is right now either.
      await eventually(async () => {
        expect(await failed.countDocuments({ reason: 'is not JSON' })).toBe(130);
      }, 20_000);
    } finally {
      await client.close();
    }

    function letterOf(i: number) {
      const at = new Date(Date.UTC(2026, 0, 1, 0, 0, i));
      const one = { subject: 'ticket:created', data: '?', reason: 'was wrong', attempts: 1 };
      return { _id: `one ${i}`, ...one, sequence: i, publishedAt: at, at };
    }

    function newest(count: number): number[] {
      return Array.from({ length: count }, (_, i) => 129 - i);
    }
  });

  it('fills a broker again with all that was ever published', async () => {
    const [{ republished = 0 } = {}] = await admin('outbox', 'republish', '--all');
    expect(republished).toBeGreaterThan(0);
    const heard = await peer.listen(['order:created', 'order:cancelled']);
    await eventually(() => {
      const texts = heard.map(({ text }) => text);
      expect(new Set(texts).size).toBe(republished);
      for (const text of texts) expect(texts.filter((other) => other === text).length).toBeGreaterThan(1);
    });
  });

  it.each([
    [[]],
    [['dead-letters']],
    [['dead-letters', 'replay']],
    [['dead-letters', 'replay', 'x', '--all']],
    [['dead-letters', 'list', '--limit', 'many']],
    [['outbox', 'republish']],
    [['outbox', 'republish', '--ticket', 'x']],
    [['--nonsense']],
  ])('explains itself when it does not understand %j', async (args) => {
    await expect(admin(...args)).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^Usage: /),
    });
  });
});
