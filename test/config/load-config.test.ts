import { DEVELOPMENT_JWT_KEY, loadConfig, type Config } from '../../src/config/load-config';
import { problemsOf } from './problems';

const KEY = 'k'.repeat(32);
const production = {
  NODE_ENV: 'production',
  MONGO_URL: 'mongodb://user:secret@db:27017/orders',
  NATS_URL: 'http://nats-srv:4222',
  JWT_KEY: KEY,
};

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
    expect(loadConfig({ ...production, NATS_URL: 'nats://n:4223' }).nats.url).toBe('nats://n:4223');
  });

  it('listen on all interfaces with a database, on this machine only without', () => {
    expect(loadConfig(production).http.host).toBeUndefined();
    expect(loadConfig({ JWT_KEY: KEY }).http.host).toBe('127.0.0.1');
    expect(loadConfig({ JWT_KEY: KEY, HOST: '0.0.0.0' }).http.host).toBe('0.0.0.0');
  });

  it.each([
    ['HOST', 'orders.local', (c: Config) => c.http.host, 'orders.local'],
    ['PORT', '3001', (c: Config) => c.http.port, 3001],
    ['API_BASE_PATH', '/api/orders', (c: Config) => c.http.basePath, '/api/orders'],
    ['RATE_LIMIT_PER_MINUTE', '7', (c: Config) => c.http.rateLimitPerMinute, 7],
    ['MAX_OPEN_ORDERS_PER_USER', '4', (c: Config) => c.maxOpenOrdersPerUser, 4],
    [
      'JWT_KEY',
      'another key that is long enough for all',
      (c: Config) => c.jwt.key,
      'another key that is long enough for all',
    ],
    ['JWT_KEY_PREVIOUS', KEY, (c: Config) => c.jwt.previousKey, KEY],
    ['MONGO_URL', 'mongodb://a,b:27018/o', (c: Config) => c.mongoUrl, 'mongodb://a,b:27018/o'],
    ['NATS_URL', 'nats://a', (c: Config) => c.nats.url, 'nats://a:4222'],
    ['NATS_CLUSTER_ID', 'another.one', (c: Config) => c.nats.clusterId, 'another.one'],
    ['NATS_CLIENT_ID', 'pod-1', (c: Config) => c.nats.clientId, 'pod-1'],
    ['QUEUE_GROUP_NAME', 'orders.v2', (c: Config) => c.nats.queueGroup, 'orders.v2'],
    ['REDELIVERY_WAIT_SECONDS', '6', (c: Config) => c.nats.redeliveryWaitSeconds, 6],
    ['EXPIRATION_WINDOW_SECONDS', '60', (c: Config) => c.expiration.windowSeconds, 60],
    ['EXPIRATION_GRACE_SECONDS', '61', (c: Config) => c.expiration.graceSeconds, 61],
    ['CATCH_UP_SECONDS', '16', (c: Config) => c.expiration.catchUpSeconds, 16],
    ['CATCH_UP_LIMIT_SECONDS', '601', (c: Config) => c.expiration.catchUpLimitSeconds, 601],
    ['LOG_LEVEL', 'debug', (c: Config) => c.log.level, 'debug'],
    ['LOG_FORMAT', 'pretty', (c: Config) => c.log.format, 'pretty'],
    ['SHUTDOWN_SECONDS', '21', (c: Config) => c.shutdownSeconds, 21],
    ['NODE_ENV', 'staging', (c: Config) => c.production, false],
  ])('take %s', (name, value, read, expected) => {
    expect(read(loadConfig(production))).not.toEqual(expected);
    expect(read(loadConfig({ ...production, [name]: value }))).toEqual(expected);
  });

  it.each([
    ['NODE_ENV', 'Production', /^NODE_ENV: must be written as production$/],
    ['NODE_ENV', 'prod', /^NODE_ENV: must be written as production$/],
    ['HOST', '[::1]', /^HOST: must be an address or a name/],
    ['HOST', 'http://0.0.0.0', /^HOST: must be an address or a name/],
    ['HOST', '0.0.0.0:3000', /^HOST: must be an address or a name/],
    [
      'API_BASE_PATH',
      '/Metrics',
      /^API_BASE_PATH: must not be one of \/livez, \/readyz, \/metrics, \/openapi\.json$/,
    ],
    ['NATS_CLUSTER_ID', 'a b', /^NATS_CLUSTER_ID: must be the id of a cluster/],
    ['NATS_CLUSTER_ID', 'a..b', /^NATS_CLUSTER_ID: must be the id of a cluster/],
    ['NATS_CLUSTER_ID', '>', /^NATS_CLUSTER_ID: must be the id of a cluster/],
    ['NATS_CLUSTER_ID', 'a.*', /^NATS_CLUSTER_ID: must be the id of a cluster/],
  ])('refuse %s=%s', (name, value, problem) => {
    expect(problemsOf({ ...production, [name]: value })).toEqual([expect.stringMatching(problem)]);
  });

  it('take an empty value for none', () => {
    expect(loadConfig({ PORT: '', MONGO_URL: ' ', JWT_KEY: '' }).http.port).toBe(3000);
  });

  it('require database, broker and key in production', () => {
    expect(problemsOf({ NODE_ENV: 'production' })).toEqual([
      'MONGO_URL: is required in production (or MONGO_URL_FILE)',
      'NATS_URL: is required in production (or NATS_URL_FILE)',
      'JWT_KEY: is required because NODE_ENV is production (or JWT_KEY_FILE)',
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
        ...['API_BASE_PATH', 'EXPIRATION_GRACE_SECONDS', 'EXPIRATION_WINDOW_SECONDS', 'LOG_LEVEL'],
        ...['MONGO_URL', 'NATS_CLIENT_ID', 'NATS_URL', 'PORT', 'QUEUE_GROUP_NAME'],
      ].sort(),
    );
    expect(problems.join()).not.toContain('hunter2');
  });

  it('keep idle connections for longer than ten minutes, or as long as they are told to', () => {
    expect(loadConfig({}).http.keepAliveSeconds).toBeGreaterThan(600);
    expect(loadConfig({ KEEP_ALIVE_SECONDS: '1' }).http.keepAliveSeconds).toBe(1);
    expect(loadConfig({ KEEP_ALIVE_SECONDS: '86400' }).http.keepAliveSeconds).toBe(86_400);
    for (const KEEP_ALIVE_SECONDS of ['0', '86401', '1.5', '-1', '10m']) {
      expect(problemsOf({ KEEP_ALIVE_SECONDS })).toEqual([expect.stringMatching(/^KEEP_ALIVE_SECONDS: /)]);
    }
  });

  it('let no other origin in, unless it is named', () => {
    const originsIn = (CORS_ORIGINS: string) => loadConfig({ CORS_ORIGINS }).http.corsOrigins;

    expect(originsIn('')).toEqual([]);
    expect(loadConfig({}).http.corsOrigins).toEqual([]);
    expect(originsIn('https://shop.example')).toEqual(['https://shop.example']);
    expect(originsIn('https://shop.example, http://localhost:5173,https://[::1]:8443')).toEqual([
      'https://shop.example',
      'http://localhost:5173',
      'https://[::1]:8443',
    ]);
  });

  it.each([
    ...['*', 'null', 'https://*.shop.example', 'https://shop.example/', 'https://shop.example/path'],
    ...['https://shop.example?x', 'https://shop.example#x', 'https://user:secret@shop.example'],
    ...['https://shop.example:443', 'https://Shop.example', 'shop.example', '//shop.example'],
    ...['ftp://shop.example', 'file:///x', 'https://', 'https://shop.example,'],
    ...['https://shop.example;https://other.example', 'https://shop.example https://other.example'],
    'https://shop.example,*',
  ])('refuse what is not exactly an origin: %s', (CORS_ORIGINS) => {
    const problems = problemsOf({ CORS_ORIGINS });

    expect(problems).toEqual([expect.stringMatching(/^CORS_ORIGINS: must be origins like https:/)]);
    expect(problems.join()).not.toContain('secret');
  });

  it('take a path for the orders, or the root', () => {
    expect(loadConfig({ API_BASE_PATH: '/' }).http.basePath).toBe('');
  });

  it('warn of a key that could be guessed', () => {
    expect(loadConfig(production).warnings).toEqual([]);
    expect(loadConfig({ ...production, JWT_KEY: 'short', JWT_KEY_PREVIOUS: 'x' }).warnings).toEqual([
      'JWT_KEY is shorter than 32 bytes: it could be guessed from a token',
      'JWT_KEY_PREVIOUS is shorter than 32 bytes: it could be guessed from a token',
    ]);
  });

  it('warn of a deadline in which an orderly stop may not fit', () => {
    expect(loadConfig({ ...production, SHUTDOWN_SECONDS: '9' }).warnings).toEqual([
      expect.stringMatching(/^SHUTDOWN_SECONDS is below 10/),
    ]);
    expect(loadConfig({ ...production, SHUTDOWN_SECONDS: '10' }).warnings).toEqual([]);
  });

  it('are JSON in the log unless a person reads along', () => {
    expect(loadConfig({}).log.format).toBe('json');
    expect(loadConfig({}, { isTerminal: true }).log.format).toBe('pretty');
    expect(loadConfig(production, { isTerminal: true }).log.format).toBe('json');
    expect(loadConfig({ LOG_FORMAT: 'pretty' }).log.format).toBe('pretty');
  });
});
