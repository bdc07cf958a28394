import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { mongo } from 'mongoose';
import { request } from 'undici';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import { newId } from '../support/placements';
import { freePort } from '../support/server-process';
import { JWT_KEY, tokenFor } from '../support/service-process';
import { announceTickets } from './broker';
import type { Other } from './options';
import { addOrders, addTickets, UNPUBLISHED, type KnownOrder, type Shape } from './preload';
import { startProgram, type Processes, type Program } from './processes';
import type { Servers } from './servers';

const ROOT = join(__dirname, '../..');
const ASK_EVERY_MS = 5;
/** What a page and the page after it need. */
export const ORDERS_PER_USER = 40;
/** A ticket that is announced is known, and what is placed is published, within this time. */
const PATIENCE_MS = 300_000;

/** A service of orders that is loaded and measured. */
export interface Contender {
  readonly name: string;
  readonly origin: string;
  /** The path of the collection of orders. */
  readonly path: string;
  /** Undefined where the bench did not start it. */
  readonly program: Program | undefined;
  headersFor(userId: string): Record<string, string>;
  /** Makes so many new tickets known to it and resolves to their ids. */
  addTickets(count: number): Promise<string[]>;
  /** Makes it hold so many orders and resolves to some of them, all of users with {@link ORDERS_PER_USER} orders. */
  addOrders(count: number): Promise<KnownOrder[]>;
  /** Resolves when the events of all its orders are acknowledged by the broker and marked as published. */
  published(): Promise<void>;
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly servers: Servers;
  readonly processes: Processes;
  /** The name of its database; each kind of contender has one of its own by default. */
  readonly database?: string;
  /** More settings, or others. */
  readonly env?: Record<string, string>;
}

export type StartContender = (options: StartOptions) => Promise<Contender>;

/** The built service with the settings of production, its log in a file; no rate limit, which would refuse the load. */
export const startOurs: StartContender = async (options) => {
  const { servers, database = 'bench_ours', env } = options;
  const contender = await startKnown(options, {
    name: 'ours',
    shape: 'ours',
    database,
    script: 'dist/main.js',
    env: {
      NODE_ENV: 'production',
      HOST: '127.0.0.1',
      NATS_URL: servers.broker.url,
      NATS_CLIENT_ID: `${database}-${newId()}`,
      QUEUE_GROUP_NAME: database,
      RATE_LIMIT_PER_MINUTE: '0',
      LOG_LEVEL: 'info',
      ...env,
    },
  });
  const orders = servers.client.db(database).collection('orders');
  return { ...contender, published: () => untilPublished(orders) };
};

/** A bare handler; with `TICKET_READ=0` it does not even read the ticket. */
export const startFloor: StartContender = ({ database = 'bench_floor', ...options }) =>
  startKnown(options, {
    name: 'floor',
    shape: 'floor',
    database,
    script: 'dist.bench/floor.js',
    env: { NODE_ENV: 'production', ...options.env },
  });

export const startFloorWithoutTicketRead: StartContender = async (options) => ({
  ...(await startFloor({ database: 'bench_floor_without_read', ...options, env: { TICKET_READ: '0' } })),
  name: 'floor, no ticket read',
});

/** The service in its common form. */
export const startUsual: StartContender = ({ database = 'bench_usual', ...options }) =>
  startKnown(options, {
    name: 'usual',
    shape: 'usual',
    database,
    script: 'dist.bench/usual.js',
    env: {
      NODE_ENV: 'production',
      NATS_URL: options.servers.broker.url,
      NATS_CLIENT_ID: `${database}-${newId()}`,
      QUEUE_GROUP_NAME: database,
      ...options.env,
    },
  });

async function startKnown(
  { servers, processes }: StartOptions,
  known: { name: string; shape: Shape; database: string; script: string; env: Record<string, string> },
): Promise<Contender> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const program = await processes.add(
    startProgram({
      name: known.name,
      command: [process.execPath, join(ROOT, known.script)],
      env: { PORT: String(port), MONGO_URL: servers.databaseUrl(known.database), JWT_KEY, ...known.env },
      readyUrl: `${origin}/readyz`,
      log: join(servers.folder, `${known.database}.log`),
    }),
  );
  const db = servers.client.db(known.database);
  return {
    name: known.name,
    origin,
    path: '/api/v1/orders',
    program,
    headersFor: signedHeaders(),
    addTickets: (count) => addTickets(db, known.shape, count),
    addOrders: (count) => addOrders(db, known.shape, { count, perUser: ORDERS_PER_USER }),
    published: async () => {},
    stop: () => program.stop(),
  };
}

