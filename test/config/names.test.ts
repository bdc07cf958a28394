import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  loadCommandConfig,
  loadConfig,
  loadPeerConfig,
  loadSigningKey,
  type Config,
} from '../../src/config/load-config';
import { problemsOf } from './problems';

const KEY = 'k'.repeat(32);
const MONGO_URL = 'mongodb://db:27017/orders';
const NATS_URL = 'nats://broker:4222';
const real = { MONGO_URL, NATS_URL, JWT_KEY: KEY };

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'settings-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(content: string): string {
  const path = join(folder, `${Math.random()}`);
  writeFileSync(path, content);
  return path;
}

describe('secrets from files', () => {
  const credentials = { MONGO_USERNAME: 'm', MONGO_PASSWORD: 'p', NATS_USERNAME: 'n', NATS_PASSWORD: 'q' };
  it.each([
    ['JWT_KEY', `${KEY}2`, (c: Config) => c.jwt.key, `${KEY}2`],
    ['JWT_KEY_PREVIOUS', `${KEY}3`, (c: Config) => c.jwt.previousKey, `${KEY}3`],
    ['MONGO_URL', 'mongodb://other/o', (c: Config) => c.mongoUrl, 'mongodb://m:p@other/o'],
    ['MONGO_PASSWORD', 'secret', (c: Config) => c.mongoUrl, 'mongodb://m:secret@db:27017/orders'],
    ['NATS_URL', 'nats://other:1', (c: Config) => c.nats.url, 'nats://other:1'],
    ['NATS_PASSWORD', 'secret', (c: Config) => c.nats.servers[0]?.login, { user: 'n', pass: 'secret' }],
  ])('are read for %s, without the line end', (name, content, read, expected) => {
    const { [name]: _, ...others } = { ...real, ...credentials } as Record<string, string>;
    expect(read(loadConfig({ ...others, [`${name}_FILE`]: file(`${content}\r\n`) }))).toEqual(expected);
  });

  it('keep the spaces of a password', () => {
    const { servers } = loadConfig({ ...real, NATS_USERNAME: 'n', NATS_PASSWORD_FILE: file(' p \n') }).nats;
    expect(servers[0]?.login).toEqual({ user: 'n', pass: ' p ' });
  });

  it.each([
    [
      'cannot be read',
      () => join(folder, 'missing'),
      /^JWT_KEY_FILE: the file that it names cannot be read \(ENOENT\)$/,
    ],
    ['are empty', () => file('\n'), /^JWT_KEY_FILE: the file that it names is empty$/],
  ])('are a problem when they %s', (_, path, problem) => {
    expect(problemsOf({ MONGO_URL, NATS_URL, JWT_KEY_FILE: path() })).toEqual([
      expect.stringMatching(problem),
    ]);
  });

  it('are a problem beside the plain setting', () => {
    expect(problemsOf({ ...real, JWT_KEY_FILE: file(KEY) })).toEqual([
      'JWT_KEY_FILE: JWT_KEY is set as well; set one of them',
    ]);
  });
});

