import { readFileSync } from 'node:fs';
import { mongo } from 'mongoose';
import { oldOrder, oldTicket } from '../support/old-system';
import { apply, CHART, get, helm, kubectl, NAMESPACE, pods, run, set, soon } from './cluster';
import { BUYER, call, show, startPeer } from './peer';

const OLD = 'orders-mongo-srv';
/** As docs/migrating.md calls them. */
const [OLD_SERVICE, OLD_DEPLOYMENT] = ['orders-srv', 'orders-depl'];
const MEMORY = ['mongodb.persistence.enabled=false', 'nats.persistence.enabled=false'];
const IMPORTING = ['import.enabled=true', `import.from.url=mongodb://${OLD}:27017/orders`];

const ticket = oldTicket();
const held = oldOrder(ticket._id, 'created', { userId: BUYER, expiresAt: new Date(Date.now() + 3_600_000) });
const lost = oldOrder(ticket._id, 'cancelled', { status: 'unknown' });

describe('the import of an existing system', () => {
  it('is a Job that fails without being run again if something needs attention', async () => {
    await startOldDatabase();
    const atFirst = set('replicas=0', 'service.name=orders-next', ...MEMORY, ...IMPORTING);
    await helm('install', 'moved', CHART, ...atFirst);
    const log = await asDocumented('import_ended');
    expect(await soonEnded('moved-order-service-import-1')).toMatchObject({
      type: 'Failed',
      reason: 'PodFailurePolicy',
    });
    expect(log).toMatch(/^Failed$/m);
    expect(log).toContain(`"id":"${lost._id.toHexString()}"`);
    expect(log).toMatch(/orders +2 +1 +0 +0 +0 +1/);
  });

  it('that has not ended keeps the chart from starting the service', async () => {
    await helm(
      'upgrade',
      'moved',
      CHART,
      '--reuse-values',
      ...set('import.from.url=mongodb://nowhere/orders'),
    );
    const started = helm(
      'upgrade',
      'moved',
      CHART,
      '--reuse-values',
      ...set('replicas=1', 'import.enabled=false'),
    );
    await expect(started).rejects.toThrow(/the Job moved-order-service-import-2 has not ended/);
    await helm('upgrade', 'moved', CHART, '--reuse-values', ...set(...IMPORTING));
    await soonEnded('moved-order-service-import-3');
  });

  it('is complete after the documented switch, and the service has the imported order', async () => {
    await inOldDatabase(`db.orders.deleteOne({ status: 'unknown' })`);
    await startOldService();
    const log = await asDocumented(commandsWith('# the last import'));
    expect(log).toMatch(/^Complete$/m);
    expect(log).toMatch(/orders +1 +0 +0 +1 +0 +0/);
    expect(await soonEnded('moved-order-service-import-4')).toMatchObject({ type: 'Complete' });
    await asDocumented(commandsWith('delete service orders-srv'));
    expect(await pods('api', 'moved')).toMatchObject([{ ready: true }]);
    await startPeer('moved', OLD_SERVICE);
    expect(await show(held._id.toHexString())).toMatchObject({ status: 'created' });
    const [again] = await call({
      method: 'POST',
      user: 'another',
      body: { ticketId: ticket._id.toHexString() },
    });
    expect(again).toMatchObject({ status: 409 });
    const lostOrders = commandsWith('.limit(100)');
    expect(await asDocumented(lostOrders)).toBe('[]\n');
    await call({ method: 'DELETE', path: `/${held._id.toHexString()}`, user: BUYER });
    expect(await asDocumented(lostOrders)).toContain(held._id.toHexString());
  });

  afterAll(async () => {
    await helm('uninstall', 'moved', '--ignore-not-found', '--wait', '--timeout', '2m');
    const old = [`pod/${OLD}`, `service/${OLD}`, `service/${OLD_SERVICE}`, `deployment/${OLD_DEPLOYMENT}`];
    await kubectl('delete', ...old, '--ignore-not-found');
  });
});

const GUIDE = readFileSync('docs/migrating.md', 'utf8');

/** The one piece of the guide with this text. */
function commandsWith(text: string): string {
  const [commands, ...others] = [...GUIDE.matchAll(/^```sh\n(.*?)^```/gms)]
    .map((found) => found[1] ?? '')
    .filter((piece) => piece.includes(text));
  expect({ text, others }).toEqual({ text, others: [] });
  return commands ?? fail(text);
}

/** Runs commands of the guide, for the release of these tests. Resolves to what they print. */
function asDocumented(commands: string): Promise<string> {
  const script = `
    export HELM_NAMESPACE=${NAMESPACE}
    kubectl() { command kubectl --namespace ${NAMESPACE} "$@"; }
    chart=$PWD/helm
    cd "$(mktemp -d)" && ln -s "$chart" helm
    ${commandsWith('import_ended() {')}
    ${commands}`;
  const ours = script
    .replaceAll('orders-order-service', 'moved-order-service')
    .replaceAll(/\bhelm (\w+) orders\b/g, 'helm $1 moved');
  return run('bash', ['-euo', 'pipefail', '-c', ours]);
}

function fail(text: string): never {
  throw new Error(`docs/migrating.md has no commands with ${text}`);
}

/** A process under its names. */
async function startOldService(): Promise<void> {
  const labels = { app: 'orders' };
  await apply(serviceOf(OLD_SERVICE, labels, 3000), {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: OLD_DEPLOYMENT },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { ...podOf('sleep', 'infinity'), terminationGracePeriodSeconds: 1 },
      },
    },
  });
  await kubectl('wait', `deployment/${OLD_DEPLOYMENT}`, '--for=condition=Available', '--timeout=120s');
}

function serviceOf(name: string, selector: Readonly<Record<string, string>>, port: number) {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { selector, ports: [{ port }] } };
}

/** Of the image of MongoDB. */
function podOf(...args: string[]) {
  return {
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 999,
      fsGroup: 999,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [
      {
        name: 'container',
        image: 'mongo:7.0',
        args,
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        volumeMounts: [{ name: 'data', mountPath: '/data/db' }],
      },
    ],
    volumes: [{ name: 'data', emptyDir: {} }],
  };
}

/** As the old system has it: without a password. */
async function startOldDatabase(): Promise<void> {
  const labels = { app: OLD };
  await apply(serviceOf(OLD, labels, 27017), {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: OLD, labels },
    spec: podOf('--bind_ip_all'),
  });
  const insert = (collection: string, documents: mongo.BSON.Document[]) =>
    inOldDatabase(
      `db.${collection}.insertMany(EJSON.deserialize(${mongo.BSON.EJSON.stringify(documents, { relaxed: false })}))`,
    );
  await soon(() => inOldDatabase('db.orders.countDocuments()'));
  await insert('tickets', [ticket]);
  await insert('orders', [held, lost]);
}

const inOldDatabase = (script: string) =>
  kubectl('exec', OLD, '--', 'mongosh', '--quiet', 'orders', '--eval', script);

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
}

/** Resolves to how it has ended. */
async function soonEnded(job: string): Promise<Condition> {
  return soon(async () => {
    const { status } = await get<{ status: { conditions?: Condition[] } }>('job', job);
    const ended = status.conditions?.find(
      ({ type, status: holds }) => ['Complete', 'Failed'].includes(type) && holds === 'True',
    );
    if (!ended) throw new Error(`${job} has not ended`);
    return ended;
  });
}
