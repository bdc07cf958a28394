import { readFileSync } from 'node:fs';
import { z } from 'zod';

/**
 * Signs tokens where everything is kept in memory and nothing real is at stake. It is public: refused as soon as
 * there is a database.
 */
export const DEVELOPMENT_JWT_KEY = 'development only: everyone knows this key';

const SHORTEST_GOOD_KEY_BYTES = 32;

export interface Config {
  readonly production: boolean;
  readonly http: {
    /** Undefined: all interfaces. */
    readonly host: string | undefined;
    readonly port: number;
    /** Where the orders are, without a slash at the end. */
    readonly basePath: string;
    /** Requests per user and replica; 0 switches the limit off. */
    readonly rateLimitPerMinute: number;
  };
  readonly jwt: { readonly key: string; readonly previousKey: string | undefined };
  /** Undefined: the embedded store. */
  readonly mongoUrl: string | undefined;
  readonly nats: {
    /** Undefined: the embedded broker. */
    readonly url: string | undefined;
    readonly clusterId: string;
    readonly clientId: string;
    /** Queue group and durable name. */
    readonly queueGroup: string;
    /** How long the broker waits for an acknowledgement before it delivers again. */
    readonly redeliveryWaitSeconds: number;
  };
  readonly expiration: {
    /** How long an order may stay unpaid. */
    readonly windowSeconds: number;
    /** How long after that the sweep leaves it to ExpirationComplete. */
    readonly graceSeconds: number;
    readonly catchUpSeconds: number;
    readonly catchUpLimitSeconds: number;
  };
  readonly log: { readonly level: string; readonly format: 'json' | 'pretty' };
  /** The deadline for an orderly stop. */
  readonly shutdownSeconds: number;
  /** What is allowed but should be known, to be logged at start. */
  readonly warnings: readonly string[];
}

