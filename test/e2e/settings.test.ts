import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { makeCertificates, type Certificates } from '../support/certificates';
import { eventually } from '../support/eventually';
import { startMongod } from '../support/mongod';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import { ORDER_SERVICE, runProgram } from '../support/run-program';
import { freePort, type ServerProcess } from '../support/server-process';
import { describeWith } from '../support/servers';
import { JWT_KEY, startService, type ServiceProcess } from '../support/service-process';

const PASSWORD = 'p@ss/w:rd?#%&=, Qz7';
const root = join(__dirname, '../..');

describe('wrong settings', () => {
  it('are all said at once, and nothing listens', async () => {
    const { code, stdout, stderr } = await runProgram(['dist/main.js'], {
      NODE_ENV: 'production',
      PORT: '0',
      MONGO_URL: `mongodb://u:Summer@2024/x@host/db`,
      NATS_URL: 'nats://u:Winter@2025@host',
      JWT_KEY: 'development only: everyone knows this key',
      CATCH_UP_LIMIT_SECONDS: '1',
    });
    expect(code).toBe(1);
    expect(stdout).toBe('');
    const named = [...stderr.matchAll(/^ {2}(\w+): /gm)].map(([, name]) => name);
    expect(named.sort()).toEqual(['CATCH_UP_LIMIT_SECONDS', 'JWT_KEY', 'MONGO_URL', 'NATS_URL']);
    expect(stderr).not.toMatch(/Summer|2024|Winter|2025|everyone knows/);
  });

  it.each(['mongodb://db/orders?retryWrite=true', 'mongodb://db/orders?appName=%', 'mongodb://db:27017'])(
    'are said where only the driver would notice them: %s',
    async (MONGO_URL) => {
      const { code, stdout, stderr } = await runProgram(['dist/main.js'], { PORT: '0', JWT_KEY, MONGO_URL });
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^ {2}MONGO_URL: /m);
    },
  );
});

