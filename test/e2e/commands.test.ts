import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mongo } from 'mongoose';
import { allCommands } from '../support/all-commands';
import { eventually } from '../support/eventually';
import { startMongoStore, untilReady, withDatabase } from '../support/mongo-store';
import { startMongod } from '../support/mongod';
import { connectPeer, type Peer } from '../support/nats-peer';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import { newId, newPlacement } from '../support/placements';
import { createOldDatabase, oldOrder, oldTicket } from '../support/old-system';
import { ORDER_SERVICE, runProgram } from '../support/run-program';
import type { ServerProcess } from '../support/server-process';
import { describeWith } from '../support/servers';
import { JWT_KEY, ordersClient, startService, type ServiceProcess } from '../support/service-process';

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Json = Record<string, any>;

/** The gauges are counted every ten seconds. */
const COUNTED_MS = 20_000;

describeWith(['mongod', 'nats-streaming-server'], 'the commands of order-service', () => {
  let mongod: ServerProcess;
  let nats: ServerProcess;
  let service: ServiceProcess;
  let peer: Peer;
  let client: mongo.MongoClient;
  let folder: string;
  const ran = new Set<string>();

  beforeAll(async () => {
    [mongod, nats] = await Promise.all([startMongod(), startNatsStreamingServer()]);
    service = await startService({ MONGO_URL: mongod.url, NATS_URL: nats.url });
    peer = await connectPeer(nats.url);
    client = await mongo.MongoClient.connect(mongod.url);
    folder = mkdtempSync(join(tmpdir(), 'commands-'));
    await eventually(async () => expect(await service.ready()).toBe(true));
  });

  afterAll(async () => {
    await client?.close();
    await peer?.close();
    await service?.kill('SIGTERM');
    await Promise.all([nats?.stop(), mongod?.stop()]);
    if (folder) rmSync(folder, { recursive: true });
  });

  /** Runs one command: its words, then its arguments. */
  async function run(
    command: string,
    args: readonly string[] = [],
    env: Record<string, string> = {},
    input = '',
  ) {
    ran.add(command);
    const settings = {
      PATH: process.env['PATH']!,
      MONGO_URL: mongod.url,
      NATS_URL: nats.url,
      JWT_KEY,
      ...env,
    };
    return runProgram([ORDER_SERVICE, ...command.split(' '), ...args], settings, input);
  }

  /** The lines of JSON, of a command that must end with this exit code. */
  async function json(
    command: string,
    args: readonly string[] = [],
    { code = 0, env = {}, input = '' } = {},
  ): Promise<Json[]> {
    const result = await run(command, [...args, '--json'], env, input);
    expect({ ...result, stdout: '' }).toEqual({ code, stdout: '', stderr: expect.any(String) });
    return result.stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Json);
  }

  const orders = (url = mongod.url) => client.db(new URL(url).pathname.slice(1)).collection('orders');
  const documentOf = (orderId: string) => orders().findOne({ _id: new mongo.ObjectId(orderId) });
  const buyer = (userId = 'buyer') => ordersClient(service.url, userId);

  async function placed(ticketId = newId()): Promise<{ orderId: string; ticketId: string }> {
    await peer.publish('ticket:created', {
      id: ticketId,
      version: 0,
      title: 'Concert',
      price: 20,
      userId: 's',
    });
    return eventually(async () => {
      const { status, body } = await buyer().place(ticketId);
      expect(status).toBe(201);
      return { orderId: body.id, ticketId };
    });
  }

  /** The order's document, once the relay has written all that it writes to it. */
  const settled = (orderId: string) =>
    eventually(async () => {
      const document = await documentOf(orderId);
      expect(document!['publishing']).toMatchObject({ pending: 0, owner: null });
      return document;
    });

  const untilStatus = (orderId: string, status: string) =>
    eventually(async () => expect((await buyer().show(orderId)).body).toMatchObject({ status }), 20_000);

  async function gauge(name: string): Promise<number> {
    const text = await (await fetch(`${service.url}/metrics`)).text();
    return Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')[1] ?? NaN,
    );
  }

  /** An empty database that no service uses, with the indexes. */
  async function ownDatabase() {
    const url = withDatabase(mongod.url);
    const store = startMongoStore({ url });
    await untilReady(store);
    return { url, store, env: { MONGO_URL: url } };
  }

  /** A database into which two paid orders of one ticket were imported. */
  async function importedConflict() {
    const ticket = oldTicket();
    const [kept, lost] = [oldOrder(ticket._id, 'complete'), oldOrder(ticket._id, 'complete')];
    const old = await createOldDatabase(withDatabase(mongod.url), {
      orders: [kept, lost],
      tickets: [ticket],
    });
    await old.close();
    const env = { MONGO_URL: withDatabase(mongod.url) };
    const imported = await runProgram([ORDER_SERVICE, 'import', '--cancel-conflicts', '--rejected', '-'], {
      ...env,
      OLD_MONGO_URL: old.url,
    });
    expect(imported).toMatchObject({ code: 0, stdout: expect.stringContaining('keeps the ticket') });
    return { env, kept: kept._id.toHexString(), lost: lost._id.toHexString() };
  }

  describe('orders show', () => {
    it('tells each change with its cause, the payments, and when events were published', async () => {
      const { orderId, ticketId } = await placed();
      await peer.publish('payment:created', { id: 'kept', orderId, stripeId: 'ch_1' });
      await untilStatus(orderId, 'complete');
      await peer.publish('payment:created', { id: 'second', orderId });
      const [shown] = await eventually(async () => {
        const [found] = await json('orders show', [orderId]);
        expect(found!['events']).toHaveLength(2);
        expect(found!['events'][1].isPublished).toBe(true);
        return [found!];
      });

      expect(shown).toMatchObject({
        order: { id: orderId, status: 'complete', version: 2, ticket: { id: ticketId } },
        turn: 0,
        changesNotRecorded: 0,
        changes: [
          { version: 0, input: 'place', cause: { type: 'request', requestId: expect.stringMatching(/\S/) } },
          {
            version: 1,
            input: 'pay',
            cause: { type: 'message', subject: 'payment:created', sequence: expect.any(Number) },
          },
          { version: 2, input: 'pay', cause: { type: 'message', subject: 'payment:created' } },
        ],
        events: [
          { subject: 'order:created', publishedAt: expect.any(String) },
          { subject: 'order:refund-required', publishedAt: expect.any(String) },
        ],
      });
      const { stdout, code, stderr } = await run('orders show', [orderId]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(/ place: created, version 0 +request \S+\n/);
      expect(stdout).toMatch(/ event 0: order:created +published 20\S+Z\n/);
      expect(stdout).toMatch(/ pay: complete, version 1 +message payment:created, sequence \d+\n/);
      expect(stdout).toMatch(/\nkept +ch_1 +20\S+ +kept\nsecond +- +20\S+ +to be refunded: second\n/);
    });

    it('tells what is known of an order of an earlier release, and that causes are not', async () => {
      const { orderId } = await placed();
      await buyer().cancel(orderId);
      await eventually(async () => expect((await documentOf(orderId))!['publishing'].next).toBe(2));
      await orders().updateOne(
        { _id: new mongo.ObjectId(orderId) },
        { $unset: { changes: 1, published: 1 } },
      );

      const { stdout, code } = await run('orders show', [orderId]);
      expect(code).toBe(0);
      expect(stdout).toMatch(/ place: created, version 0 +not recorded\n/);
      expect(stdout).toMatch(/ event 1: order:cancelled +published; when was not recorded\n/);
      expect(stdout).toContain('Changes whose cause was not recorded, by an earlier release: 2.');
      expect((await json('orders show', [orderId]))[0]).toMatchObject({ changesNotRecorded: 2 });
    });

    it('tells of an imported order what is known, and which order kept its ticket', async () => {
      const { env, kept, lost } = await importedConflict();

      const { stdout, code } = await run('orders show', [lost], env);
      const why = `by the import: order ${kept} keeps the ticket`;
      expect(code).toBe(0);
      expect(stdout).toContain(`\nStatus   cancelled (${why}), version 2\n`);
      expect(stdout).toMatch(/Z +place +by the earlier service\n/);
      expect(stdout).toMatch(new RegExp(` import: cancelled, version 2 +cancelled ${why}\n`));
      expect(stdout).toContain(
        `\nimported-${lost}  -       -        to be refunded: imported, not received yet\n`,
      );
      expect(stdout).toMatch(/\nThe order was imported with version 2\. .* the earlier service only\.\n$/);
      expect((await json('orders show', [lost], { env }))[0]).toMatchObject({
        imported: { version: 2, conflictWith: kept },
        changesNotRecorded: 0,
      });
      const shown = await run('orders show', [kept], env);
      expect(shown.stdout).toMatch(
        / import: complete, version 1 +the order is as the earlier service had it\n/,
      );
      expect(shown.stdout).toContain('\nNo payments since the import.\n');
    });

    it('fails for an order that does not exist', async () => {
      expect(await run('orders show', [newId()])).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringMatching(/^error: there is no order [0-9a-f]{24}\n$/),
      });
    });
  });

  describe('orders cancel', () => {
    it('cancels as any other cancellation does, with its reason in the history, and once', async () => {
      const { orderId, ticketId } = await placed();
      const heard = await peer.listen(['order:cancelled']);

      expect(await json('orders cancel', [orderId, '--reason', 'asked by phone'])).toEqual([
        { orderId, status: 'cancelled', changed: true },
      ]);
      await eventually(() => expect(heard.filter(({ data }) => data.id === orderId)).toHaveLength(1));
      expect(heard.find(({ data }) => data.id === orderId)!.data).toEqual({
        id: orderId,
        version: 1,
        ticket: { id: ticketId },
      });
      const [shown] = await json('orders show', [orderId]);
      expect(shown).toMatchObject({
        order: { status: 'cancelled', reason: 'operator' },
        changes: [{}, { input: 'cancel', cause: { type: 'operator', reason: 'asked by phone' } }],
      });

      const before = await settled(orderId);
      const again = await run('orders cancel', [orderId, '--reason', 'once more']);
      expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('cancelled already') });
      expect(await documentOf(orderId)).toEqual(before);
      expect((await buyer('another').place(ticketId)).status).toBe(201);
    });

    it('is refused for a paid order, which does not change, and fails for an unknown one', async () => {
      const { orderId } = await placed();
      await peer.publish('payment:created', { id: newId(), orderId });
      await untilStatus(orderId, 'complete');
      const before = await settled(orderId);

      expect(await run('orders cancel', [orderId, '--reason', 'x'])).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringContaining(`order ${orderId} is paid`),
      });
      expect(await documentOf(orderId)).toEqual(before);
      expect(await run('orders cancel', [newId(), '--reason', 'x'])).toMatchObject({ code: 1, stdout: '' });
    });
  });

  describe('orders stuck', () => {
    it('finds none where all is well', async () => {
      expect(await run('orders stuck', ['--overdue', '0'])).toEqual({
        code: 0,
        stdout: 'No order is stuck.\n',
        stderr: '',
      });
      expect(await json('orders stuck')).toEqual([]);
    });

    it('names each that is, why, and what to do, beyond the thresholds', async () => {
      const { url, store, env } = await ownDatabase();
      const ago = (seconds: number) => new Date(Date.now() - seconds * 1000);
      const insert = async (fields: Json, more: Json = {}, options = {}) => {
        const placement = newPlacement({ withLease: false, now: ago(100), ...options });
        await store.orders.insert(placement);
        await orders(url).updateOne(
          { _id: new mongo.ObjectId(placement.order.id) },
          { $set: { ...fields, ...more } },
        );
        return placement.order;
      };
      const published = { 'publishing.pending': 0, 'publishing.next': 1 };
      const ticketId = newId();
      const overdue = await insert({ ...published, expiresAt: ago(200) });
      const waiting = await insert({ ...published, expiresAt: ago(300) });
      await insert({ ...published, expiresAt: ago(100) });
      const refused = await insert({ 'publishing.attempts': 4 });
      const leased = await insert({ 'publishing.owner': 'pod-1', 'publishing.leaseUntil': ago(-3600) });
      const first = await insert({}, {}, { ticketId, turn: 0 });
      const second = await insert({}, {}, { ticketId, turn: 1 });
      await insert({}, {}, { now: new Date() });
      const fail = (id: string, orderId: string, reason: string, seconds: number) =>
        store.failedMessages.put({
          ...{ id, subject: 'payment:created', sequence: 1, publishedAt: ago(1), attempts: 10 },
          ...{ at: ago(seconds), data: JSON.stringify({ orderId }), reason },
        });
      await fail('m 0', waiting.id, 'an older one', 2);
      await fail('m 1', waiting.id.toUpperCase(), 'id: is missing', 1);
      await fail('m 2', overdue.id, 'ended by an operator', 1);
      await store.failedMessages.discard('m 2', 'a test');
      await store.close();

      const found = await json('orders stuck', [], { code: 3, env });
      expect(found.map(({ orderId, problem }) => ({ orderId, problem }))).toEqual([
        { orderId: waiting.id, problem: 'overdue' },
        { orderId: overdue.id, problem: 'overdue' },
        ...[refused, leased, first, second].map(({ id }) => ({ orderId: id, problem: 'unpublished' })),
      ]);
      expect(found.map(({ why, action }) => `${why}; ${action}`)).toEqual([
        expect.stringMatching(/id: is missing; dead-letters show m 1$/),
        expect.stringMatching(/no replica expires it.*; .*orders cancel/),
        expect.stringMatching(/did not acknowledge an event, 4 times; /),
        expect.stringMatching(/pod-1 holds its publishing lease until /),
        expect.stringMatching(/no replica publishes it/),
        expect.stringMatching(`an earlier order.*: ${first.id}; orders show ${first.id}`),
      ]);
      // The grace is a setting of the service; it comes on top.
      const longer = { ...env, EXPIRATION_GRACE_SECONDS: '1000' };
      expect(
        await json('orders stuck', ['--unpublished', '1000', '--attempts', '5'], { env: longer }),
      ).toEqual([]);
      const { code, stdout } = await run('orders stuck', ['--limit', '1'], env);
      expect(code).toBe(3);
      expect(stdout).toMatch(/^ORDER +PROBLEM +SINCE +WHY +WHAT TO DO\n(.*\n){2}$/);
    });
  });

  describe('failed messages', () => {
    it('dead letters are listed, shown, replayed and discarded; the last discard ends the alert', async () => {
      expect(await run('dead-letters list')).toEqual({
        code: 0,
        stdout: 'There are no dead letters.\n',
        stderr: '',
      });
      await peer.publish('ticket:created', 'not json \u001b[2J');
      const [one] = await eventually(async () => {
        const found = await json('dead-letters list');
        expect(found).toHaveLength(1);
        return found;
      });
      const id = String(one!['id']);
      expect(one).toMatchObject({ subject: 'ticket:created', reason: 'is not JSON' });
      expect(one).not.toHaveProperty('data');
      expect(await json('dead-letters show', [id])).toMatchObject([{ data: 'not json \u001b[2J' }]);
      const shown = await run('dead-letters show', [id]);
      expect(shown).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/\nState +dead letter\n[^]*not json /),
      });
      expect(shown.stdout + (await run('dead-letters list')).stdout).not.toContain('\u001b');
      await eventually(
        async () => expect(await gauge('order_service_dead_letters{state="dead"}')).toBe(1),
        COUNTED_MS,
      );

      expect(await json('dead-letters replay', [id])).toEqual([{ replayed: 1 }]);
      await eventually(async () =>
        expect((await json('dead-letters list'))[0]).not.toHaveProperty('retryAt'),
      );

      const discarded = await json('dead-letters discard', [id, '--reason', 'a test']);
      expect(discarded).toEqual([
        { id, changed: true, discarded: { at: expect.any(String), reason: 'a test' } },
      ]);
      expect(await run('dead-letters list')).toMatchObject({ stdout: 'There are no dead letters.\n' });
      expect(await json('dead-letters list', ['--discarded'])).toMatchObject([
        { id, discarded: { reason: 'a test' } },
      ]);
      await eventually(
        async () => expect(await gauge('order_service_dead_letters{state="dead"}')).toBe(0),
        COUNTED_MS,
      );

      expect(await json('dead-letters discard', [id, '--reason', 'another'])).toEqual([
        { ...discarded[0], changed: false },
      ]);
      expect(await json('dead-letters replay', ['--all'])).toEqual([{ replayed: 0 }]);
      expect((await run('dead-letters replay', ['--all'])).stdout).toBe('There is nothing to retry.\n');
    }, 60_000);

    it.each(['show', 'replay', 'discard'])('dead-letters %s fails for an unknown id', async (action) => {
      const reason = action === 'discard' ? ['--reason', 'x'] : [];
      expect(await run(`dead-letters ${action}`, ['unknown', ...reason])).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringMatching(/^error: there is no .* unknown\n$/),
      });
    });

    it('lists as many dead letters as asked for, the newest first, and replays all', async () => {
      const { url, store, env } = await ownDatabase();
      for (let i = 0; i < 130; i += 1) {
        const at = new Date(Date.UTC(2026, 0, 1, 0, 0, i));
        const one = { subject: 'ticket:created', data: '?', reason: 'was wrong', attempts: 1 };
        await store.failedMessages.put({ id: `one ${i}`, ...one, sequence: i, publishedAt: at, at });
      }
      await store.close();
      const newest = (count: number) => Array.from({ length: count }, (_, i) => 129 - i);
      const sequences = async (...args: string[]) =>
        (await json('dead-letters list', args, { env })).map(({ sequence }) => sequence as number);

      expect(await sequences()).toEqual(newest(100));
      expect(await sequences('--limit', '125')).toEqual(newest(125));
      expect(await json('dead-letters replay', ['--all'], { env })).toEqual([{ replayed: 130 }]);
      expect(await sequences()).toEqual([]);
      expect(
        await client
          .db(new URL(url).pathname.slice(1))
          .collection('dead_letters')
          .countDocuments({ attempts: 0 }),
      ).toBe(130);
    });

    it('parked messages are listed with the time of their next attempt', async () => {
      const { env } = await ownDatabase();
      expect(await run('parked list', [], env)).toEqual({
        code: 0,
        stdout: 'There are no parked messages.\n',
        stderr: '',
      });
      const orderId = newId();
      await peer.publish('payment:created', { id: 'early', orderId });
      await eventually(async () => {
        expect(await json('parked list')).toMatchObject([
          { reason: `no order ${orderId}`, retryAt: expect.any(String) },
        ]);
      });
      expect((await run('parked list')).stdout).toMatch(
        /^ID +STORED +ATTEMPTS +RETRY AT +REASON\npayment:created:/,
      );
    });
  });

  describe('refunds', () => {
    it('are listed and resolved, once; the last one ends the alert', async () => {
      expect(await json('refunds list')).toMatchObject([{ paymentId: 'second' }]);
      const { orderId } = await placed();
      await buyer().cancel(orderId);
      await peer.publish('payment:created', { id: 'late', orderId, stripeId: 'ch_late' });
      await eventually(async () => expect(await gauge('order_service_open_refunds')).toBe(2), COUNTED_MS);
      const list = await json('refunds list');
      expect(list).toContainEqual({
        ...{ paymentId: 'late', stripeId: 'ch_late', orderId, userId: 'buyer', price: 20 },
        ...{ paidAt: expect.any(String), refund: 'late' },
      });

      expect(await json('refunds resolve', ['late', '--ref', 're_1'])).toEqual([
        { orderId, paymentId: 'late', reference: 're_1', changed: true },
      ]);
      const before = await settled(orderId);
      expect(before).toMatchObject({
        payments: [{ id: 'late', refunded: { reference: 're_1' } }],
        allRefunded: true,
      });
      expect(await json('refunds resolve', ['late', '--ref', 're_1'])).toMatchObject([{ changed: false }]);
      expect(await run('refunds resolve', ['late', '--ref', 're_2'])).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringMatching(/was refunded before, with re_1\n$/),
      });
      expect(await documentOf(orderId)).toEqual(before);
      await json('refunds resolve', ['second', '--ref', 're_3']);
      expect(await run('refunds list')).toEqual({
        code: 0,
        stdout: 'There are no open refunds.\n',
        stderr: '',
      });
      await eventually(async () => expect(await gauge('order_service_open_refunds')).toBe(0), COUNTED_MS);
      expect((await run('orders show', [orderId])).stdout).toMatch(
        / refund: cancelled, version 3 +operator: refunded: re_1\n[^]*refunded 20\S+, re_1\n/,
      );
    }, 60_000);

    it('of a paid order that an import cancelled have no time and no reason before the payment is received', async () => {
      const { env, lost } = await importedConflict();

      expect(await json('refunds list', [], { env })).toEqual([
        {
          ...{ paymentId: `imported-${lost}`, orderId: lost, userId: expect.any(String) },
          ...{ price: expect.any(Number), placeholder: true },
        },
      ]);
      expect((await run('refunds list', [], env)).stdout).toMatch(/ -  +imported, not received yet\n$/);
    });

    it('of one payment id in two orders need the order, also after one of them is resolved', async () => {
      const ids = [(await placed()).orderId, (await placed()).orderId];
      for (const orderId of ids) {
        await buyer().cancel(orderId);
        await peer.publish('payment:created', { id: 'both', orderId });
      }
      await eventually(async () => expect(await json('refunds list')).toHaveLength(2));

      const ambiguous = { code: 2, stdout: '', stderr: expect.stringMatching(/several orders.*--order/) };
      expect(await run('refunds resolve', ['both', '--ref', 're_1'])).toMatchObject(ambiguous);
      expect(await json('refunds resolve', ['both', '--ref', 're_1', '--order', ids[0]!])).toMatchObject([
        { changed: true },
      ]);
      expect(await run('refunds resolve', ['both', '--ref', 're_1'])).toMatchObject(ambiguous);
      expect(await json('refunds list')).toMatchObject([{ orderId: ids[1] }]);
      await json('refunds resolve', ['both', '--ref', 're_2', '--order', ids[1]!]);
    });

    it('fail for a payment that is unknown or kept', async () => {
      const { orderId } = await placed();
      await peer.publish('payment:created', { id: 'good', orderId });
      await untilStatus(orderId, 'complete');

      for (const args of [['none'], ['good'], ['good', '--order', orderId], ['good', '--order', newId()]]) {
        expect(await run('refunds resolve', [...args, '--ref', 'x'])).toMatchObject({ code: 1, stdout: '' });
      }
    });
  });

  describe('outbox republish', () => {
    it("fills a broker again, each ticket's events in their order and to the byte", async () => {
      const ticketId = newId();
      const heard = await peer.listen(['order:created', 'order:cancelled']);
      const ofTicket = () =>
        heard
          .filter(({ data }) => data.ticket.id === ticketId)
          .sort((a, b) => a.at - b.at)
          .map(({ text }) => text);
      const { orderId } = await placed(ticketId);
      await buyer().cancel(orderId);
      const second = await buyer('second').place(ticketId);
      await buyer('second').cancel(second.body.id);
      const before = await eventually(() => {
        expect(ofTicket()).toHaveLength(4);
        return ofTicket();
      });
      await eventually(async () => expect((await documentOf(second.body.id))!['publishing'].pending).toBe(0));

      expect(
        await json('outbox republish', ['--ticket', ticketId, '--dry-run'], { env: { NATS_URL: '' } }),
      ).toEqual([{ wouldRepublish: 4 }]);
      const since = (await documentOf(orderId))!['outbox'][1].at as Date;
      const sinceCancelled = ['--ticket', ticketId, '--since', since.toISOString()];
      expect(await json('outbox republish', [...sinceCancelled, '--dry-run'])).toEqual([
        { wouldRepublish: 3 },
      ]);
      expect(ofTicket()).toEqual(before);

      expect(await json('outbox republish', ['--ticket', ticketId])).toEqual([{ republished: 4 }]);
      await eventually(() => expect(ofTicket()).toEqual([...before, ...before]));
      expect(await json('outbox republish', sinceCancelled)).toEqual([{ republished: 3 }]);
      await eventually(() => expect(ofTicket()).toEqual([...before, ...before, ...before.slice(1)]));
      expect((await run('outbox republish', ['--since', '2100-01-01'])).stdout).toBe(
        '0 events published again.\n',
      );
    });

    it('fills it with all that was ever published', async () => {
      const [{ republished = 0 } = {}] = await json('outbox republish', ['--all']);
      expect(republished).toBeGreaterThan(4);
      const heard = await peer.listen(['order:created', 'order:cancelled', 'order:refund-required']);
      await eventually(() => {
        const texts = heard.map(({ text }) => text);
        expect(new Set(texts).size).toBe(republished);
        for (const text of texts) expect(texts.filter((other) => other === text).length).toBeGreaterThan(1);
      });
    });
  });

  describe('events inject', () => {
    const line = (message: object) => `${JSON.stringify(message)}\n`;

    it('gives a verdict for each line, as the inbox would; a second run changes nothing', async () => {
      const { url, store, env } = await ownDatabase();
      const { order } = newPlacement();
      await store.orders.insert({ ...newPlacement({ id: order.id }), withLease: false });
      const file = join(folder, 'payments.ndjson');
      const unknown = newId();
      writeFileSync(
        file,
        line({ id: 'p 1', orderId: order.id }) +
          '\n' +
          '{not json}\n' +
          line({ id: 'p 2', orderId: 'x' }) +
          line({ id: 'p 3', orderId: unknown }) +
          JSON.stringify({ id: 'p 1', orderId: order.id }),
      );
      const everything = async () => [
        await orders(url).find().toArray(),
        await store.failedMessages.list(10),
      ];
      const verdicts = [
        { line: 1, verdict: 'done', orderId: order.id },
        { line: 3, verdict: 'rejected', reason: 'is not JSON' },
        { line: 4, verdict: 'rejected', reason: 'orderId: must be 24 hexadecimal characters' },
        { line: 5, verdict: 'parked', reason: `no order ${unknown}`, orderId: unknown },
        { line: 6, verdict: 'done', orderId: order.id },
      ];
      const untouched = await everything();

      expect(await json('events inject', ['payment:created', file, '--dry-run'], { code: 3, env })).toEqual(
        verdicts,
      );
      expect(await everything()).toEqual(untouched);

      const at = '2026-01-01T00:00:30.000Z';
      expect(
        await json('events inject', ['payment:created', file, '--published-at', at], { code: 3, env }),
      ).toEqual(verdicts);
      const [[stored], parked] = (await everything()) as Json[][] as [Json[], Json[]];
      expect(stored).toMatchObject({
        status: 'complete',
        version: 1,
        payments: [{ id: 'p 1', at: new Date(at) }],
        changes: [{}, { cause: { type: 'message', subject: 'payment:created', sequence: 0 } }],
      });
      expect(parked).toMatchObject([
        {
          id: expect.stringMatching(/^injected:payment:created:/),
          reason: `no order ${unknown}`,
          retryAt: expect.any(Date),
        },
      ]);
      expect((await run('orders show', [order.id], env)).stdout).toMatch(
        / injected message payment:created\n/,
      );

      const after = await everything();
      expect(await json('events inject', ['payment:created', file], { code: 3, env })).toEqual(verdicts);
      expect(await everything()).toEqual(after);
      await store.failedMessages.postpone(String(parked[0]!['id']), { reason: 'gave up', attempts: 10 });
      const third = await run('events inject', ['payment:created', file], env);
      expect(third).toMatchObject({ code: 3, stderr: '2 done, 2 rejected, 1 dead-letter\n' });
      expect(third.stdout).toMatch(/^line 5: dead-letter: .*; see injected:/m);
      await store.failedMessages.discard(String(parked[0]!['id']), 'a test');
      const fourth = await run('events inject', ['payment:created', file], env);
      expect(fourth).toMatchObject({ code: 3, stderr: '2 done, 2 rejected, 1 discarded\n' });
      expect(fourth.stdout).toMatch(/^line 5: discarded: .*; see injected:/m);
      await store.close();
    });

    it('takes tickets from stdin', async () => {
      const id = newId();
      const ticket = { id, version: 1, title: 'Injected', price: 5, userId: 's' };
      const older = line({ ...ticket, version: 0, title: 'Older' });

      expect(await run('events inject', ['ticket:updated', '-'], {}, line(ticket) + older)).toEqual({
        code: 0,
        stdout: 'line 1: done\nline 2: done\n',
        stderr: '2 done\n',
      });
      const tooLong = `${' '.repeat(8 * 1024 * 1024)}{\n`;
      expect(await run('events inject', ['ticket:updated', '-'], {}, tooLong + older)).toEqual({
        code: 3,
        stdout: 'line 1: rejected: is longer than 8 MB\nline 2: done\n',
        stderr: '1 rejected, 1 done\n',
      });
      expect((await buyer().place(id)).body.ticket.title).toBe('Injected');
    });

    it('never expires an order itself: the running service does, once payments are caught up', async () => {
      const { env, store, url } = await ownDatabase();
      const { order } = newPlacement();
      await store.orders.insert({ ...newPlacement({ id: order.id }), withLease: false });
      await store.close();
      const alone = await json('events inject', ['expiration:complete', '-'], {
        code: 3,
        env,
        input: line({ orderId: order.id }),
      });
      expect(alone).toMatchObject([
        { line: 1, verdict: 'parked', reason: expect.stringContaining('payments') },
      ]);
      expect(await orders(url).findOne()).toMatchObject({ status: 'created', version: 0 });

      const { orderId } = await placed();
      const input = line({ orderId });
      expect(await json('events inject', ['expiration:complete', '-'], { code: 3, input })).toMatchObject([
        { verdict: 'parked' },
      ]);
      await untilStatus(orderId, 'cancelled');
      await eventually(async () =>
        expect(
          (await json('parked list')).filter(({ id }) => String(id).startsWith('injected:expiration')),
        ).toEqual([]),
      );
      expect(await json('events inject', ['expiration:complete', '-'], { input })).toMatchObject([
        { verdict: 'done' },
      ]);
    });
  });

  it('check-config, token and smoke work with what the service has', async () => {
    expect(await json('check-config')).toMatchObject([{ settings: expect.any(Array), warnings: [] }]);
    const [{ token } = { token: '' }] = await json('token', ['--user', 'me']);
    const answer = await fetch(`${service.url}/api/v1/orders`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(answer.status).toBe(200);
    const steps = await json('smoke', ['--url', `${service.url}/api/v1/orders`]);
    expect(steps.at(-1)).toEqual({ step: 'receive OrderCancelled', ok: true });
  });

  it('serve is the service', async () => {
    ran.add('serve');
    const served = await startService(
      { MONGO_URL: mongod.url, NATS_URL: nats.url, NATS_CLIENT_ID: 'served' },
      [ORDER_SERVICE, 'serve'],
    );
    await eventually(async () => expect(await served.ready()).toBe(true));
    expect(await served.kill('SIGTERM')).toBe(0);
  });

  it('fails when the database does not answer, and says so', async () => {
    const nowhere = { MONGO_URL: 'mongodb://127.0.0.1:1/orders' };
    const { code, stdout, stderr } = await run('orders show', [newId()], nowhere);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /\nerror: timed out: waited 15 s for the database of MONGO_URL: .*ECONNREFUSED.*\n$/,
    );
  }, 30_000);

  it('has run every command', () => {
    expect([...ran].sort()).toEqual(
      allCommands()
        .filter((command) => command !== 'import')
        .sort(),
    );
  });
});