/** Every setting that is wrong, each as `NAME: what is wrong with it`. Never holds a value of a secret. */
export class InvalidSettings extends Error {
  readonly code = 'invalid-settings';
  override readonly name = 'InvalidSettings';
  constructor(readonly problems: readonly string[]) {
    super(`${problems.length} ${problems.length === 1 ? 'setting is' : 'settings are'} wrong`);
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .refine((n) => n >= least && n <= most, `must be between ${least} and ${most}`);

const seconds = (least: number) => wholeNumber(least, 365 * 24 * 3600);

const urlWith = (...protocols: string[]) =>
  z
    .string()
    .refine(
      (text) => protocols.some((protocol) => text.startsWith(`${protocol}://`)) && URL.canParse(text),
      `must be a URL that begins with ${protocols.map((protocol) => `${protocol}://`).join(' or ')}`,
    );

const settings = z.object({
  NODE_ENV: z.string().default('development'),
  HOST: z.string().optional(),
  PORT: wholeNumber(0, 65535).default(3000),
  API_BASE_PATH: z
    .string()
    .regex(/^(\/[\w.~-]+)+$/, 'must be a path like /api/v1/orders, without a slash at the end')
    .default('/api/v1/orders'),
  RATE_LIMIT_PER_MINUTE: wholeNumber(0, 1_000_000_000).default(60_000),
  JWT_KEY: z.string().optional(),
  JWT_KEY_PREVIOUS: z.string().optional(),
  // Several hosts, as a replica set has them, are not a URL that Node could parse.
  MONGO_URL: z
    .string()
    .regex(
      /^mongodb(\+srv)?:\/\/([^\s@]*@)?[^\s@/?]+([/?]\S*)?$/,
      'must be a URL with a host that begins with mongodb:// or mongodb+srv://',
    )
    .optional(),
  MONGO_USERNAME: z.string().optional(),
  MONGO_PASSWORD: z.string().optional(),
  NATS_URL: urlWith('nats', 'http').optional(),
  NATS_CLUSTER_ID: z.string().default('ticketing'),
  NATS_CLIENT_ID: z
    .string()
    .regex(/^[\w-]+$/, 'may contain letters, digits, - and _ only')
    .default('order-service'),
  // It is the durable name too, and the broker refuses a colon in that.
  QUEUE_GROUP_NAME: z
    .string()
    .regex(/^[\w.-]+$/, 'may contain letters, digits, ., - and _ only')
    .default('order-service'),
  REDELIVERY_WAIT_SECONDS: wholeNumber(1, 3600).default(5),
  EXPIRATION_WINDOW_SECONDS: seconds(1).default(900),
  // A payment that was taken in the last moment needs some time to get here.
  EXPIRATION_GRACE_SECONDS: seconds(1).default(60),
  CATCH_UP_SECONDS: seconds(1).default(15),
  CATCH_UP_LIMIT_SECONDS: seconds(1).default(600),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  LOG_FORMAT: z.enum(['json', 'pretty']).optional(),
  SHUTDOWN_SECONDS: wholeNumber(1, 3600).default(20),
});

const SECRETS = ['JWT_KEY', 'JWT_KEY_PREVIOUS', 'MONGO_URL', 'MONGO_PASSWORD'] as const;

/** Every environment variable that is a setting, with those that name a file. */
export const SETTING_NAMES: readonly string[] = [
  ...Object.keys(settings.shape),
  ...SECRETS.map((name) => `${name}_FILE`),
];

/** A user before the hosts of a URL. */
const CREDENTIALS = /^[^:]+:\/\/[^/?]*@/;

/** The settings from the environment. Throws {@link InvalidSettings} with every problem there is. */
export function loadConfig(env: Environment, { isTerminal = false } = {}): Config {
  const problems: string[] = [];
  const given = withSecretFiles(withoutEmpty(env), problems);
  const parsed = settings.safeParse(given);
  if (!parsed.success) {
    problems.push(...parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`));
  }
  const production = given['NODE_ENV'] === 'production';
  problems.push(...missing(given, production), ...credentialProblems(given));
  if (parsed.success && parsed.data.CATCH_UP_SECONDS <= parsed.data.REDELIVERY_WAIT_SECONDS) {
    problems.push(
      'CATCH_UP_SECONDS: must be longer than REDELIVERY_WAIT_SECONDS, else a redelivery would be missed',
    );
  }
  if (!parsed.success || problems.length > 0) throw new InvalidSettings(problems);
  return freeze(toConfig(parsed.data, production, isTerminal));
}

function toConfig(env: z.output<typeof settings>, production: boolean, isTerminal: boolean): Config {
  const embeddedStore = env.MONGO_URL === undefined;
  const key = env.JWT_KEY ?? DEVELOPMENT_JWT_KEY;
  return {
    production,
    http: {
      // Where everyone knows the key, nobody from outside may come in.
      host: env.HOST ?? (embeddedStore ? '127.0.0.1' : undefined),
      port: env.PORT,
      basePath: env.API_BASE_PATH,
      rateLimitPerMinute: env.RATE_LIMIT_PER_MINUTE,
    },
    jwt: { key, previousKey: env.JWT_KEY_PREVIOUS },
    mongoUrl: withCredentials(env),
    nats: {
      // The usual manifests write http://, which means the same.
      url: env.NATS_URL?.replace(/^http:/, 'nats:'),
      clusterId: env.NATS_CLUSTER_ID,
      clientId: env.NATS_CLIENT_ID,
      queueGroup: env.QUEUE_GROUP_NAME,
      redeliveryWaitSeconds: env.REDELIVERY_WAIT_SECONDS,
    },
    expiration: {
      windowSeconds: env.EXPIRATION_WINDOW_SECONDS,
      graceSeconds: env.EXPIRATION_GRACE_SECONDS,
      catchUpSeconds: env.CATCH_UP_SECONDS,
      catchUpLimitSeconds: env.CATCH_UP_LIMIT_SECONDS,
    },
    log: { level: env.LOG_LEVEL, format: env.LOG_FORMAT ?? (isTerminal && !production ? 'pretty' : 'json') },
    shutdownSeconds: env.SHUTDOWN_SECONDS,
    warnings: warnings(env),
  };
}

function missing(given: Environment, production: boolean): string[] {
  const absent = (name: string) => given[name] === undefined && given[`${name}_FILE`] === undefined;
  const problems: string[] = [];
  if (production && absent('MONGO_URL'))
    problems.push('MONGO_URL: is required in production (or MONGO_URL_FILE)');
  if (production && absent('NATS_URL')) problems.push('NATS_URL: is required in production');
  if (absent('JWT_KEY') && (production || !absent('MONGO_URL'))) {
    problems.push('JWT_KEY: is required in production and with a database (or JWT_KEY_FILE)');
  }
  return problems;
}

function credentialProblems(given: Environment): string[] {
  const { MONGO_URL: url, MONGO_USERNAME: username, MONGO_PASSWORD: password } = given;
  if (username === undefined && password === undefined) return [];
  const problems: string[] = [];
  if (username === undefined) problems.push('MONGO_USERNAME: is required with MONGO_PASSWORD');
  if (password === undefined && given['MONGO_PASSWORD_FILE'] === undefined) {
    problems.push('MONGO_PASSWORD: is required with MONGO_USERNAME (or MONGO_PASSWORD_FILE)');
  }
  if (url === undefined) problems.push('MONGO_URL: is required with MONGO_USERNAME and MONGO_PASSWORD');
  if (url !== undefined && CREDENTIALS.test(url)) {
    problems.push('MONGO_USERNAME: MONGO_URL holds a user as well; set one of them');
  }
  return problems;
}

/** Credentials of their own may hold any character, which in a URL would have to be escaped by hand. */
function withCredentials(env: z.output<typeof settings>): string | undefined {
  const { MONGO_URL: url, MONGO_USERNAME: username, MONGO_PASSWORD: password } = env;
  if (username === undefined || password === undefined) return url;
  return url?.replace('://', `://${[username, password].map(encodeURIComponent).join(':')}@`);
}

function warnings(env: z.output<typeof settings>): string[] {
  const found: string[] = [];
  if (env.MONGO_URL === undefined && env.NATS_URL === undefined && env.JWT_KEY === undefined) {
    return [
      'EVERYTHING IS KEPT IN MEMORY and lost at the end, and everyone knows the key: for development only',
    ];
  }
  if (env.MONGO_URL === undefined)
    found.push('MONGO_URL is not set: orders are kept IN MEMORY and lost at the end');
  if (env.NATS_URL === undefined)
    found.push('NATS_URL is not set: events go round IN MEMORY and reach no one else');
  if (env.JWT_KEY === undefined)
    found.push('JWT_KEY is not set: tokens are signed with a key that everyone knows');
  for (const name of ['JWT_KEY', 'JWT_KEY_PREVIOUS'] as const) {
    const key = env[name];
    if (key !== undefined && Buffer.byteLength(key) < SHORTEST_GOOD_KEY_BYTES) {
      found.push(
        `${name} is shorter than ${SHORTEST_GOOD_KEY_BYTES} bytes: it could be guessed from a token`,
      );
    }
  }
  return found;
}

/** An empty value, as manifests leave it, is no value. */
function withoutEmpty(env: Environment): Environment {
  return Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ''),
  );
}

/** `NAME_FILE` names a file that holds the value of NAME, as mounted secrets do. */
function withSecretFiles(env: Environment, problems: string[]): Environment {
  const filled: Record<string, string | undefined> = { ...env };
  for (const name of SECRETS) {
    const path = env[`${name}_FILE`];
    if (path === undefined) continue;
    if (env[name] !== undefined) {
      problems.push(`${name}_FILE: ${name} is set as well; set one of them`);
      continue;
    }
    try {
      const content = readFileSync(path, 'utf8').trim();
      if (content === '') problems.push(`${name}_FILE: ${path} is empty`);
      filled[name] = content;
    } catch (error) {
      problems.push(
        `${name}_FILE: ${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
      );
      filled[name] = undefined;
    }
  }
  return filled;
}

function freeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) freeze(inner as object);
  }
  return Object.freeze(value);
}
