import { startMongoStore, untilReady, withDatabase } from '../support/mongo-store';
import { startMongodWithUser, useMongod } from '../support/mongod';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import { createOldDatabase, oldId, oldOrder, oldTicket, wholeContent } from '../support/old-system';
import { newPlacement } from '../support/placements';
import { ORDER_SERVICE, runProgram } from '../support/run-program';
import { describeWith } from '../support/servers';

const ID = '65a1c0ffee00000000000001';
const PAYMENT = `${JSON.stringify({ id: 'p', orderId: ID })}\n`;

/** Each command of the database, and its exit code where there is nothing. */
const COMMANDS: readonly [string, number][] = [
  [`orders show ${ID}`, 1],
  ['orders stuck', 0],
  [`orders cancel ${ID} --reason x`, 1],
  ['parked list', 0],
  ['dead-letters list', 0],
  ['dead-letters show x', 1],
  ['dead-letters replay --all', 0],
  ['dead-letters discard x --reason y', 1],
  ['refunds list', 0],
  ['refunds resolve x --ref y', 1],
  ['outbox republish --all --dry-run', 0],
  ['events inject payment:created - --dry-run', 3],
];

describeWith(['mongod', 'nats-streaming-server'], 'a command', () => {
  const { server, client, cleanUp } = useMongod();

  const run = (command: string, env: Record<string, string>) =>
    runProgram([ORDER_SERVICE, ...command.split(' ')], env, PAYMENT);

  function emptyDatabase() {
    const url = withDatabase(server().url);
    return { env: { MONGO_URL: url }, database: client().db(new URL(url).pathname.slice(1)) };
  }

  it.each(COMMANDS)('%s makes no collection and no index', async (command, code) => {
    const { env, database } = emptyDatabase();

    expect(await run(command, env)).toMatchObject({
      code,
      stderr: expect.not.stringMatching(/timed out| at /),
    });
    expect(await wholeContent(database)).toEqual([]);
  });

  it.each([...COMMANDS, ['events inject payment:created -', 3] as const])(
    '%s fails at once on data of another service and an unfinished import, and writes nothing there',
    async (command) => {
      const { env, database } = emptyDatabase();
      await database.collection('orders').insertOne(oldOrder(oldId(), 'created'));
      const foreign = await wholeContent(database);
      expect(await run(command, env)).toEqual({
        code: 1,
        stdout: '',
        stderr: expect.stringMatching(
          /^error: the database of MONGO_URL cannot be used: the database holds data of another service: 1 document .*\n$/,
        ),
      });
      expect(await wholeContent(database)).toEqual(foreign);

      await database.dropCollection('orders');
      const marker = { unfinished: true, startedAt: new Date(), owner: null, leaseUntil: new Date(0) };
      await database.collection<{ _id: string }>('imports').insertOne({ _id: 'orders', ...marker });
      const imported = await wholeContent(database);
      expect(await run(command, env)).toEqual({
        code: 1,
        stdout: '',
        stderr: expect.stringMatching(
          /^error: the database of MONGO_URL cannot be used: an import into it is unfinished since .*\n$/,
        ),
      });
      expect(await wholeContent(database)).toEqual(imported);
    },
  );

  it('names a replica set of which no server is a member', async () => {
    expect(await run('parked list', { MONGO_URL: `${server().url}?replicaSet=other` })).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^error: .* MONGO_URL .* is a member of the replica set "other".*\n$/),
    });
  });

  it('names a user that the database refuses, and never the password', async () => {
    const closed = await startMongodWithUser('root', 'right');
    cleanUp.push(closed.stop);
    const url = new URL(closed.url);
    url.searchParams.set('authSource', 'admin');
    [url.username, url.password] = ['root', 'S3cret'];
    const wrong = await run('parked list', { MONGO_URL: url.href });
    expect(wrong).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^error: .* MONGO_URL cannot be used: user or password are wrong: .*\n$/),
    });
    expect(wrong.stderr).not.toContain('S3cret');

    expect(await run('parked list', { MONGO_URL: closed.url })).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^error: .* MONGO_URL cannot be used: the user lacks a right: .*\n$/),
    });
  });

  it('import is refused for good by a database that refuses its user', async () => {
    const closed = await startMongodWithUser('root', 'right');
    const ticket = oldTicket();
    const old = await createOldDatabase(withDatabase(server().url), {
      orders: [oldOrder(ticket._id, 'created')],
      tickets: [ticket],
    });
    cleanUp.push(closed.stop, old.close);
    const [wrong, unable] = [new URL(withDatabase(closed.url)), withDatabase(closed.url)];
    wrong.searchParams.set('authSource', 'admin');
    [wrong.username, wrong.password] = ['root', 'S3cret'];
    for (const [url, why] of [
      [wrong.href, 'user or password are wrong'],
      [unable, 'the user lacks a right'],
    ] as const) {
      const result = await run('import --rejected -', { MONGO_URL: url, OLD_MONGO_URL: old.url });
      expect(result).toEqual({
        code: 4,
        stdout: '',
        stderr: expect.stringMatching(new RegExp(`^error: .* MONGO_URL cannot be used: ${why}: .*\n$`)),
      });
      expect(result.stderr).not.toContain('S3cret');
    }
  });

  it('names a wrong cluster id, and a user that the broker refuses', async () => {
    const { env } = emptyDatabase();
    const [open, closed] = await Promise.all([
      startNatsStreamingServer(),
      startNatsStreamingServer(['--user', 'u', '--pass', 'right']),
    ]);
    cleanUp.push(open.stop, closed.stop);
    const republish = (settings: Record<string, string>) =>
      run('outbox republish --all', { ...env, ...settings });

    expect(await republish({ NATS_URL: open.url, NATS_CLUSTER_ID: 'other' })).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^error: the broker of NATS_URL cannot be used: .*NATS_CLUSTER_ID=other.*\n$/,
      ),
    });
    const refused = await republish({ NATS_URL: closed.url.replace('//', '//u:S3cret@') });
    expect(refused).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^error: the broker of NATS_URL cannot be used: .*authoriz.*\n$/i),
    });
    expect(refused.stderr).not.toContain('S3cret');
    const second = { NATS_URL: `${closed.url},${open.url}`, ...{ NATS_CLUSTER_ID: 'ticketing' } };
    expect(await republish(second)).toMatchObject({ code: 0, stdout: '0 events published again.\n' });
  });

  it('that changes what is there works without any index', async () => {
    const { env, database } = emptyDatabase();
    const store = startMongoStore({ url: env.MONGO_URL });
    await untilReady(store);
    const { order } = newPlacement();
    await store.orders.insert(newPlacement({ id: order.id }));
    await store.close();
    await database.collection('orders').dropIndexes();

    expect(await run(`orders cancel ${order.id} --reason x`, env)).toMatchObject({ code: 0 });
    expect(await database.collection('orders').findOne()).toMatchObject({ status: 'cancelled' });
    expect(await database.collection('orders').indexes()).toHaveLength(1);
  });
});