it('says what is given up even where LOG_LEVEL leaves out warnings', async () => {
  const port = String(await freePort());
  const child = spawn(process.execPath, [join(root, 'dist/main.js')], {
    env: { PORT: port, LOG_LEVEL: 'silent' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const errors = text(child.stderr);
  const printed = text(child.stdout);
  await eventually(async () => expect((await fetch(`http://127.0.0.1:${port}/livez`)).ok).toBe(true));
  child.kill('SIGTERM');
  expect(await errors).toMatch(/^EVERYTHING IS KEPT IN MEMORY/);
  expect(await printed).not.toContain('"level"');
});

it('makes a token with the key alone, whatever else is set', async () => {
  const token = [ORDER_SERVICE, 'token', '--user', 'u'];
  const { code, stdout } = await runProgram(token, {
    NODE_ENV: 'production',
    MONGO_URL: 'wrong',
    PORT: 'wrong',
    JWT_KEY,
  });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^eyJ[\w.-]+\n$/);
});

describeWith(['mongod', 'nats-streaming-server', 'openssl'], 'the settings of database and broker', () => {
  let mongod: ServerProcess;
  let files: Certificates;
  let folder: string;
  let nats: ServerProcess | undefined;
  const services: ServiceProcess[] = [];

  beforeAll(async () => {
    mongod = await startMongod();
    files = makeCertificates();
    folder = mkdtempSync(join(tmpdir(), 'settings-'));
    writeFileSync(join(folder, 'password'), `${PASSWORD}\n`);
  });

  afterEach(async () => {
    await Promise.all(services.splice(0).map((service) => service.kill('SIGKILL')));
    await nats?.stop();
    nats = undefined;
  });

  afterAll(async () => {
    await mongod?.stop();
    files?.remove();
    if (folder) rmSync(folder, { recursive: true });
  });

  async function start(env: Record<string, string>): Promise<ServiceProcess> {
    const service = await startService({ MONGO_URL: mongod.url, ...env });
    services.push(service);
    return service;
  }

  async function isReady(service: ServiceProcess): Promise<void> {
    await eventually(async () => expect(await service.ready()).toBe(true), 20_000);
  }

  /** Resolves when it has tried this often to connect to the broker, and gives these reasons, each once. */
  async function reasons(service: ServiceProcess, attempts: number, expected: unknown[]): Promise<void> {
    await eventually(async () => {
      const metrics = await (await fetch(`${service.url}/metrics`)).text();
      const [, count] = /retries_total\{operation="broker_connection"\} (\d+)/.exec(metrics) ?? [];
      expect(Number(count)).toBeGreaterThanOrEqual(attempts);
    }, 25_000);
    await eventually(() => {
      const said = service.lines.flatMap((line) => (JSON.parse(line) as { reason?: string }).reason ?? []);
      expect(said).toEqual(expected);
    });
  }

  async function everythingSaid(service: ServiceProcess): Promise<string> {
    const pages = ['/livez', '/readyz', '/metrics'].map(async (path) =>
      (await fetch(`${service.url}${path}`)).text(),
    );
    return [...service.lines, ...(await Promise.all(pages))].join('\n');
  }

  it('the old service: its variables alone, and the database is the one that they name', async () => {
    nats = await startNatsStreamingServer();
    const service = await start({
      NODE_ENV: '',
      LOG_FORMAT: 'json',
      MONGO_URL: '',
      MONGO_URI: mongod.url,
      JWT_KEY: 'asdf',
      NATS_URL: nats.url.replace('nats:', 'http:'),
      NATS_CLUSTER_ID: 'ticketing',
      NATS_CLIENT_ID: 'orders-depl-7d9',
    });
    await isReady(service);
    await eventually(() => expect(service.lines.join('\n')).toContain('connected to the database'));
    const said = service.lines.join('\n');
    expect(said).toContain('MONGO_URI is an old name: set MONGO_URL instead');
    expect(said).toContain('JWT_KEY is shorter than 32 bytes');
    expect(said).not.toContain('IN MEMORY');
  });

  it.each([
    ['outside the URL', (at: string) => ({ NATS_URL: `nats://${at}`, NATS_USERNAME: 'or:ders' })],
    [
      'in the URL',
      (at: string) => ({
        NATS_URL: `nats://or%3Aders:${encodeURIComponent(PASSWORD)}@${at}`,
        NATS_PASSWORD_FILE: '',
      }),
    ],
  ])('a broker with credentials of any characters, %s', async (_, settings) => {
    nats = await startNatsStreamingServer(['--user', 'or:ders', '--pass', PASSWORD]);
    const service = await start({
      NATS_PASSWORD_FILE: join(folder, 'password'),
      ...settings(new URL(nats.url).host),
    });
    await isReady(service);
    const where = `"url":"${nats.url}"`;
    await eventually(() => expect(service.lines.join('\n')).toContain(where));
    expect(await everythingSaid(service)).not.toMatch(/Qz7|p@ss|p%40ss|or:ders|or%3A/);
  });

  it('a broker with a token, whose URL is in a file', async () => {
    nats = await startNatsStreamingServer(['--auth', 't@ken']);
    writeFileSync(join(folder, 'nats-url'), nats.url.replace('//', '//t%40ken@'));
    const service = await start({ NATS_URL_FILE: join(folder, 'nats-url') });
    await isReady(service);
    expect(await everythingSaid(service)).not.toMatch(/t@ken|t%40ken/);
  });

  it('an encrypted broker behind an address where nothing is: the service, its smoke test and its operator', async () => {
    const tls = [
      '--tls',
      '--tlsverify',
      '--tlscert',
      files.cert,
      '--tlskey',
      files.key,
      '--tlscacert',
      files.ca,
    ];
    const own = [
      ...['--tls_client_cert', files.cert, '--tls_client_key', files.key],
      ...['--tls_client_cacert', files.ca],
    ];
    nats = await startNatsStreamingServer([...tls, ...own, '--user', 'orders', '--pass', PASSWORD]);
    const settings = {
      NATS_URL: `tls://127.0.0.1:${await freePort()},tls://127.0.0.1:${nats.port}`,
      NATS_USERNAME: 'orders',
      NATS_PASSWORD: PASSWORD,
      NATS_CA_FILE: files.ca,
      NATS_CERT_FILE: files.cert,
      NATS_KEY_FILE: files.key,
    };
    const service = await start(settings);
    await isReady(service);

    const smoke = await runProgram([ORDER_SERVICE, 'smoke'], {
      ...settings,
      JWT_KEY,
      ORDERS_URL: `${service.url}/api/v1/orders`,
    });
    expect(smoke.stdout).toMatch(/^ok {3}connect to the broker\n(ok .*\n)+$/);
    expect(smoke.code).toBe(0);

    const republish = [ORDER_SERVICE, 'outbox', 'republish', '--all', '--json'];
    const admin = await runProgram(republish, { ...settings, NODE_ENV: 'production', MONGO_URL: mongod.url });
    expect(JSON.parse(admin.stdout)).toMatchObject({ republished: expect.any(Number) });
    expect(admin.code).toBe(0);
    expect([admin.stderr, smoke.stderr, await everythingSaid(service)].join('\n')).not.toMatch(/Qz7|p@ss/);
  }, 60_000);

  it.each([
    ['that another CA signed', '127.0.0.1', () => files.otherCa, /certificate/],
    ['for another host', 'localhost', () => files.ca, /Hostname\/IP does not match/],
  ])('a broker that shows a certificate %s: no connection, and it is said why', async (_, host, ca, why) => {
    nats = await startNatsStreamingServer([
      ...['--tls', '--tlscert', files.cert, '--tlskey', files.key, '--tls_client_cacert', files.ca],
    ]);
    const service = await start({ NATS_URL: `tls://${host}:${nats.port}`, NATS_CA_FILE: ca() });
    await reasons(service, 2, [expect.stringMatching(why)]);
    expect(service.lines.join('\n')).not.toContain('connected to the broker');
  });

  it('tls:// to a server that is not encrypted: no connection, and no credentials', async () => {
    let received = '';
    const info = { server_id: 'plain', version: '2.0.0', proto: 1, max_payload: 1_048_576 };
    const plain = createServer((socket) => {
      socket.on('error', () => {}).on('data', (data) => (received += String(data)));
      socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    }).listen(0, '127.0.0.1');
    await once(plain, 'listening');
    const at = `127.0.0.1:${(plain.address() as AddressInfo).port}`;
    try {
      const secretly = await start({ NATS_URL: `tls://u:Qz7@${at}` });
      await reasons(secretly, 2, ['Server does not support a secure connection.']);
      expect(received).toBe('');

      await start({ NATS_URL: `nats://u:Qz7@${at}`, NATS_CLIENT_ID: 'open' });
      await eventually(() => expect(received).toContain('"pass":"Qz7"'));
    } finally {
      plain.close();
    }
  });

  it('another cluster id: the log names it as the likely cause, once', async () => {
    nats = await startNatsStreamingServer();
    const service = await start({ NATS_URL: nats.url, NATS_CLUSTER_ID: 'another' });
    await reasons(service, 3, [expect.stringMatching(/timeout.*NATS_CLUSTER_ID=another\b/)]);
  }, 60_000);

  it('a broker that does not say a word: the log names the cluster id', async () => {
    const silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const service = await start({ NATS_URL: `nats://127.0.0.1:${port}` });
    try {
      await reasons(service, 1, [expect.stringMatching(/took too long.*NATS_CLUSTER_ID=ticketing\b/)]);
    } finally {
      silent.close();
    }
  });

  it('several addresses where nothing is: each is said once', async () => {
    const ports = [await freePort(), await freePort()];
    const service = await start({ NATS_URL: ports.map((port) => `nats://127.0.0.1:${port}`).join(',') });
    const expected = ports.map((port) => expect.stringMatching(`ECONNREFUSED 127.0.0.1:${port}`));
    await reasons(service, 5, expected);
  });

  it('a client id that another replica has: the log names it', async () => {
    nats = await startNatsStreamingServer();
    const first = await start({ NATS_URL: nats.url });
    await isReady(first);
    const second = await start({ NATS_URL: nats.url });
    await reasons(second, 3, [expect.stringMatching(/already registered.*NATS_CLIENT_ID=order-service\b/)]);
    expect(await first.ready()).toBe(true);
  }, 60_000);

  it('dead letters in production: with the database alone', async () => {
    const env = { NODE_ENV: 'production', MONGO_URL: mongod.url, PORT: 'wrong', NATS_URL: 'wrong' };
    expect(await runProgram([ORDER_SERVICE, 'dead-letters', 'list'], env)).toEqual({
      code: 0,
      stdout: 'There are no dead letters.\n',
      stderr: '',
    });
    expect((await runProgram([ORDER_SERVICE, 'outbox', 'republish', '--all'], env)).stderr).toMatch(
      /^NATS_URL: /m,
    );
    expect((await runProgram([ORDER_SERVICE, 'dead-letters', 'list'], {})).stderr).toMatch(
      /^MONGO_URL: is required/m,
    );
  });
});
