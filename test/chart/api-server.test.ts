import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from '../support/eventually';
import { describeWith, serverBinary } from '../support/servers';
import { sharedPath } from '../support/shared-path';
import { CHART } from './helm';

const run = promisify(execFile);
const DEFINITIONS = sharedPath('k8s/crds');
const EVERYTHING = join(__dirname, 'values/everything.yaml');

describeWith(['helm', 'kubernetes'], 'on an API server', () => {
  let namespace: string;
  const env = () => ({ ...process.env, KUBECONFIG: serverBinary('kubernetes') });
  const kubectl = async (...args: string[]) =>
    (await run('kubectl', ['--namespace', namespace, ...args], { env: env() })).stdout;
  const helm = (...args: string[]) =>
    run(serverBinary('helm'), ['--namespace', namespace, ...args], { env: env() });

  beforeAll(async () => {
    if (DEFINITIONS) {
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

  it('a release whose objects have a name of before is not made anew beside them', async () => {
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'my-orders-order-service', labels: { 'app.kubernetes.io/instance': 'my.orders' } },
      spec: {
        replicas: 0,
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      },
    };
    const folder = mkdtempSync(join(tmpdir(), 'chart-'));
    writeFileSync(join(folder, 'deployment.json'), JSON.stringify(deployment));
    await kubectl('apply', '-f', join(folder, 'deployment.json'));
    rmSync(folder, { recursive: true });

    const options = ['my.orders', CHART, '--dry-run=server'];
    await expect(helm('install', ...options)).rejects.toThrow(
      'fullnameOverride: the objects of this release are called my-orders-order-service',
    );
    await helm('install', ...options, '--set', 'fullnameOverride=another');
    await helm('install', 'your.orders', CHART, '--dry-run=server');
  });

  it('everything on is accepted, its pods too, under the restricted Pod Security level', async () => {
    const { stderr } = await helm('install', 'orders', CHART, '--values', EVERYTHING);
    expect(stderr).not.toMatch(/warning/i);
    const kinds =
      'ingress,httproute,servicemonitor,prometheusrule,hpa,pdb,networkpolicy,configmap,serviceaccount';
    const made = await kubectl('get', kinds, '-o', 'name');
    for (const kind of 'ingress httproute servicemonitor prometheusrule horizontalpodautoscaler'.split(' ')) {
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

  it.each(['autoscaling.enabled=true', 'replicas=null'])(
    'an autoscaler goes on with the replicas that are there, through every upgrade: %s',
    async (scaled) => {
      const replicas = () => kubectl('get', 'deployment', '-o', 'jsonpath={.items[0].spec.replicas}');
      await helm('install', 'orders', CHART, '--set', 'replicas=2');
      for (let upgrade = 1; upgrade <= 3; upgrade += 1) {
        await helm('upgrade', 'orders', CHART, '--set', scaled);
        expect(await replicas()).toBe('2');
      }
      await kubectl('scale', 'deployment', '--all', '--replicas=4');
      await helm('upgrade', 'orders', CHART, '--set', `${scaled},settings.LOG_LEVEL=debug`);
      expect(await replicas()).toBe('4');
    },
    60_000,
  );

  describe('with a quota', () => {
    const LIMITS = { limits: { cpu: '1', memory: '512Mi' } };
    const EACH = {
      resources: LIMITS,
      smokeTest: { resources: LIMITS },
      mongodb: { replicas: 3, resources: LIMITS, replicaSet: { resources: LIMITS } },
      nats: { resources: LIMITS },
    };
    const apply = async (object: object) => {
      const applied = run('kubectl', ['--namespace', namespace, 'apply', '-f', '-'], { env: env() });
      applied.child.stdin!.end(JSON.stringify({ apiVersion: 'v1', ...object }));
      await applied;
    };
    const podsCreated = async (count: number) =>
      eventually(async () => {
        expect((await kubectl('get', 'pods', '-o', 'name')).trim().split('\n')).toHaveLength(count);
      }, 20_000);
    /** As `helm test` would create it; the API server checks it, and forgets it. */
    const createSmokeTest = async () => {
      const { stdout } = await helm('get', 'hooks', 'orders');
      const created = run('kubectl', ['--namespace', namespace, 'create', '--dry-run=server', '-f', '-'], {
        env: env(),
      });
      created.child.stdin!.end(stdout);
      await created;
    };

    beforeEach(async () => {
      // More than all pods need: the API server counts a pod that a controller tried to create twice
      // as two, until the quota controller counts again.
      const hard = {
        'requests.cpu': '90',
        'limits.cpu': '90',
        'requests.memory': '90Gi',
        'limits.memory': '90Gi',
      };
      await apply({ kind: 'ResourceQuota', metadata: { name: 'all' }, spec: { hard } });
    });

    it('of every resource all pods are created where the values limit them, and refused where not', async () => {
      await helm('install', 'orders', CHART, '--set-json', `mongodb=${JSON.stringify({ replicas: 3 })}`);
      await eventually(async () => {
        const refused = await kubectl('get', 'events', '--field-selector', 'reason=FailedCreate');
        expect(refused).toContain('must specify limits.cpu');
      }, 20_000);
      await expect(createSmokeTest()).rejects.toThrow('must specify limits.cpu');

      const values = Object.entries(EACH).flatMap(([key, value]) => [
        '--set-json',
        `${key}=${JSON.stringify(value)}`,
      ]);
      await helm('upgrade', 'orders', CHART, ...values);
      await podsCreated(5);
      await createSmokeTest();
    }, 60_000);

    it('all pods are created where the namespace has limits for them', async () => {
      const limits = [{ type: 'Container', default: { cpu: '1' } }];
      await apply({ kind: 'LimitRange', metadata: { name: 'defaults' }, spec: { limits } });
      await helm('install', 'orders', CHART, '--set', 'mongodb.replicas=3');
      await podsCreated(5);
      await createSmokeTest();
    }, 60_000);
  });

  it('a volume without a class stays without one', async () => {
    const none = ['--set', 'replicas=0,mongodb.persistence.storageClass=-,nats.persistence.storageClass=-'];
    await helm('install', 'orders', CHART, ...none);
    const claims = await kubectl(
      'get',
      'statefulset',
      '-o',
      'jsonpath={.items[*].spec.volumeClaimTemplates[0].spec}',
    );
    expect(claims.match(/"storageClassName":""/g)).toHaveLength(2);
    await helm('upgrade', 'orders', CHART, ...none);
    await expect(
      helm('upgrade', 'orders', CHART, ...none, '--set', 'nats.persistence.storageClass=standard'),
    ).rejects.toThrow('nats.persistence.storageClass: cannot be changed');
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