describe('old names', () => {
  it('count as those of today, all that the old service is set with', () => {
    const config = loadConfig({
      MONGO_URI: 'mongodb://orders-mongo-srv:27017/orders',
      JWT_KEY: 'asdf',
      NATS_URL: 'http://nats-srv:4222',
      NATS_CLUSTER_ID: 'ticketing',
      NATS_CLIENT_ID: 'orders-depl-7d9',
    });
    expect(config).toMatchObject({
      mongoUrl: 'mongodb://orders-mongo-srv:27017/orders',
      nats: { url: 'nats://nats-srv:4222', clusterId: 'ticketing', clientId: 'orders-depl-7d9' },
      jwt: { key: 'asdf' },
    });
    expect(config.warnings).toEqual([
      'MONGO_URI is an old name: set MONGO_URL instead',
      'JWT_KEY is shorter than 32 bytes: it could be guessed from a token',
    ]);
  });

  it.each([
    ['MONGO_URI', 'MONGO_URL', 'mongodb://old/o', (c: Config) => c.mongoUrl],
    ['MONGODB_URI', 'MONGO_URL', 'mongodb://old/o', (c: Config) => c.mongoUrl],
    ['CLUSTER_ID', 'NATS_CLUSTER_ID', 'old', (c: Config) => c.nats.clusterId],
    ['CLIENT_ID', 'NATS_CLIENT_ID', 'old', (c: Config) => c.nats.clientId],
  ])('%s counts as %s', (old, name, value, read) => {
    const { [name]: _, ...others } = real as Record<string, string>;

    const alone = loadConfig({ ...others, [old]: value });
    expect(read(alone)).toBe(value);
    expect(alone.warnings).toEqual([`${old} is an old name: set ${name} instead`]);
    expect(read(loadConfig({ ...others, [old]: value, [name]: value }))).toBe(value);
  });

  it.each(['MONGO_URI', 'MONGODB_URI'])('%s is a problem beside MONGO_URL with another value', (old) => {
    const { MONGO_URL: _, ...others } = real as Record<string, string>;
    expect(problemsOf({ ...others, [old]: 'mongodb://old/o', MONGO_URL: 'mongodb://new/o' })).toEqual([
      `${old}: has another value than MONGO_URL; set only MONGO_URL`,
    ]);
  });

  it.each([
    ['CLUSTER_ID', 'NATS_CLUSTER_ID', (c: Config) => c.nats.clusterId, 'ticketing'],
    ['CLIENT_ID', 'NATS_CLIENT_ID', (c: Config) => c.nats.clientId, 'order-service'],
  ])('%s may be of another program: it is ignored, and said', (old, name, read, usual) => {
    const { [name]: _, ...others } = real as Record<string, string>;
    const ignored = [`${old} is ignored: the setting is ${name}`];

    const beside = loadConfig({ ...others, [old]: 'theirs', [name]: 'ours' });
    expect([read(beside), beside.warnings]).toEqual(['ours', ignored]);
    const unfit = loadConfig({ ...others, [old]: '123-abc.apps.example.com' });
    expect([read(unfit), unfit.warnings]).toEqual([usual, ignored]);
  });

  it('are in the problems of their values', () => {
    expect(problemsOf({ MONGO_URI: 'mongodb://db', JWT_KEY: KEY })).toEqual([
      expect.stringMatching(/^MONGO_URL \(given as MONGO_URI\): must name the database/),
    ]);
  });

  it.each(['MONGO_URI', 'MONGODB_URI'])('are read from a file too: %s_FILE', (old) => {
    const env = { JWT_KEY: KEY, [`${old}_FILE`]: file('mongodb://old/o\n') };
    expect(loadConfig(env).mongoUrl).toBe('mongodb://old/o');
    expect(problemsOf({ ...env, MONGO_URL })).toEqual([
      `${old}: has another value than MONGO_URL; set only MONGO_URL`,
    ]);
  });
});

describe('each command needs only what it uses', () => {
  const elsewhere = {
    NODE_ENV: 'production',
    PORT: 'wrong',
    CATCH_UP_SECONDS: 'wrong',
    JWT_KEY_PREVIOUS_FILE: '/missing',
  };
  const wrongBroker = { NATS_URL: 'wrong', NATS_PASSWORD_FILE: '/missing', NATS_CLIENT_ID: 'a.b' };

  it('dead letters: the database', () => {
    const env = { ...elsewhere, ...wrongBroker, JWT_KEY_FILE: '/missing', MONGO_URL };
    expect(loadCommandConfig(env, { broker: false })).toMatchObject({ mongoUrl: MONGO_URL, nats: undefined });
    expect(problemsOf(elsewhere, (given) => loadCommandConfig(given, { broker: false }))).toEqual([
      'MONGO_URL: is required (or MONGO_URL_FILE)',
    ]);
  });

  it('the outbox: the broker too', () => {
    const withBroker = (env: Record<string, string>) => loadCommandConfig(env, { broker: true });
    expect(withBroker({ ...elsewhere, MONGO_URL, NATS_URL }).nats).toMatchObject({
      servers: [{ url: NATS_URL }],
    });
    expect(problemsOf({ ...elsewhere, MONGO_URL }, withBroker)).toEqual([
      'NATS_URL: is required (or NATS_URL_FILE)',
    ]);
    const problems = problemsOf({ ...elsewhere, MONGO_URL, ...wrongBroker }, withBroker);
    expect(problems.map((problem) => problem.split(':')[0])).toEqual([
      'NATS_URL',
      'NATS_PASSWORD_FILE',
      'NATS_USERNAME',
      'NATS_CLIENT_ID',
    ]);
  });

  it('a peer: the broker and the key', () => {
    const env = {
      ...elsewhere,
      NATS_CLIENT_ID: 'a.b',
      MONGO_URL: 'wrong',
      NATS_URL,
      JWT_KEY_FILE: file(KEY),
    };
    expect(loadPeerConfig(env)).toEqual({
      servers: [{ url: NATS_URL }],
      clusterId: 'ticketing',
      jwtKey: KEY,
    });
    expect(problemsOf(elsewhere, loadPeerConfig)).toEqual(['NATS_URL: is not set', 'JWT_KEY: is not set']);
  });

  it('a token: the key', () => {
    expect(loadSigningKey({ ...elsewhere, ...wrongBroker, MONGO_URL: 'wrong', JWT_KEY: KEY })).toBe(KEY);
    expect(loadSigningKey({ ...elsewhere, JWT_KEY_FILE: file(KEY) })).toBe(KEY);
  });
});
