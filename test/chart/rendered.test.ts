import { loadConfig } from '../../src/config/load-config';
import { describeWith, serverBinary } from '../support/servers';
import {
  CHART,
  VALUES_FILES,
  environmentOf,
  find,
  podsOf,
  render,
  type Rendered,
  type RenderOptions,
} from './helm';
import { execFileSync } from 'node:child_process';

describe.each(['helm', 'helm3'] as const)('rendered by %s', (program) => {
  describeWith([program], 'the chart', () => {
    const rendered = (options?: RenderOptions) => render(serverBinary(program), options);

    it('passes the strict linter without a word', () => {
      const said = execFileSync(serverBinary(program), ['lint', '--strict', CHART], { encoding: 'utf8' });
      expect(said.split('\n').filter((line) => line.startsWith('['))).toEqual([]);
      expect(said).toContain('0 chart(s) failed');
    });

    it('makes what one release needs', () => {
      expect(rendered().map(nameOf).sort()).toEqual([
        ...['ConfigMap orders-order-service', 'ConfigMap orders-order-service-mongodb'],
        ...['Deployment orders-order-service', 'NetworkPolicy orders-order-service'],
        ...['NetworkPolicy orders-order-service-mongodb', 'NetworkPolicy orders-order-service-nats'],
        ...['NetworkPolicy orders-order-service-smoke-test', 'Pod orders-order-service-smoke-test'],
        ...['Secret orders-order-service', 'Secret orders-order-service-mongodb'],
        ...['Service orders-order-service', 'Service orders-order-service-mongodb'],
        ...['Service orders-order-service-mongodb-members', 'Service orders-order-service-nats'],
        ...['ServiceAccount orders-order-service', 'StatefulSet orders-order-service-mongodb'],
        'StatefulSet orders-order-service-nats',
      ]);
    });

    it('makes more of it with everything on', () => {
      const names = rendered({ values: 'everything' }).map(nameOf);
      const byDefault = rendered().map(nameOf);
      expect(names.filter((name) => !byDefault.includes(name)).sort()).toEqual([
        ...['ConfigMap orders-order-service-dashboard', 'HTTPRoute orders-order-service'],
        ...['HorizontalPodAutoscaler orders-order-service', 'Ingress orders-order-service'],
        ...['Job orders-order-service-import-1', 'NetworkPolicy orders-order-service-import'],
        'PodDisruptionBudget orders-order-service',
        ...['PodDisruptionBudget orders-order-service-mongodb', 'PrometheusRule orders-order-service'],
        ...['Service nats-srv', 'Service order-mongo-srv', 'Service orders-srv', 'ServiceAccount orders'],
        'ServiceMonitor orders-order-service',
      ]);
    });

    it('brings no database and no broker beside external ones', () => {
      expect(rendered({ values: 'external' }).map(nameOf).sort()).toEqual([
        'ConfigMap orders-order-service',
        'Deployment orders-order-service',
        'NetworkPolicy orders-order-service',
        'NetworkPolicy orders-order-service-smoke-test',
        'Pod orders-order-service-smoke-test',
        'Secret orders-order-service',
        'Secret orders-order-service-external',
        'Service orders-order-service',
        'ServiceAccount orders-order-service',
      ]);
    });

    describe.each(VALUES_FILES)('with %s values', (values) => {
      let objects: Rendered[];
      beforeAll(() => {
        objects = rendered({ values });
      });

      it('keeps every pod within the restricted Pod Security level', () => {
        expect(podsOf(objects)).not.toEqual([]);
        for (const { owner, spec } of podsOf(objects)) {
          expect({ owner, token: spec.automountServiceAccountToken }).toEqual({ owner, token: false });
          expect(spec.securityContext).toMatchObject({
            runAsNonRoot: true,
            runAsUser: expect.any(Number),
            seccompProfile: { type: 'RuntimeDefault' },
          });
          for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
            expect(container.securityContext).toEqual({
              allowPrivilegeEscalation: false,
              readOnlyRootFilesystem: true,
              capabilities: { drop: ['ALL'] },
            });
            expect(container.resources).toMatchObject({
              requests: { cpu: expect.anything(), memory: expect.anything() },
              limits: { memory: expect.anything() },
            });
          }
        }
      });

      it('labels every object in the standard way', () => {
        expect(objects).not.toEqual([]);
        for (const { metadata } of objects) {
          expect(metadata.labels).toMatchObject({
            'app.kubernetes.io/name': 'order-service',
            'app.kubernetes.io/instance': 'orders',
            'app.kubernetes.io/managed-by': 'Helm',
            'app.kubernetes.io/version': expect.any(String),
            'helm.sh/chart': expect.stringMatching(/^order-service-/),
          });
        }
      });

      it('selects by labels that no value and no version changes', () => {
        expect(objects.map(({ kind }) => kind)).toContain('Deployment');
        for (const { kind, metadata, spec } of objects) {
          if (kind !== 'Deployment' && kind !== 'StatefulSet') continue;
          const component = metadata.name.replace(/^orders-order-service-?/, '') || 'api';
          const selector = {
            'app.kubernetes.io/name': 'order-service',
            'app.kubernetes.io/instance': 'orders',
            'app.kubernetes.io/component': component,
          };
          expect(spec.selector.matchLabels).toEqual(selector);
          expect(spec.template.metadata.labels).toMatchObject(selector);
        }
      });

      it('leads every Service to pods and ports that are there', () => {
        const pods = podsOf(objects).filter(({ owner }) => !owner.endsWith('smoke-test'));
        expect(objects.map(({ kind }) => kind)).toContain('Service');
        for (const { kind, spec } of objects) {
          if (kind !== 'Service') continue;
          const selected = pods.filter(({ metadata }) => includes(metadata.labels, spec.selector));
          expect(selected).toHaveLength(1);
          const ports = selected[0]!.spec.containers.flatMap(({ ports = [] }: any) => ports);
          expect(ports.map(({ name }: any) => name)).toContain(spec.ports[0].targetPort);
        }
      });

      it('writes no secret anywhere but into secrets', () => {
        const secrets = objects
          .filter(({ kind }) => kind === 'Secret')
          .flatMap(({ data }) => Object.values(data as Record<string, string>))
          .map((value) => Buffer.from(value, 'base64').toString());
        const elsewhere = JSON.stringify(objects.filter(({ kind }) => kind !== 'Secret'));
        expect(secrets).not.toEqual([]);
        for (const secret of secrets) expect(elsewhere).not.toContain(secret);
        expect(elsewhere).not.toContain('hunter2');
      });

      it('gives the service settings that it accepts', () => {
        const { warnings, ...config } = loadConfig(environmentOf(objects));
        expect(config).toMatchObject({ production: true, http: { host: undefined, port: 3000 } });
        expect(config.nats.clientId).toBe('the-pod');
        expect(warnings.filter((warning) => !warning.startsWith('JWT_KEY_PREVIOUS'))).toEqual([]);
      });
    });

    it('has the same defaults as the service', () => {
      const { http, nats, expiration, shutdownSeconds, log } = loadConfig(environmentOf(rendered()));
      const own = loadConfig({});
      expect({ http, expiration, shutdownSeconds, log }).toEqual({
        http: { ...own.http, host: undefined },
        expiration: own.expiration,
        shutdownSeconds: own.shutdownSeconds,
        log: own.log,
      });
      expect(nats).toMatchObject({
        clusterId: own.nats.clusterId,
        queueGroup: own.nats.queueGroup,
        redeliveryWaitSeconds: own.nats.redeliveryWaitSeconds,
      });
    });

    it('updates without a pod too few, and lets a pod end in its own time', () => {
      const { spec } = find(
        rendered({ set: { preStopSeconds: 7, 'settings.SHUTDOWN_SECONDS': 30 } }),
        'Deployment',
      );
      expect(spec.strategy.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 });
      const [container] = spec.template.spec.containers;
      expect(container.lifecycle.preStop).toEqual({ sleep: { seconds: 7 } });
      expect(spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(7 + 30);
      expect(container.startupProbe.httpGet).toEqual({ path: '/livez', port: 'http' });
      expect(container.livenessProbe.httpGet).toEqual({ path: '/livez', port: 'http' });
      expect(container.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'http' });
    });

    it('waits by Node before it ends where Kubernetes cannot sleep yet', () => {
      const { spec } = find(rendered({ kubeVersion: '1.29.0', set: { preStopSeconds: 7 } }), 'Deployment');
      const [, , script] = spec.template.spec.containers[0].lifecycle.preStop.exec.command.slice(-3);
      expect(script).toBe('setTimeout(() => {}, 7000)');
    });

    it('replaces pods when settings or secrets change, and only then', () => {
      const checksums = (set: object) => {
        const { annotations } = find(rendered({ set }), 'Deployment')['spec'].template.metadata;
        return [annotations['checksum/config'], annotations['checksum/secret']];
      };
      const given = {
        'auth.jwtKey': 'one key',
        'mongodb.auth.rootPassword': 'root',
        'mongodb.auth.password': 'one password',
      };
      const before = checksums(given);
      expect(checksums({ ...given, 'service.port': 80 })).toEqual(before);
      expect(checksums({ ...given, 'settings.LOG_LEVEL': 'debug' })[0]).not.toBe(before[0]);
      expect(checksums({ ...given, 'auth.jwtKey': 'another key' })[1]).not.toBe(before[1]);
      expect(checksums({ ...given, 'mongodb.auth.password': 'another' })[1]).not.toBe(before[1]);
    });

    it.each([
      ['512Mi', 358],
      ['1Gi', 716],
      ['1.5Gi', 1075],
      ['1G', 667],
      [1073741824, 716],
    ])('gives Node its share of a limit of %s', (memory, megabytes) => {
      const environment = environmentOf(rendered({ set: { 'resources.limits.memory': memory } }));
      expect(environment['NODE_OPTIONS']).toBe(`--max-old-space-size=${megabytes}`);
    });

    it.each([
      ['there is no limit', { 'resources.limits': null }],
      ['its share is 0', { heapPercent: 0 }],
    ])('leaves the heap to Node where %s', (_, set) => {
      expect(environmentOf(rendered({ set }))).not.toHaveProperty('NODE_OPTIONS');
    });

    it('leaves NODE_OPTIONS to who sets it', () => {
      const extraEnv = [{ name: 'NODE_OPTIONS', value: '--enable-source-maps' }];
      expect(environmentOf(rendered({ set: { extraEnv } }))['NODE_OPTIONS']).toBe('--enable-source-maps');
    });

    it('protects from disruption only above one replica', () => {
      const kinds = (set: object) => rendered({ set }).map(({ kind }) => kind);
      expect(kinds({ replicas: 1 })).not.toContain('PodDisruptionBudget');
      expect(kinds({ replicas: 2 })).toContain('PodDisruptionBudget');
      expect(kinds({ replicas: null })).toContain('PodDisruptionBudget');
      expect(kinds({ autoscaling: { enabled: true, minReplicas: 1 } })).not.toContain('PodDisruptionBudget');
    });

    it('leaves the number of replicas to the autoscaler', () => {
      expect(find(rendered({ values: 'everything' }), 'Deployment')['spec']).not.toHaveProperty('replicas');
      expect(find(rendered({ set: { replicas: null } }), 'Deployment')['spec']).not.toHaveProperty(
        'replicas',
      );
      expect(find(rendered({ set: { replicas: 0 } }), 'Deployment')['spec'].replicas).toBe(0);
    });

    it('addresses each member of a replica set', () => {
      const objects = rendered({ values: 'production' });
      const host = (i: number) =>
        `orders-order-service-mongodb-${i}.orders-order-service-mongodb-members.default.svc:27017`;
      const members = [0, 1, 2].map(host).join(',');
      expect(environmentOf(objects)['MONGO_URL']).toBe(
        `mongodb://${members}/orders?authSource=orders&replicaSet=rs0`,
      );
      const { spec } = find(objects, 'StatefulSet', '-mongodb');
      const { containers } = spec.template.spec;
      expect(containers[0].args).toEqual(['--replSet=rs0', '--keyFile=/key/key', '--bind_ip_all']);
      expect(containers[1].env).toContainEqual({ name: 'MEMBERS', value: members });
      expect(find(objects, 'Service', '-members')['spec']).toMatchObject({
        clusterIP: 'None',
        publishNotReadyAddresses: true,
      });
    });

    it('keeps what the broker is told, without limits that drop messages silently', () => {
      const { args } = find(rendered(), 'StatefulSet', '-nats')['spec'].template.spec.containers[0];
      expect(args).toEqual(
        expect.arrayContaining([
          ...['--store=FILE', '--max_channels=0', '--max_subs=0', '--max_msgs=0', '--max_bytes=0'],
          '--max_age=0s',
        ]),
      );
    });

    it('keeps generated secrets when the release goes, as the volumes are kept', () => {
      const secrets = rendered().filter(({ kind }) => kind === 'Secret');
      expect(secrets).not.toEqual([]);
      for (const { metadata } of secrets) {
        expect(metadata.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' });
      }
    });

    it('leads from outside to the API alone', () => {
      const objects = rendered({ values: 'everything' });
      const paths = find(objects, 'Ingress')['spec'].rules.flatMap(({ http }: any) => http.paths);
      expect(paths).toHaveLength(2);
      for (const path of paths) {
        expect(path).toMatchObject({
          path: '/api/v1/orders',
          pathType: 'Prefix',
          backend: { service: { name: 'orders-srv', port: { name: 'http' } } },
        });
      }
      expect(find(objects, 'HTTPRoute')['spec'].rules).toEqual([
        {
          matches: [{ path: { type: 'PathPrefix', value: '/api/v1/orders' } }],
          backendRefs: [{ name: 'orders-srv', port: 80 }],
        },
      ]);
    });

    it('lets only the service reach MongoDB, and MongoDB reach nothing', () => {
      const { spec } = find(rendered(), 'NetworkPolicy', '-mongodb');
      expect(spec.ingress[0].from).toEqual([
        { podSelector: { matchLabels: find(rendered(), 'Deployment')['spec'].selector.matchLabels } },
      ]);
      expect(spec).toMatchObject({ policyTypes: ['Ingress', 'Egress'], egress: [] });
    });

    it('lets its own test in wherever others are shut out', () => {
      const ingressFrom = [{ podSelector: { matchLabels: { a: 'b' } } }];
      const objects = rendered({
        set: { 'networkPolicy.ingressFrom': ingressFrom, 'networkPolicy.natsFrom': [] },
      });
      const { labels } = find(objects, 'Pod').metadata;
      for (const nameEnd of ['orders-order-service', '-nats']) {
        const { from } = find(objects, 'NetworkPolicy', nameEnd)['spec'].ingress[0];
        const selectors = from.map(({ podSelector }: any) => podSelector.matchLabels);
        expect(selectors.some((selector: Record<string, string>) => includes(labels, selector))).toBe(true);
      }
    });

    it('restarts MongoDB for new scripts of its members only', () => {
      const annotations = (set: object) =>
        find(rendered({ set }), 'StatefulSet', '-mongodb')['spec'].template.metadata.annotations ?? {};
      expect(annotations({ 'mongodb.replicas': 3 })).toHaveProperty(['checksum/scripts']);
      expect(annotations({})).not.toHaveProperty(['checksum/scripts']);
    });
  });
});

function nameOf({ kind, metadata }: Rendered): string {
  return `${kind} ${metadata.name}`;
}

function includes(labels: Record<string, string>, selector: Record<string, string>): boolean {
  const entries = Object.entries(selector);
  return entries.length > 0 && entries.every(([key, value]) => labels[key] === value);
}
