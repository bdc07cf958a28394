import { mongo } from 'mongoose';
import { oldOrder, oldTicket } from '../support/old-system';
import { apply, CHART, get, helm, kubectl, pods, set, soon } from './cluster';
import { BUYER, call, show, startPeer } from './peer';

const OLD = 'orders-mongo-srv';
const MEMORY = ['mongodb.persistence.enabled=false', 'nats.persistence.enabled=false'];
const IMPORTING = ['import.enabled=true', `import.from.url=mongodb://${OLD}:27017/orders`];

const ticket = oldTicket();
const held = oldOrder(ticket._id, 'created', { userId: BUYER, expiresAt: new Date(Date.now() + 3_600_000) });
const lost = oldOrder(ticket._id, 'cancelled', { status: 'unknown' });

describe('the import of an existing system', () => {
  it('is a Job that fails without being run again if something needs attention', async () => {
    await startOldDatabase();
    const atFirst = set('replicas=0', ...MEMORY, ...IMPORTING);
    await helm('install', 'moved', CHART, ...atFirst);
    expect(await soonEnded('moved-order-service-import-1')).toMatchObject({
      type: 'Failed',
      reason: 'PodFailurePolicy',
    });
    const labels = 'app.kubernetes.io/instance=moved,app.kubernetes.io/component=import';
    // Also of pods that ran before the databases answered.
    const log = await kubectl('logs', '-l', labels, '--tail=-1');
    expect(log).toContain(`"id":"${lost._id.toHexString()}"`);
    expect(log).toMatch(/orders +2 +1 +0 +0 +0 +1/);
  });

  it('is complete with an upgrade, and the service has the imported order', async () => {
    await inOldDatabase(`db.orders.deleteOne({ status: 'unknown' })`);
    await helm('upgrade', 'moved', CHART, '--reuse-values');
    expect(await soonEnded('moved-order-service-import-2')).toMatchObject({ type: 'Complete' });
    const started = set('replicas=1', 'import.enabled=false');
    await helm('upgrade', 'moved', CHART, '--reuse-values', ...started, '--wait', '--timeout', '3m');
    expect(await pods('api', 'moved')).toMatchObject([{ ready: true }]);
    await startPeer('moved');
    expect(await show(held._id.toHexString())).toMatchObject({ status: 'created' });
    const [again] = await call({
      method: 'POST',
      user: 'another',
      body: { ticketId: ticket._id.toHexString() },
    });
    expect(again).toMatchObject({ status: 409 });
  });

  afterAll(async () => {
    await helm('uninstall', 'moved', '--ignore-not-found', '--wait', '--timeout', '2m');
    await kubectl('delete', `pod/${OLD}`, `service/${OLD}`, '--ignore-not-found');
  });
});

/** As the old system has it: without a password. */
async function startOldDatabase(): Promise<void> {
  const labels = { app: OLD };
  const container = {
    name: 'mongo',
    image: 'mongo:7.0',
    args: ['--bind_ip_all'],
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    volumeMounts: [{ name: 'data', mountPath: '/data/db' }],
  };
  await apply(
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: OLD },
      spec: { selector: labels, ports: [{ port: 27017 }] },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: OLD, labels },
      spec: {
        securityContext: {
          runAsNonRoot: true,
          runAsUser: 999,
          fsGroup: 999,
          seccompProfile: { type: 'RuntimeDefault' },
        },
        containers: [container],
        volumes: [{ name: 'data', emptyDir: {} }],
      },
    },
  );
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