/** Signed once for each user. */
function signedHeaders(): Contender['headersFor'] {
  const known = new Map<string, Record<string, string>>();
  return (userId) => {
    const headers = known.get(userId) ?? headersWith(tokenFor(userId));
    known.set(userId, headers);
    return headers;
  };
}

/** Asks an index for one order that is left, and so disturbs little. */
async function untilPublished(orders: mongo.Collection): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (await orders.findOne(UNPUBLISHED, { projection: { _id: 1 } })) {
    if (performance.now() > deadline) throw new Error('not all events were published in time');
    await sleep(ASK_EVERY_MS);
  }
}

/**
 * Any other service, known by its HTTP and the ticket events that it hears: on a broker of its own, for what is announced
 * to it would be work for ours too.
 */
export async function startOther(other: Other, { servers, processes }: StartOptions): Promise<Contender> {
  const { origin, port, pathname } = new URL(other.url);
  const broker = other.natsUrl === undefined ? await processes.add(startNatsStreamingServer()) : undefined;
  const natsUrl = other.natsUrl ?? broker!.url;
  const headersFor = other.token === undefined ? signedHeaders() : () => headersWith(other.token!);
  const withCookie = (userId: string) => withSession(headersFor(userId));
  const mongoUrl = servers.databaseUrl('bench_other');
  const program =
    other.command === undefined
      ? undefined
      : await processes.add(
          startProgram({
            name: 'other',
            command: ['sh', '-c', `exec ${other.command}`],
            env: {
              PORT: port,
              MONGO_URL: mongoUrl,
              MONGO_URI: mongoUrl,
              NATS_URL: natsUrl,
              NATS_CLUSTER_ID: 'ticketing',
              NATS_CLIENT_ID: `bench-other-${newId()}`,
              JWT_KEY,
              HOME: process.env['HOME'] ?? '/',
            },
            readyUrl: other.url,
            readyHeaders: withCookie('user-0'),
            log: join(servers.folder, 'other.log'),
          }),
        );

  async function place(ticketId: string, userId: string): Promise<{ status: number; id: string }> {
    const answer = await request(other.url, {
      method: 'POST',
      headers: withCookie(userId),
      body: JSON.stringify({ ticketId }),
    });
    const body = (await answer.body.json().catch(() => ({}))) as { id: string };
    return { status: answer.statusCode, id: body.id };
  }

  /** Announced, and heard: a ticket is known when it can be ordered. */
  async function makeTickets(count: number): Promise<string[]> {
    const ids = Array.from({ length: count + 1 }, newId);
    await announceTickets(natsUrl, other.ticketSubject, ids);
    const deadline = performance.now() + PATIENCE_MS;
    for (let answer = await place(ids[count]!, 'prober'); answer.status !== 201;) {
      if (performance.now() > deadline)
        throw new Error(`other: a new ticket is answered with ${answer.status}`);
      await sleep(20 * ASK_EVERY_MS);
      answer = await place(ids[count]!, 'prober');
    }
    return ids.slice(0, count);
  }

  return {
    name: 'other',
    origin,
    path: pathname,
    program,
    headersFor: withCookie,
    addTickets: makeTickets,
    async addOrders() {
      const known: KnownOrder[] = [];
      for (const ticketId of await makeTickets(ORDERS_PER_USER)) {
        known.push({ id: (await place(ticketId, 'user-0')).id, userId: 'user-0' });
      }
      return known;
    },
    published: async () => {},
    async stop() {
      await Promise.all([program?.stop(), broker?.stop()]);
    },
  };
}

function headersWith(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
}

/** Many services take the token only from the cookie that the sign-in service of the marketplace sets. */
function withSession(headers: Record<string, string>): Record<string, string> {
  const jwt = headers['authorization']?.slice('Bearer '.length);
  const session = Buffer.from(JSON.stringify({ jwt })).toString('base64');
  return { ...headers, cookie: `session=${session}; express:sess=${session}` };
}
