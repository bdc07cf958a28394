import { z } from 'zod';
import { CLIENT_ID, CLUSTER_ID, readBroker } from './broker';
import { readDatabase } from './database';
import { readEnvironment, wholeNumber, type Environment, type Given } from './environment';
import { GRACE_SECONDS, readTimes } from './expiration';
import { DEVELOPMENT_JWT_KEY, isHost, isLoopback, readKeys } from './keys';

export { DEVELOPMENT_JWT_KEY, type Environment };

/** All settings of the service, frozen. */
export type Config = ReturnType<typeof loadConfig>;

/** Every setting that is wrong, each as `NAME: what is wrong with it`. Never holds a value of a secret. */
export class InvalidSettings extends Error {
  readonly code = 'invalid-settings';
  override readonly name = 'InvalidSettings';
  constructor(readonly problems: readonly string[]) {
    super(`${problems.length} ${problems.length === 1 ? 'setting is' : 'settings are'} wrong`);
  }
}

const RESERVED_PATHS = ['/livez', '/readyz', '/metrics', '/openapi.json'];
const SHORTEST_GOOD_SHUTDOWN_SECONDS = 10;

/** Exactly as browsers send it: in lower case, and without the default port of the scheme. */
function isOrigin(text: string): boolean {
  return /^https?:[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

const settings = {
  NODE_ENV: z
    .string()
    .refine((text) => text === 'production' || !/^\s*prod/i.test(text), 'must be written as production')
    .default('development'),
  HOST: z
    .string()
    .refine(isHost, 'must be an address or a name, without brackets, scheme and port')
    .optional(),
  PORT: wholeNumber(0, 65535).default(3000),
  API_BASE_PATH: z
    .string()
    .regex(/^(\/|(\/[\w.~-]+)+)$/, 'must be / or a path like /api/v1/orders, without a slash at the end')
    .refine(
      (path) => !RESERVED_PATHS.includes(path.toLowerCase()),
      `must not be one of ${RESERVED_PATHS.join(', ')}`,
    )
    .default('/api/v1/orders'),
  RATE_LIMIT_PER_MINUTE: wholeNumber(0, 1_000_000_000).default(60_000),
  MAX_OPEN_ORDERS_PER_USER: wholeNumber(0, 1_000).default(0),
  // Above ten minutes, the longest idle timeout of the usual load balancers.
  KEEP_ALIVE_SECONDS: wholeNumber(1, 24 * 3600).default(620),
  CORS_ORIGINS: z
    .string()
    .transform((text) => text.split(',').map((origin) => origin.trim()))
    .refine(
      (origins) => origins.every(isOrigin),
      'must be origins like https://shop.example, separated by commas: no path or slash at the end, no * and no null',
    )
    .default([]),
  NATS_CLUSTER_ID: CLUSTER_ID,
  NATS_CLIENT_ID: CLIENT_ID,
  // Also the durable name, in which the broker refuses a colon.
  QUEUE_GROUP_NAME: z
    .string()
    .regex(/^[\w.-]+$/, 'may contain letters, digits, ., - and _ only')
    .default('order-service'),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  LOG_FORMAT: z.enum(['json', 'pretty']).optional(),
  SHUTDOWN_SECONDS: wholeNumber(1, 3600).default(20),
};

/** Reads the settings. Throws {@link InvalidSettings} with all problems. */
export function loadConfig(environment: Environment, { isTerminal = false } = {}) {
  return load(environment, (given) => readConfig(given, isTerminal));
}

/** Undefined: a problem was found. */
export function readConfig(given: Given, isTerminal: boolean) {
  const production = given.get('NODE_ENV') === 'production';
  if (production) mustHave(given, ['MONGO_URL', 'NATS_URL'], 'is required in production');
  const jwt = readKeys(given, whatIsReal(given));
  const env = given.read(settings);
  const mongoUrl = readDatabase(given);
  const servers = readBroker(given) ?? [];
  const times = readTimes(given);
  if (!env || !times) return undefined;
  warnOfEmbedded(given);
  if (production && env.SHUTDOWN_SECONDS < SHORTEST_GOOD_SHUTDOWN_SECONDS) {
    given.warn(
      `SHUTDOWN_SECONDS is below ${SHORTEST_GOOD_SHUTDOWN_SECONDS}: a stop may interrupt work in flight, ` +
        'because the database and the broker may take 5 seconds each',
    );
  }
  const { expiration, redeliveryWaitSeconds } = times;
  return {
    production,
    http: toHttp(env, mongoUrl === undefined),
    jwt,
    /** Undefined: the embedded store. */
    mongoUrl,
    nats: {
      /** Its servers, with commas between and without credentials. Undefined: the embedded broker. */
      url: servers.length === 0 ? undefined : servers.map(({ url }) => url).join(','),
      servers,
      clusterId: env.NATS_CLUSTER_ID,
      clientId: env.NATS_CLIENT_ID,
      /** Queue group and durable name. */
      queueGroup: env.QUEUE_GROUP_NAME,
      /** How long the broker waits for an acknowledgement before it delivers again. */
      redeliveryWaitSeconds,
    },
    expiration,
    /** 0: no limit. */
    maxOpenOrdersPerUser: env.MAX_OPEN_ORDERS_PER_USER,
    log: {
      level: env.LOG_LEVEL,
      format: env.LOG_FORMAT ?? (isTerminal && !production ? 'pretty' : 'json'),
    },
    /** The deadline for an orderly stop. */
    shutdownSeconds: env.SHUTDOWN_SECONDS,
    /** Settings that are allowed but risky, to be logged at start. */
    warnings: given.warnings,
  };
}

function toHttp(env: z.output<z.ZodObject<typeof settings>>, isEmbedded: boolean) {
  return {
    /** Undefined: all interfaces. With the embedded store only this machine: the default key is public. */
    host: env.HOST ?? (isEmbedded ? '127.0.0.1' : undefined),
    port: env.PORT,
    /** The path of the orders, without a slash at the end: empty for the root. */
    basePath: env.API_BASE_PATH === '/' ? '' : env.API_BASE_PATH,
    /** Requests per user and replica; 0 switches the limit off. */
    rateLimitPerMinute: env.RATE_LIMIT_PER_MINUTE,
    /** How long a connection is kept between two requests. */
    keepAliveSeconds: env.KEEP_ALIVE_SECONDS,
    /** The origins whose pages may use the API. */
    corsOrigins: env.CORS_ORIGINS,
  };
}

/** The settings of a command: the database and, with `broker`, the broker. */
export function loadCommandConfig(env: Environment, { broker }: { broker: boolean }) {
  return load(env, (given) => {
    mustHave(given, broker ? ['MONGO_URL', 'NATS_URL'] : ['MONGO_URL'], 'is required');
    const mongoUrl = readDatabase(given);
    const nats = broker ? readPublisher(given) : undefined;
    return mongoUrl === undefined ? undefined : { mongoUrl, nats, warnings: given.warnings };
  });
}

/** The settings of an import: this service's database and the old one, which must be another. */
export function loadImportConfig(env: Environment) {
  return load(env, (given) => {
    mustHave(given, ['MONGO_URL', 'OLD_MONGO_URL'], 'is required');
    const mongoUrl = readDatabase(given);
    const oldMongoUrl = readDatabase(given, 'OLD_MONGO');
    if (mongoUrl === undefined || oldMongoUrl === undefined) return undefined;
    if (placeOf(mongoUrl) === placeOf(oldMongoUrl)) {
      given.refuse('OLD_MONGO_URL', 'names the same database as MONGO_URL');
    }
    return { mongoUrl, oldMongoUrl, warnings: given.warnings };
  });
}

/** Hosts and database of a URL, without user and options. */
function placeOf(url: string): string {
  return url
    .replace(/^[^/]*\/\/([^@]*@)?/, '')
    .replace(/\?.*$/, '')
    .toLowerCase();
}

export type CommandConfig = ReturnType<typeof loadCommandConfig>;

function readPublisher(given: Given) {
  const servers = readBroker(given);
  const ids = given.read({ NATS_CLUSTER_ID: CLUSTER_ID, NATS_CLIENT_ID: CLIENT_ID });
  return servers && ids && { servers, clusterId: ids.NATS_CLUSTER_ID, clientId: ids.NATS_CLIENT_ID };
}

/** How long the sweep waits after an order's `expiresAt`; no other setting is checked. */
export function loadGraceSeconds(env: Environment): number {
  return load(env, (given) => given.read({ EXPIRATION_GRACE_SECONDS: GRACE_SECONDS }))
    .EXPIRATION_GRACE_SECONDS;
}

/** The settings of a peer that signs its own tokens. */
export function loadPeerConfig(env: Environment) {
  return load(env, (given) => {
    for (const name of ['NATS_URL', 'JWT_KEY']) {
      if (!given.has(name)) given.refuse(name, 'is not set');
    }
    const servers = readBroker(given);
    const ids = given.read({ NATS_CLUSTER_ID: CLUSTER_ID });
    const jwtKey = given.get('JWT_KEY');
    return servers && ids && jwtKey ? { servers, clusterId: ids.NATS_CLUSTER_ID, jwtKey } : undefined;
  });
}

export type PeerConfig = ReturnType<typeof loadPeerConfig>;

/** The key of a service with this environment; its other settings are not checked. */
export function loadSigningKey(env: Environment): string {
  return load(env, (given) => ({ key: given.get('JWT_KEY') ?? DEVELOPMENT_JWT_KEY })).key;
}

export function load<T extends object>(env: Environment, read: (given: Given) => T | undefined): Frozen<T> {
  const given = readEnvironment(env);
  const config = read(given);
  if (config === undefined || given.problems.length > 0) throw new InvalidSettings(given.problems);
  return freeze(config);
}

function mustHave(given: Given, secrets: readonly string[], why: string): void {
  for (const name of secrets) {
    if (!given.has(name)) given.refuse(name, `${why} (or ${name}_FILE)`);
  }
}

function whatIsReal(given: Given): string[] {
  const host = given.get('HOST');
  return [
    ...(given.get('NODE_ENV') === 'production' ? ['NODE_ENV is production'] : []),
    ...['MONGO_URL', 'NATS_URL'].filter(given.has).map((name) => `${name} is set`),
    ...(host !== undefined && !isLoopback(host) ? ['others can reach the address in HOST'] : []),
  ];
}

/** Warns of an embedded store or broker: their data is lost. */
function warnOfEmbedded(given: Given): void {
  const store = !given.has('MONGO_URL');
  const broker = !given.has('NATS_URL');
  if (store && broker && !given.has('JWT_KEY')) {
    given.warn(
      'EVERYTHING IS KEPT IN MEMORY and lost at the end, and everyone knows the key: for development only',
    );
  } else if (store && broker) {
    given.warn('MONGO_URL and NATS_URL are not set: everything is kept IN MEMORY and lost at the end');
  } else if (store) {
    given.warn(
      'MONGO_URL is not set and NATS_URL is: orders are kept IN MEMORY and lost at the end, ' +
        'and with them all messages that QUEUE_GROUP_NAME acknowledges',
    );
  } else if (broker) {
    given.warn(
      'NATS_URL is not set and MONGO_URL is: events are published IN MEMORY and reach no other service, ' +
        'and those of the orders in the database stay marked as published',
    );
  }
}

type Frozen<T> = T extends object ? { readonly [Name in keyof T]: Frozen<T[Name]> } : T;

function freeze<T extends object>(value: T): Frozen<T> {
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) freeze(inner as object);
  }
  return Object.freeze(value) as Frozen<T>;
}
