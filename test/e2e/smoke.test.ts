import { once } from 'node:events';
import { createServer } from 'node:net';
import { eventually } from '../support/eventually';
import { startMongod } from '../support/mongod';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import { ORDER_SERVICE, runProgram } from '../support/run-program';
import { freePort } from '../support/server-process';
import { describeWith } from '../support/servers';
import { JWT_KEY, startService, type ServiceProcess } from '../support/service-process';

/** The smoke test as a process of its own, with this environment only. */
async function smoke(env: Record<string, string>) {
  const { code, stdout } = await runProgram([ORDER_SERVICE, 'smoke'], env);
  return { code, lines: stdout.trimEnd().split('\n') };
}

/** A port on which nobody serves, until `once` has seen that somebody tried. */
async function refusing(port: number) {
  const server = createServer((socket) => socket.destroy()).listen(port, '127.0.0.1');
  await once(server, 'listening');
  const tried = once(server, 'connection');
  return {
    async once(): Promise<void> {
      await tried;
      server.close();
      await once(server, 'close');
    },
  };
}

describeWith(['mongod', 'nats-streaming-server'], 'the smoke test', () => {
  let mongod: Awaited<ReturnType<typeof startMongod>>;
  let nats: Awaited<ReturnType<typeof startNatsStreamingServer>>;
  let service: ServiceProcess;
  let env: Record<string, string>;

  beforeAll(async () => {
    [mongod, nats] = await Promise.all([startMongod(), startNatsStreamingServer()]);
    service = await startService({ MONGO_URL: mongod.url, NATS_URL: nats.url });
    env = { ORDERS_URL: `${service.url}/api/v1/orders`, NATS_URL: nats.url, JWT_KEY };
    await eventually(async () => expect(await service.ready()).toBe(true));
  });

  afterAll(async () => {
    await service?.kill('SIGTERM');
    await Promise.all([nats?.stop(), mongod?.stop()]);
  });

  it.each([
    ['as it is', (url: string) => url],
    ['with http:// and a slash', (url: string) => `${url.replace('nats:', 'http:')}/`],
  ])('passes against a service that works, given its addresses %s', async (_, written) => {
    const urls = { ORDERS_URL: written(env['ORDERS_URL']!), NATS_URL: written(env['NATS_URL']!) };

    const { code, lines } = await smoke({ ...env, ...urls });

    expect(lines).toEqual([
      'ok   connect to the broker',
      'ok   subscribe to order:created',
      'ok   subscribe to order:cancelled',
      expect.stringMatching(/^ok {3}publish ticket [0-9a-f]{24}$/),
      'ok   place an order',
      expect.stringMatching(/^ok {3}read order [0-9a-f]{24}$/),
      'ok   receive OrderCreated',
      'ok   cancel the order',
      'ok   receive OrderCancelled',
    ]);
    expect(code).toBe(0);
  });

  it('passes against a service whose orders are at the root', async () => {
    const atRoot = await startService({
      MONGO_URL: mongod.url,
      NATS_URL: nats.url,
      NATS_CLIENT_ID: 'at-the-root',
      API_BASE_PATH: '/',
    });
    await eventually(async () => expect(await atRoot.ready()).toBe(true));

    const { code, lines } = await smoke({ ...env, ORDERS_URL: atRoot.url });
    await atRoot.kill('SIGTERM');

    expect(lines.at(-1)).toBe('ok   receive OrderCancelled');
    expect(code).toBe(0);
  });

  it('fails when its key is not the one of the service, and tells neither key nor token', async () => {
    const { code, lines } = await smoke({ ...env, JWT_KEY: `another ${JWT_KEY}` });

    expect(code).toBe(1);
    expect(lines.at(-1)).toMatch(/^FAIL place an order: answered 401 /);
    expect(lines.join('\n')).not.toMatch(/another|eyJ/);
  });

  it('waits for a broker and a service that are not there yet', async () => {
    const late = await startNatsStreamingServer();
    await late.kill('SIGKILL');
    const port = await freePort();
    const brokerRefuses = await refusing(late.port);
    const serviceRefuses = await refusing(port);
    const urls = { ORDERS_URL: `http://127.0.0.1:${port}/api/v1/orders`, NATS_URL: late.url };
    const tested = smoke({ ...env, ...urls });
    const tooSoon = tested.then(({ lines }) => Promise.reject(new Error(lines.at(-1))));

    await Promise.race([brokerRefuses.once(), tooSoon]);
    await late.restart();
    await Promise.race([serviceRefuses.once(), tooSoon]);
    const lateService = await startService({ MONGO_URL: mongod.url, NATS_URL: late.url, PORT: String(port) });
    const { code, lines } = await tested;
    await lateService.kill('SIGTERM');
    await late.stop();

    expect(lines.at(-1)).toBe('ok   receive OrderCancelled');
    expect(code).toBe(0);
  });

  it('fails when the broker stays unavailable', async () => {
    const NATS_URL = `nats://127.0.0.1:${await freePort()}`;
    const { code, lines } = await smoke({ ...env, NATS_URL, DEADLINE_SECONDS: '1' });

    expect(code).toBe(1);
    expect(lines).toEqual([expect.stringMatching(/^FAIL connect to the broker: .*ECONNREFUSED/)]);
  });

  it('fails when the broker is of another cluster', async () => {
    const { code, lines } = await smoke({ ...env, NATS_CLUSTER_ID: 'another', DEADLINE_SECONDS: '1' });

    expect(code).toBe(1);
    expect(lines).toEqual([expect.stringMatching(/^FAIL connect to the broker: .*connect request timeout/)]);
  });
});

describe('the smoke test without its environment', () => {
  const run = (env: Record<string, string>) => runProgram([ORDER_SERVICE, 'smoke'], env);

  it('names every problem and exits with 2', async () => {
    const key = 'not to be printed';

    expect(await run({ ORDERS_URL: '', NATS_URL: 'ftp://nats:4222', JWT_KEY: key })).toEqual({
      code: 2,
      stdout: '',
      stderr:
        '2 settings are wrong\nORDERS_URL: is not set\nNATS_URL: must be a URL such as nats://nats:4222\n',
    });
    expect(await run({ ORDERS_URL: 'orders', NATS_URL: 'nats://nats', DEADLINE_SECONDS: '1m' })).toEqual({
      code: 2,
      stdout: '',
      stderr: [
        '3 settings are wrong',
        'ORDERS_URL: must be a URL such as http://orders:3000/api/v1/orders',
        'DEADLINE_SECONDS: must be a whole number between 1 and 9999',
        'JWT_KEY: is not set',
        '',
      ].join('\n'),
    });
  });
});
