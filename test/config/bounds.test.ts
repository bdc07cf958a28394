import { InvalidSettings, loadConfig } from '../../src/config/load-config';
import { problemsOf } from './problems';

const KEY = 'k'.repeat(32);
const YEAR = 365 * 24 * 3600;

describe('a number', () => {
  /** With what the other times have to be, so that they still fit. */
  const others: Record<string, string> = {
    EXPIRATION_WINDOW_SECONDS: String(YEAR),
    CATCH_UP_LIMIT_SECONDS: String(YEAR),
    CATCH_UP_SECONDS: '3601',
  };

  it.each([
    ['PORT', 0, 65_535],
    ['RATE_LIMIT_PER_MINUTE', 0, 1_000_000_000],
    ['MAX_OPEN_ORDERS_PER_USER', 0, 1_000],
    ['REDELIVERY_WAIT_SECONDS', 1, 3_600],
    ['EXPIRATION_WINDOW_SECONDS', 1, YEAR],
    ['EXPIRATION_GRACE_SECONDS', 1, YEAR],
    ['CATCH_UP_SECONDS', 1, YEAR],
    ['CATCH_UP_LIMIT_SECONDS', 1, YEAR],
    ['SHUTDOWN_SECONDS', 1, 3_600],
  ])('%s is between %d and %d', (name, least, most) => {
    const problems = (value: number | string) => problemsOf({ ...others, [name]: String(value) });
    const outside = `${name}: must be between ${least} and ${most}`;
    expect([problems(least), problems(most)].flat()).not.toContain(outside);
    expect(problems(most + 1)).toEqual([outside]);
    if (least > 0) expect(problems(least - 1)).toEqual([outside]);
  });

  it.each(['1.5', '-1', '1e3', '0x10', ' 5', '5 ', '5s', 'many'])('is not %j', (value) => {
    expect(problemsOf({ PORT: value })).toEqual(['PORT: must be a whole number']);
  });

  it('may have more than one digit', () => {
    expect(loadConfig({ PORT: '08080' }).http.port).toBe(8_080);
  });
});

describe('a text', () => {
  const good: [name: string, value: string][] = [
    ['API_BASE_PATH', '/orders'],
    ['API_BASE_PATH', '/a/b.c/d~e/f-g/h_1'],
    ['NATS_CLIENT_ID', 'orders_7d-x2'],
    ['QUEUE_GROUP_NAME', 'orders.v2_a-b'],
    ...['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map((level): [string, string] => [
      'LOG_LEVEL',
      level,
    ]),
  ];
  const path = /^API_BASE_PATH: must be \/ or a path like \/api\/v1\/orders/;
  const bad: [name: string, value: string, problem: RegExp][] = [
    ...['orders', '/orders/', '//', '//orders', '/a//b', '/a b', '/a?b', '/:id', 'x/orders', '/orders#'].map(
      (value): [string, string, RegExp] => ['API_BASE_PATH', value, path],
    ),
    ...['a.b', 'a b', '?a', 'a!'].map((value): [string, string, RegExp] => [
      'NATS_CLIENT_ID',
      value,
      /^NATS_CLIENT_ID: may contain letters, digits, - and _ only$/,
    ]),
    ...['a:b', 'a b', '!a', 'a?'].map((value): [string, string, RegExp] => [
      'QUEUE_GROUP_NAME',
      value,
      /^QUEUE_GROUP_NAME: may contain letters, digits, \., - and _ only$/,
    ]),
    ['LOG_LEVEL', 'loud', /^LOG_LEVEL: .*"fatal"\|"error"\|"warn"\|"info"\|"debug"\|"trace"\|"silent"/],
    ['LOG_FORMAT', 'xml', /^LOG_FORMAT: .*"json"\|"pretty"/],
  ];

  it.each(good)('may be %s=%s', (name, value) => {
    expect(problemsOf({ [name]: value })).toEqual([]);
  });

  it.each(bad)('may not be %s=%s', (name, value, problem) => {
    expect(problemsOf({ [name]: value })).toEqual([expect.stringMatching(problem)]);
  });
});

describe('wrong settings', () => {
  it('are an error that says how many there are, by its own name and code', () => {
    const errorOf = (env: Record<string, string>) => {
      try {
        loadConfig(env);
      } catch (error) {
        return error;
      }
      throw new Error('nothing is wrong');
    };
    expect(errorOf({ PORT: 'x' })).toMatchObject({
      name: 'InvalidSettings',
      code: 'invalid-settings',
      message: '1 setting is wrong',
    });
    expect(errorOf({ PORT: 'x', LOG_LEVEL: 'x' })).toMatchObject({ message: '2 settings are wrong' });
    expect(errorOf({ PORT: 'x' })).toBeInstanceOf(InvalidSettings);
  });
});

describe('the warning of what is embedded', () => {
  const JWT_KEY = KEY;
  const MONGO_URL = 'mongodb://db/orders';
  const NATS_URL = 'nats://broker';

  it.each([
    [{}, /^EVERYTHING IS KEPT IN MEMORY and lost at the end, and everyone knows the key/],
    [{ JWT_KEY }, /^MONGO_URL and NATS_URL are not set: everything is kept IN MEMORY/],
    [{ JWT_KEY, NATS_URL }, /^MONGO_URL is not set and NATS_URL is: orders are kept IN MEMORY .*messages/],
    [
      { JWT_KEY, MONGO_URL },
      /^NATS_URL is not set and MONGO_URL is: events are published IN MEMORY .*as published$/,
    ],
  ])('tells with %j what is lost', (env, warning) => {
    expect(loadConfig(env).warnings).toEqual([expect.stringMatching(warning)]);
  });

  it('is not given where nothing is', () => {
    expect(loadConfig({ JWT_KEY, MONGO_URL, NATS_URL }).warnings).toEqual([]);
  });
});
