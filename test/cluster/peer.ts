/** The peer pod: another service of the marketplace, which tests tell what to do. See in-pod/peer.cjs. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stored } from '../support/nats-peer';
import { newId } from '../support/new-id';
import type { OrderBody } from '../support/service-process';
import { apply, ENV, kubectl, NAMESPACE, pods, soon } from './cluster';

const SCRIPT = readFileSync(join(__dirname, 'in-pod', 'peer.cjs'), 'utf8');

export interface Request {
  readonly method: string;
  readonly path?: string;
  readonly user?: string;
  readonly token?: string;
  readonly body?: object;
}

export interface Answer {
  readonly status: number;
  /** An order, orders, or a problem. */
  readonly body: OrderBody & OrderBody[];
}

/** From the release's own image, with its key, in place of the peer that was there. */
export async function startPeer(release: string, name = `${release}-order-service`): Promise<void> {
  const [service] = await pods('api', release);
  const fullName = `${release}-order-service`;
  await kubectl('delete', 'pod/peer', 'configmap/peer', '--ignore-not-found');
  await apply(
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'peer' }, data: { 'peer.cjs': SCRIPT } },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'peer' },
      spec: {
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 1,
        securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [
          {
            name: 'peer',
            image: service!.image,
            args: ['/peer/peer.cjs'],
            env: [
              { name: 'ORDERS_URL', value: `http://${name}:3000/api/v1/orders` },
              { name: 'NATS_URL', value: `nats://${fullName}-nats:4222` },
              { name: 'NATS_CLUSTER_ID', value: 'ticketing' },
              { name: 'JWT_KEY', valueFrom: { secretKeyRef: { name: fullName, key: 'JWT_KEY' } } },
            ],
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
            volumeMounts: [{ name: 'script', mountPath: '/peer' }],
          },
        ],
        volumes: [{ name: 'script', configMap: { name: 'peer' } }],
      },
    },
  );
  await kubectl('wait', 'pod/peer', '--for=condition=Ready', '--timeout=1m');
}

const COMMAND = ['exec', '-i', 'peer', '--', '/nodejs/bin/node', '/peer/peer.cjs'];

async function tell(...args: string[]) {
  return JSON.parse(await kubectl(...COMMAND, ...args));
}

export const publish = (subject: string, ...messages: object[]): Promise<void> =>
  tell('publish', subject, JSON.stringify(messages));

/** Everything that was ever published on the subjects, in the order of each channel. */
export const history = (...subjects: string[]): Promise<Stored[]> => tell('history', ...subjects);

export const call = (...requests: Request[]): Promise<Answer[]> => tell('call', JSON.stringify(requests));

export const tokenOf = (user: string): Promise<string> => tell('token', user);

export const ordersOf = (users: readonly string[]): Promise<{ id: string; status: string }[]> =>
  tell('orders', ...users);

export const BUYER = 'buyer';

const placing = (ticketId: string) => ({ method: 'POST', user: BUYER, body: { ticketId } });

/** Places an order of a ticket that is known. */
export async function placeAgain(ticketId: string): Promise<string> {
  const [placed] = await call(placing(ticketId));
  expect(placed).toMatchObject({ status: 201 });
  return placed!.body.id;
}

/** Announces a ticket and places an order of it, as soon as the service knows it. */
export async function place(): Promise<{ id: string; ticketId: string }> {
  const ticketId = newId();
  const ticket = { id: ticketId, version: 0, title: 'Concert', price: 12.5, userId: 'seller' };
  await publish('ticket:created', ticket);
  return { id: await soon(() => placeAgain(ticketId)), ticketId };
}

export async function show(orderId: string): Promise<OrderBody> {
  const [shown] = await call({ method: 'GET', path: `/${orderId}`, user: BUYER });
  expect(shown).toMatchObject({ status: 200 });
  return shown!.body;
}

/** A ticket's orders, in the order in which they were placed and answered with 201. */
export interface Sales {
  readonly user: string;
  readonly ticketId: string;
  readonly orders: readonly { readonly id: string; readonly cancelled: boolean }[];
}

export interface LoadResult {
  readonly tickets: readonly Sales[];
  /** How often what was answered that is no success. */
  readonly failures: Readonly<Record<string, number>>;
}

export interface Load {
  /** Resolves when so many more orders were placed. */
  more(count: number): Promise<void>;
  /** Ends it; every request that it had begun is known to have been done. */
  stop(): Promise<LoadResult>;
}

const running = new Set<ChildProcess>();

/** Ends what a test that failed has left. */
export function killLoads(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** No outage of a test keeps the load from an order for as long. */
const STUCK_MS = 90_000;

/** Six clients that place, show and cancel orders through the Service, each of its own ticket. */
export async function startLoad(): Promise<Load> {
  const child = spawn('kubectl', ['--namespace', NAMESPACE, ...COMMAND, 'load'], {
    env: ENV,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  running.add(child);
  const ended = once(child, 'close').finally(() => running.delete(child));
  const lines = createInterface({ input: child.stdout });
  const failures: Record<string, number> = {};
  let placed = 0;
  let tickets: LoadResult['tickets'] | undefined;
  let latest = 'nothing';
  lines.on('line', (line) => {
    const message = JSON.parse(line);
    latest = line;
    if (message.placed) placed += 1;
    else if (message.failed) failures[message.failed] = (failures[message.failed] ?? 0) + 1;
    else tickets = message.tickets;
  });

  async function inTime<T>(wait: Promise<T>): Promise<T> {
    const timer = new AbortController();
    const late = sleep(STUCK_MS, undefined, timer).then(() => {
      const soFar = `${placed} placed, ${JSON.stringify(failures)}, the latest line ${latest}`;
      throw new Error(`the load does not come on: ${soFar}`);
    });
    return Promise.race([wait, late]).finally(() => timer.abort());
  }

  const load: Load = {
    async more(count) {
      const enough = placed + count;
      await inTime(
        (async () => {
          while (placed < enough) {
            await Promise.race([once(lines, 'line'), ended]);
            if (child.exitCode !== null) throw new Error(`the load ended by itself, with ${child.exitCode}`);
          }
        })(),
      );
    },
    async stop() {
      child.stdin.end();
      await inTime(ended);
      if (!tickets) throw new Error(`the load ended with ${child.exitCode}, without a result`);
      return { tickets, failures };
    },
  };
  await load.more(1);
  return load;
}
