import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEVELOPMENT_JWT_KEY, InvalidSettings, loadConfig } from '../src/config';

const KEY = 'k'.repeat(32);
const production = {
  NODE_ENV: 'production',
  MONGO_URL: 'mongodb://user:secret@db:27017/orders',
  NATS_URL: 'http://nats-srv:4222',
  JWT_KEY: KEY,
};

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof InvalidSettings) return error.problems;
    throw error;
  }
  return [];
}

describe('settings', () => {
  it('have the defaults of the usual manifests', () => {
    const config = loadConfig({});
    expect(config).toMatchObject({
      production: false,
      http: { host: '127.0.0.1', port: 3000, basePath: '/api/v1/orders' },
      mongoUrl: undefined,
      nats: {
        url: undefined,
        clusterId: 'ticketing',
        clientId: 'order-service',
        queueGroup: 'order-service',
      },
      expiration: { windowSeconds: 900, graceSeconds: 60, catchUpSeconds: 15 },
      jwt: { key: DEVELOPMENT_JWT_KEY },
    });
  });

  it('are frozen through and through', () => {
    const config = loadConfig(production);
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.nats)).toBe(true);
  });

  it('take NATS_URL with http:// and with nats://', () => {
    expect(loadConfig(production).nats.url).toBe('nats://nats-srv:4222');
    expect(loadConfig({ ...production, NATS_URL: 'nats://u:p@n:4222' }).nats.url).toBe('nats://u:p@n:4222');
  });

  it('listen on all interfaces with a database, on this machine only without', () => {
    expect(loadConfig(production).http.host).toBeUndefined();
    expect(loadConfig({ HOST: '0.0.0.0' }).http.host).toBe('0.0.0.0');
  });

  it('take an empty value for none', () => {
    expect(loadConfig({ PORT: '', MONGO_URL: ' ', JWT_KEY: '' }).http.port).toBe(3000);
  });

  it('require database, broker and key in production', () => {
    expect(problemsOf({ NODE_ENV: 'production' })).toEqual([
      'MONGO_URL: is required in production (or MONGO_URL_FILE)',
      'NATS_URL: is required in production',
      'JWT_KEY: is required in production and with a database (or JWT_KEY_FILE)',
    ]);
  });

  it('never sign with the public key where there is a database', () => {
    expect(problemsOf({ MONGO_URL: 'mongodb://db/orders' })).toEqual([
      expect.stringMatching(/^JWT_KEY: is required/),
    ]);
  });

  it('are all reported at once, by name, without the values', () => {
    const problems = problemsOf({
      ...production,
      PORT: '99999',
      API_BASE_PATH: 'orders/',
      MONGO_URL: 'postgres://user:hunter2@db',
      NATS_URL: 'nonsense',
      EXPIRATION_WINDOW_SECONDS: '1.5',
      LOG_LEVEL: 'loud',
      NATS_CLIENT_ID: 'a.b',
      QUEUE_GROUP_NAME: 'orders:v1',
      EXPIRATION_GRACE_SECONDS: '0',
    });
    expect(problems.map((problem) => problem.split(':')[0]).sort()).toEqual(
      [
        'API_BASE_PATH',
        'EXPIRATION_GRACE_SECONDS',
        'EXPIRATION_WINDOW_SECONDS',
        'LOG_LEVEL',
        'MONGO_URL',
        'NATS_CLIENT_ID',
        'NATS_URL',
        'PORT',
        'QUEUE_GROUP_NAME',
      ].sort(),
    );
    expect(problems.join()).not.toContain('hunter2');
  });

  it.each(['mongodb://user:hunter2@/orders', 'mongodb:///orders', 'mongodb://'])(
    'refuse a database without a host, which the driver would say with its password: %s',
    (MONGO_URL) => {
      const problems = problemsOf({ ...production, MONGO_URL });
      expect(problems).toEqual([expect.stringMatching(/^MONGO_URL: must be a URL with a host/)]);
      expect(problems.join()).not.toContain('hunter2');
    },
  );

  it('take database credentials of their own as they are, whatever characters they hold', () => {
    const credentials = { MONGO_USERNAME: 'orders', MONGO_PASSWORD: 'p@ss/w:rd$&%' };
    expect(loadConfig({ ...production, ...credentials, MONGO_URL: 'mongodb://db/orders' }).mongoUrl).toBe(
      'mongodb://orders:p%40ss%2Fw%3Ard%24%26%25@db/orders',
    );
  });

  it.each([
    [{ MONGO_USERNAME: 'orders', MONGO_PASSWORD: 'hunter2' }, /^MONGO_USERNAME: MONGO_URL holds a user/],
    [{ MONGO_USERNAME: 'orders', MONGO_URL: 'mongodb://db' }, /^MONGO_PASSWORD: is required/],
    [{ MONGO_PASSWORD: 'hunter2', MONGO_URL: 'mongodb://db' }, /^MONGO_USERNAME: is required/],
  ])('refuse half credentials, and two of them: %j', (env, problem) => {
    expect(problemsOf({ ...production, ...env })).toEqual([expect.stringMatching(problem)]);
  });

  it('refuse a catch-up that a redelivery would outlast', () => {
    expect(problemsOf({ CATCH_UP_SECONDS: '5', REDELIVERY_WAIT_SECONDS: '5' })).toEqual([
      expect.stringMatching(/^CATCH_UP_SECONDS: must be longer/),
    ]);
  });

  it('warn of what is embedded and of a key that could be guessed', () => {
    expect(loadConfig(production).warnings).toEqual([]);
    expect(loadConfig({}).warnings).toEqual([expect.stringContaining('IN MEMORY')]);
    expect(loadConfig({ NATS_URL: 'nats://n' }).warnings).toHaveLength(2);
    expect(loadConfig({ ...production, JWT_KEY: 'short', JWT_KEY_PREVIOUS: 'x' }).warnings).toEqual([
      'JWT_KEY is shorter than 32 bytes: it could be guessed from a token',
      'JWT_KEY_PREVIOUS is shorter than 32 bytes: it could be guessed from a token',
    ]);
  });

  it('are JSON in the log unless a person reads along', () => {
    expect(loadConfig({}).log.format).toBe('json');
    expect(loadConfig({}, { isTerminal: true }).log.format).toBe('pretty');
    expect(loadConfig(production, { isTerminal: true }).log.format).toBe('json');
    expect(loadConfig({ LOG_FORMAT: 'pretty' }).log.format).toBe('pretty');
  });
});

describe('secrets from files', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'settings-'));
    writeFileSync(join(folder, 'key'), `${KEY}\n`);
    writeFileSync(join(folder, 'empty'), '\n');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const { JWT_KEY: _, ...withoutKey } = production;

  it('are read, without the line end', () => {
    expect(loadConfig({ ...withoutKey, JWT_KEY_FILE: join(folder, 'key') }).jwt.key).toBe(KEY);
  });

  it.each([
    ['cannot be read', 'missing', /^JWT_KEY_FILE: .* cannot be read \(ENOENT\)$/],
    ['are empty', 'empty', /^JWT_KEY_FILE: .* is empty$/],
  ])('are a problem when they %s', (_, file, problem) => {
    expect(problemsOf({ ...withoutKey, JWT_KEY_FILE: join(folder, file) })).toEqual([
      expect.stringMatching(problem),
    ]);
  });

  it('are a problem beside the plain setting', () => {
    expect(problemsOf({ ...production, JWT_KEY_FILE: join(folder, 'key') })).toEqual([
      'JWT_KEY_FILE: JWT_KEY is set as well; set one of them',
    ]);
  });
});
