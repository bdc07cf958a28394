import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from '../support/eventually';
import { describeWith, serverBinary } from '../support/servers';
import { CHART } from './helm';

const run = promisify(execFile);
const DEFINITIONS = join(__dirname, '../../../shared/k8s/crds');
const EVERYTHING = join(__dirname, 'values/everything.yaml');

describeWith(['helm', 'kubernetes'], 'on an API server', () => {
  let namespace: string;
  const env = () => ({ ...process.env, KUBECONFIG: serverBinary('kubernetes') });
  const kubectl = async (...args: string[]) =>
    (await run('kubectl', ['--namespace', namespace, ...args], { env: env() })).stdout;
  const helm = (...args: string[]) =>
    run(serverBinary('helm'), ['--namespace', namespace, ...args], { env: env() });

  beforeAll(async () => {
    if (existsSync(DEFINITIONS)) {
      await run('kubectl', ['apply', '--server-side', '-f', DEFINITIONS], { env: env() });
    }
  });

  beforeEach(async () => {
    namespace = `chart-test-${randomBytes(4).toString('hex')}`;
    await kubectl('create', 'namespace', namespace);
    await kubectl('label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted');
  });

  afterEach(async () => {
    await kubectl('delete', 'namespace', namespace, '--wait=false');
  });

  const dataOf = async (secret: string) => kubectl('get', 'secret', secret, '-o', 'jsonpath={.data}');

  it('everything on is accepted, its pods too, under the restricted Pod Security level', async () => {
    const { stderr } = await helm('install', 'orders', CHART, '--values', EVERYTHING);
    expect(stderr).not.toMatch(/warning/i);
    const kinds =
      'ingress,httproute,servicemonitor,prometheusrule,hpa,pdb,networkpolicy,configmap,serviceaccount';
    const made = await kubectl('get', kinds, '-o', 'name');
    for (const kind of [
      'ingress',
      'httproute',
      'servicemonitor',
      'prometheusrule',
      'horizontalpodautoscaler',
    ]) {
      expect(made).toContain(`${kind}.`);
    }
    // One of the service, three of MongoDB, one of NATS: the quota of who may be made is Pod Security's.
    await eventually(async () => {
      const pods = (await kubectl('get', 'pods', '-o', 'name')).trim().split('\n');
      expect(pods.length).toBeGreaterThanOrEqual(5);
    }, 20_000);
    expect(await kubectl('get', 'events', '--field-selector', 'reason=FailedCreate', '-o', 'name')).toBe('');
  }, 60_000);

  it('generated secrets outlive upgrades, and an uninstallation', async () => {
    const lean = ['--set', 'replicas=0'];
    await helm('install', 'orders', CHART, ...lean);
    const secrets = ['orders-order-service', 'orders-order-service-mongodb'];
    const before = await Promise.all(secrets.map(dataOf));
    const checksum = () =>
      kubectl(
        'get',
        'deployment',
        '-o',
        'jsonpath={.items[0].spec.template.metadata.annotations.checksum/secret}',
      );
    const checksumBefore = await checksum();

    await helm('upgrade', 'orders', CHART, ...lean, '--set', 'settings.LOG_LEVEL=debug');
    expect(await Promise.all(secrets.map(dataOf))).toEqual(before);
    expect(await checksum()).toBe(checksumBefore);

    await helm('uninstall', 'orders');
    await helm('install', 'orders', CHART, ...lean);
    expect(await Promise.all(secrets.map(dataOf))).toEqual(before);
  }, 60_000);

  it('autoscaling goes on with the replicas that are there', async () => {
    await helm('install', 'orders', CHART, '--set', 'replicas=2');
    await helm('upgrade', 'orders', CHART, '--set', 'autoscaling.enabled=true');
    expect(await kubectl('get', 'deployment', '-o', 'jsonpath={.items[0].spec.replicas}')).toBe('2');
  }, 60_000);

  it('what the database and the volumes were not made with is refused', async () => {
    await helm('install', 'orders', CHART, '--set', 'replicas=0,mongodb.replicas=3');
    const refused = async (set: string) =>
      helm('upgrade', 'orders', CHART, '--set', set).then(
        () => '',
        ({ stderr }: { stderr: string }) => stderr,
      );
    expect(await refused('mongodb.replicas=3,mongodb.auth.password=another')).toContain(
      'mongodb.auth.password: differs',
    );
    expect(await refused('mongodb.replicas=3,mongodb.auth.username=other')).toContain(
      'mongodb.auth.username: the',
    );
    expect(await refused('mongodb.replicas=3,mongodb.database=other')).toContain(
      'mongodb.database: the database',
    );
    expect(await refused('mongodb.replicas=3,mongodb.persistence.size=9Gi')).toContain(
      'mongodb.persistence.size: the',
    );
    expect(await refused('mongodb.replicas=3,nats.persistence.enabled=false')).toContain(
      'nats.persistence.enabled',
    );
    expect(await refused('mongodb.replicas=1')).toContain(
      'mongodb.replicas: a replica set cannot be made smaller',
    );
  }, 60_000);
});
