import { createSecretKey } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { Writable } from 'node:stream';
import jwt, { type SignOptions } from 'jsonwebtoken';
import pino from 'pino';
import type { Order } from '../../src/domain/order';
import { createApp } from '../../src/http/app';
import type { OrderUseCases } from '../../src/http/orders';
import type { Readiness } from '../../src/http/probes';
import { holdToContract } from './contract';
import { newId } from './new-id';

export { newId };

export const BASE_PATH = '/api/v1/orders';
export const CURRENT_KEY = 'the current key of the tests, long enough';
export const PREVIOUS_KEY = 'the previous key of the tests, long enough';

export interface Observation {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
}

export interface TestApp {
  readonly app: RequestListener;
  /** What the probes are told. */
  readonly readiness: { -readonly [K in keyof Readiness]: Readiness[K] };
  /** Every log line so far, parsed. */
  readonly logLines: readonly Record<string, unknown>[];
  readonly observations: readonly Observation[];
}

export interface TestAppOptions {
  readonly useCases?: Partial<OrderUseCases>;
  readonly now?: () => Date;
  readonly rateLimitPerMinute?: number;
  readonly corsOrigins?: readonly string[];
  readonly basePath?: string;
  readonly expose?: () => Promise<{ contentType: string; body: string }>;
}

/**
 * The whole HTTP layer over the given use cases; one that is not given fails when it is called. Its answers are held to
 * the OpenAPI document.
 */
export function createTestApp(options: TestAppOptions = {}): TestApp {
  const basePath = options.basePath ?? BASE_PATH;
  const readiness: TestApp['readiness'] = { database: 'up', broker: 'up', draining: false };
  const logLines: Record<string, unknown>[] = [];
  const observations: Observation[] = [];
  const toLogLines = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logLines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
      done();
    },
  });

  const app = createApp({
    basePath,
    useCases: {
      placeOrder: notExpected,
      cancelOrder: notExpected,
      findOrder: notExpected,
      awaitOrder: notExpected,
      listOrders: notExpected,
      ...options.useCases,
    },
    session: {
      keys: [CURRENT_KEY, PREVIOUS_KEY].map((key) => createSecretKey(Buffer.from(key))),
      now: options.now ?? (() => new Date()),
    },
    corsOrigins: options.corsOrigins ?? [],
    rateLimitPerMinute: options.rateLimitPerMinute ?? 0,
    probes: { ready: () => ({ ...readiness }) },
    metrics: {
      observe: (method, route, status, seconds) => observations.push({ method, route, status, seconds }),
      expose: options.expose ?? (() => Promise.resolve({ contentType: 'text/plain', body: '' })),
    },
    logger: pino({ level: 'debug', formatters: { level: (label) => ({ level: label }) } }, toLogLines),
  });
  return { app: holdToContract(app, basePath), readiness, logLines, observations };
}

function notExpected(): Promise<never> {
  return Promise.reject(new Error('this use case should not have been called'));
}

/** A token as the auth service signs it; `claims` replace or, where undefined, remove the usual ones. */
export function tokenOf(
  userId: unknown = 'user-1',
  { key = CURRENT_KEY, claims = {}, ...options }: SignOptions & { key?: string; claims?: object } = {},
): string {
  const payload: object = { id: userId, email: 'one@example.com', ...claims };
  return jwt.sign(JSON.parse(JSON.stringify(payload)) as object, key, { algorithm: 'HS256', ...options });
}

export function bearer(userId = 'user-1'): { Authorization: string } {
  return { Authorization: `Bearer ${tokenOf(userId)}` };
}

/** The session cookie's value for a token, or for anything else in its place. */
export function cookieOf(token: unknown): string {
  return Buffer.from(JSON.stringify({ jwt: token })).toString('base64');
}

export function orderOf(changes: Partial<Order> = {}): Order {
  return {
    id: newId(),
    version: 0,
    userId: 'user-1',
    status: 'created',
    createdAt: new Date('2026-01-01T00:00:00.123Z'),
    expiresAt: new Date('2026-01-01T00:15:00.123Z'),
    ticket: { id: newId(), title: 'A concert', price: 20 },
    payments: [],
    ...changes,
  };
}
