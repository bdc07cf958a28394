import { connectPeer, type Heard, type Peer } from '../support/nats-peer';
import { eventually } from '../support/eventually';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import { runProgram } from '../support/run-program';
import { freePort } from '../support/server-process';
import { describeWith } from '../support/servers';
import { startService } from '../support/service-process';

const ORDER = 'b'.repeat(24);

/** `npm run peer`, with this environment only. */
const play = (args: string[], env: Record<string, string> = {}) =>
  runProgram(['node_modules/tsx/dist/cli.mjs', 'scripts/peer.ts', ...args], {
    PATH: process.env['PATH'],
    ...env,
  });

describe('npm run peer', () => {
  it.each([[['--help']], [['ticket', '--help']]])('explains itself: %j', async (args) => {
    const { code, stdout, stderr } = await play(args);

    expect(stdout).toMatch(/^usage: npm run --silent peer -- ticket [^]*pay ORDER_ID [^]*expire ORDER_ID\n/);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it.each([
    [[], /^no action given/],
    [['sing'], /^unknown action: sing/],
    [['ticket', '--price', 'much'], /^--price takes a number/],
    [['ticket', '--version', '1.5'], /^--version takes a whole number/],
    [['ticket', '--id', 'one'], /^--id has 24 hexadecimal/],
    [['ticket', '--colour', 'red'], /--colour/],
    [['pay'], /^pay takes one order id/],
    [['pay', 'one'], /^an order id has 24 hexadecimal/],
    [['pay', ORDER, ORDER], /^pay takes one order id/],
    [['expire', ORDER, '--price', '1'], /^--price is not for expire/],
  ])('says what is wrong with %j, and how it is used', async (args, message) => {
    const { code, stdout, stderr } = await play(args);

    expect(stderr).toMatch(message);
    expect(stderr).toContain('\nusage: npm run --silent peer');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('says where no service answers', async () => {
    const PORT = String(await freePort());

    expect(await play(['ticket'], { PORT })).toEqual({
      code: 1,
      stdout: '',
      stderr: `No service answers at http://127.0.0.1:${PORT} (ECONNREFUSED): npm start, or set PORT\n`,
    });
  });

  it('says that a service with a broker of its own is played through that', async () => {
    const service = await startService({ NODE_ENV: 'development', NATS_URL: 'nats://127.0.0.1:1' });
    const { port } = new URL(service.url);
    const { code, stdout, stderr } = await play(['ticket'], { PORT: port });
    await service.kill('SIGKILL');

    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/has no embedded broker to play on: set NATS_URL to its broker\n$/);
  });

  it.each([{}, { NATS_URL: 'nats://127.0.0.1:1' }])('plays nobody in production: %j', async (env) => {
    expect(await play(['ticket'], { ...env, NODE_ENV: 'production' })).toEqual({
      code: 1,
      stdout: '',
      stderr: 'Nobody is played in production (NODE_ENV)\n',
    });
  });

  it('names the settings that are wrong', async () => {
    const { code, stderr } = await play(['ticket'], { NATS_URL: 'ftp://broker', PORT: 'x' });

    expect(code).toBe(1);
    expect(stderr).toMatch(/^(NATS_URL|PORT): .*\n(NATS_URL|PORT): .*\n$/);
  });
});

describeWith(['nats-streaming-server'], 'npm run peer with a NATS Streaming server', () => {
  let nats: Awaited<ReturnType<typeof startNatsStreamingServer>>;
  let listener: Peer;
  beforeAll(async () => {
    nats = await startNatsStreamingServer();
    listener = await connectPeer(nats.url);
  });
  afterAll(async () => {
    await listener?.close();
    await nats?.stop();
  });

  const last = (heard: readonly Heard[]) =>
    eventually(() => {
      expect(heard).not.toEqual([]);
      return heard.at(-1)?.data;
    });

  it.each([
    [
      ['ticket'],
      'ticket:created',
      { version: 0, title: 'Sample ticket', price: 20, userId: 'sample-seller' },
    ],
    [
      ['ticket', '--title', 'Jazz', '--price', '9.5', '--version', '3', '--user', 'ann', '--order-id', ORDER],
      'ticket:updated',
      { version: 3, title: 'Jazz', price: 9.5, userId: 'ann', orderId: ORDER },
    ],
    [['pay', ORDER], 'payment:created', { orderId: ORDER, stripeId: expect.stringMatching(/^ch_/) }],
  ])('announces %j and prints its id', async (args, subject, data) => {
    const { code, stdout, stderr } = await play(args, { NATS_URL: nats.url });

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^[0-9a-f]{24}\n$/);
    expect(await last(await listener.history(subject))).toEqual({ id: stdout.trim(), ...data });
  });

  it.each([
    [['ticket', '--id', 'c'.repeat(24)], 'ticket:created', { id: 'c'.repeat(24) }],
    [['pay', ORDER, '--id', 'p1', '--stripe-id', 's1'], 'payment:created', { id: 'p1', stripeId: 's1' }],
  ])('takes the ids that it is given: %j', async (args, subject, data) => {
    const { stdout } = await play(args, { NATS_URL: nats.url });

    expect(stdout).toBe(`${data.id}\n`);
    const heard = await listener.history(subject);
    await eventually(() => expect(heard.at(-1)?.data).toMatchObject(data));
  });

  it('announces that an order expires', async () => {
    const { stdout } = await play(['expire', ORDER], { NATS_URL: nats.url });

    expect(stdout).toBe(`${ORDER}\n`);
    expect(await last(await listener.history('expiration:complete'))).toEqual({ orderId: ORDER });
  });

  it('names the cluster id where the broker does not let it in', async () => {
    const { code, stdout, stderr } = await play(['ticket'], {
      NATS_URL: nats.url,
      NATS_CLUSTER_ID: 'another',
    });

    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^The broker of NATS_URL did not let it in, with NATS_CLUSTER_ID=another: /);
  });
});
