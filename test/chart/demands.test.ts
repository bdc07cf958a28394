import { createHash } from 'node:crypto';
import { describeWith, serverBinary } from '../support/servers';
import { VALUES_FILES, find, podsOf, render, renderText, type Rendered, type RenderOptions } from './helm';

/** Read by YAML as something else where they stand without quotes. */
const ODD_TEXTS = ['123', '1e3', '0x1f', '1_000', 'true', 'no', 'on', 'null', '~', '1.10', '12:30:45'];

describe.each(['helm', 'helm3'] as const)('what clusters and their owners demand, by %s', (program) => {
  describeWith([program], 'the chart', () => {
    const rendered = (options?: RenderOptions) => render(serverBinary(program), options);

    it('lets every container of every pod have what a quota asks for', () => {
      const resources = { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '2', memory: '2Gi' } };
      const objects = rendered({
        set: {
          resources,
          'smokeTest.resources': resources,
          'import.enabled': true,
          'import.from.url': 'mongodb://old/orders',
          'import.resources': resources,
          'mongodb.replicas': 3,
          'mongodb.resources': resources,
          'mongodb.replicaSet.resources': resources,
          'nats.resources': resources,
        },
      });
      const containers = podsOf(objects).flatMap(({ spec }) => [
        ...(spec.initContainers ?? []),
        ...spec.containers,
      ]);
      expect(
        containers
          .map(({ name }) => name)
          .sort()
          .join(' '),
      ).toBe('import mongodb nats order-service replica-set replica-set-key smoke-test');
      for (const container of containers) expect(container.resources).toEqual(resources);
    });

    describe('names', () => {
      const LONG = `x${'y'.repeat(52)}`;

      it.each([
        ['a.b'],
        [LONG],
        [`${'y'.repeat(30)}-${'z'.repeat(22)}`],
        [`${'y'.repeat(29)}--${'z'.repeat(20)}`],
        [`${'y'.repeat(38)}.${'z'.repeat(14)}`],
        [`order-service-${'z'.repeat(25)}-y`],
      ])('are such that Kubernetes takes them, for the release %s', (release) => {
        const objects = rendered({
          release,
          set: { 'mongodb.replicas': 3, 'grafanaDashboard.enabled': true },
        });
        expect(objects.length).toBeGreaterThan(15);
        for (const { kind, metadata, spec } of objects) {
          expect(`${kind} ${metadata.name}`).toMatch(/^\w+ [a-z]([-a-z0-9]*[a-z0-9])?$/);
          // A StatefulSet's gets eleven characters more in a label, and a Deployment's seventeen as a pod's.
          const most = { StatefulSet: 52, Deployment: 46 }[kind] ?? 63;
          expect(metadata.name.length).toBeLessThanOrEqual(most);
          const selectors = [metadata.labels, spec?.selector?.matchLabels, spec?.template?.metadata.labels];
          for (const value of selectors.flatMap((labels) => Object.values((labels ?? {}) as object))) {
            expect(value).toMatch(/^[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/);
          }
        }
      });

      it('stay as they are where they need not be cut', () => {
        const release = 'y'.repeat(26);
        expect(find(rendered({ release }), 'Deployment').metadata.name).toBe(`${release}-order-service`);
      });

      it.each([
        ['a cut', `${'y'.repeat(45)}-1`, `${'y'.repeat(45)}-2`],
        ['a cut of the ending', `${'y'.repeat(27)}a`, `${'y'.repeat(27)}b`],
        ['a dot', 'a.b', 'a-b'],
      ])('of two releases never become the same by %s', (_, one, other) => {
        const names = (release: string) =>
          rendered({ release }).map(({ kind, metadata: { name } }) => `${kind} ${name}`);
        expect(names(one)).toHaveLength(names(other).length);
        expect(names(one).filter((name) => names(other).includes(name))).toEqual([]);
      });

      it.each(ODD_TEXTS.filter((text) => /^[a-z0-9]+$/.test(text)))(
        'and labels are texts for the release %s',
        (release) => {
          const objects = rendered({
            release,
            namespace: release,
            set: { fullnameOverride: 'on', nameOverride: release },
          });
          expect(objects.length).toBeGreaterThan(10);
          for (const { metadata, spec } of objects) {
            expect(metadata).toMatchObject({ name: expect.any(String), namespace: release });
            for (const labels of [metadata.labels, spec?.selector?.matchLabels ?? {}]) {
              expect(Object.values(labels as object).filter((value) => typeof value !== 'string')).toEqual(
                [],
              );
            }
          }
          expect(find(objects, 'Deployment').metadata.name).toBe('on');
        },
      );
    });

    it.each(ODD_TEXTS)('leaves free text text: %s', (text) => {
      const texts = { 'example.com/a': text };
      const set = {
        commonLabels: texts,
        commonAnnotations: texts,
        podLabels: texts,
        podAnnotations: texts,
        nodeSelector: texts,
        priorityClassName: text,
        'image.tag': '123',
        'service.annotations': texts,
        'serviceAccount.annotations': texts,
        'ingress.enabled': true,
        'ingress.className': text,
        'ingress.annotations': texts,
        'ingress.tls': [{ secretName: text }],
        'httpRoute.enabled': true,
        'httpRoute.parentRefs': [{ name: text }],
        'grafanaDashboard.enabled': true,
        'grafanaDashboard.labels': texts,
        'serviceMonitor.enabled': true,
        'serviceMonitor.labels': texts,
        'settings.QUEUE_GROUP_NAME': text.replace(/[^\w.-]/g, '') || 'x',
        'settings.NATS_CLUSTER_ID': text.replace(/[*>]/g, ''),
        'auth.existingSecret': text.replace(/[^a-z0-9.-]/g, ''),
        'auth.existingSecretKey': text.replace(/[^\w.-]/g, '') || 'x',
        'mongodb.database': text.replace(/[^\w-]/g, '') || 'x',
        'mongodb.auth.username': text,
        'mongodb.auth.existingSecret': text.replace(/[^a-z0-9.-]/g, ''),
        'mongodb.persistence.storageClass': text,
        'nats.persistence.storageClass': text,
        'nats.podLabels': texts,
        'nats.nodeSelector': texts,
        'nats.priorityClassName': text,
        extraEnv: [{ name: 'A', value: text }],
        args: [text],
      };
      const objects = rendered({ set });
      expect(objects.length).toBeGreaterThan(15);
      const found = scalarsOf(objects).filter(({ path }) => !MEANT_AS_NUMBERS.test(path));
      expect(found.filter(({ value }) => value === text).length).toBeGreaterThan(50);
      expect(found.filter(({ value }) => typeof value !== 'string').map(({ path }) => path)).toEqual([]);
    });

    it.each([
      ['', undefined],
      ['-', ''],
      ['1234', '1234'],
      [1234, '1234'],
      [10_000_000, '10000000'],
      ['fast', 'fast'],
    ])('takes the storage class %j as %j', (storageClass, storageClassName) => {
      const objects = rendered({
        set: {
          'mongodb.persistence.storageClass': storageClass,
          'nats.persistence.storageClass': storageClass,
        },
      });
      for (const nameEnd of ['-mongodb', '-nats']) {
        const [claim] = find(objects, 'StatefulSet', nameEnd)['spec'].volumeClaimTemplates;
        expect(claim.spec.storageClassName).toBe(storageClassName);
      }
    });

    it('leaves a secret text whose encoding looks like a number', () => {
      const secret = 'Ӎ8';
      const objects = rendered({
        set: {
          'auth.jwtKey': secret,
          'auth.jwtKeyPrevious': secret,
          'mongodb.enabled': false,
          'externalMongodb.url': 'mongodb://db/orders',
          'externalMongodb.username': 'orders',
          'externalMongodb.password': secret,
        },
      });
      const data = objects.flatMap((object) => (object.kind === 'Secret' ? [object['data']] : []));
      expect(Object.assign({}, ...data)).toMatchObject({
        JWT_KEY: '0404',
        JWT_KEY_PREVIOUS: '0404',
        MONGO_PASSWORD: '0404',
      });
    });

    describe('lets pods out', () => {
      const egressOf = (objects: readonly Rendered[], nameEnd: string) =>
        find(objects, 'NetworkPolicy', nameEnd)['spec'].egress as any[];
      const dns = (port: number) => [
        { protocol: 'UDP', port },
        { protocol: 'TCP', port },
      ];

      it('to DNS, on the ports that clusters have it on', () => {
        const objects = rendered({ set: { 'mongodb.replicas': 3 } });
        for (const nameEnd of ['orders-order-service', '-smoke-test', '-mongodb']) {
          expect(egressOf(objects, nameEnd)[0].ports).toEqual([53, 5353, 8053].flatMap(dns));
        }
      });

      it('the smoke test to the service and the broker alone', () => {
        const objects = rendered();
        const selects = (component: string) => [
          {
            podSelector: {
              matchLabels: {
                'app.kubernetes.io/name': 'order-service',
                'app.kubernetes.io/instance': 'orders',
                'app.kubernetes.io/component': component,
              },
            },
          },
        ];
        const { podSelector, policyTypes, ingress } = find(objects, 'NetworkPolicy', '-smoke-test')['spec'];
        expect({ podSelector, policyTypes, ingress }).toEqual({
          podSelector: selects('smoke-test')[0]!.podSelector,
          policyTypes: ['Ingress', 'Egress'],
          ingress: [],
        });
        expect(find(objects, 'Pod').metadata.labels).toMatchObject(podSelector.matchLabels);
        expect(egressOf(objects, '-smoke-test').slice(1)).toEqual([
          { to: selects('api'), ports: [{ port: 3000 }] },
          { to: selects('nats'), ports: [{ port: 4222 }] },
        ]);
      });

      it('an import to both databases alone, if it is said where the old one is', () => {
        const old = { to: [{ podSelector: { matchLabels: { app: 'orders-mongo' } } }] };
        const enabled = { 'import.enabled': true, 'import.from.url': 'mongodb://old/orders' };
        const objects = rendered({ set: { ...enabled, 'import.egress': [old] } });
        const { podSelector, policyTypes, ingress } = find(objects, 'NetworkPolicy', '-import')['spec'];
        expect({ policyTypes, ingress }).toEqual({ policyTypes: ['Ingress', 'Egress'], ingress: [] });
        const { template } = find(objects, 'Job')['spec'];
        expect(template.metadata.labels).toMatchObject(podSelector.matchLabels);
        const [{ podSelector: api }, fromImport] = find(objects, 'NetworkPolicy', '-mongodb')['spec']
          .ingress[0].from;
        expect(api.matchLabels['app.kubernetes.io/component']).toBe('api');
        expect(fromImport).toEqual({ podSelector });
        const { podSelector: mongodb } = find(objects, 'NetworkPolicy', '-mongodb')['spec'];
        expect(egressOf(objects, '-import').slice(1)).toEqual([
          old,
          { to: [{ podSelector: mongodb }], ports: [{ port: 27017 }] },
        ]);
        expect(egressOf(rendered({ set: enabled }), '-import').slice(1)).toEqual([
          { ports: [{ protocol: 'TCP', port: 1, endPort: 65535 }] },
        ]);
      });

      it.each([
        ['both are elsewhere', { values: 'external' as const }, true, true],
        [
          'the database is',
          { set: { 'mongodb.enabled': false, 'externalMongodb.url': 'mongodb://db/orders' } },
          true,
          false,
        ],
        ['the broker is', { set: { 'nats.enabled': false, 'externalNats.url': 'nats://b' } }, true, true],
        ['none is', {}, false, false],
      ])(
        'to anywhere only while nobody says where external servers are: %s',
        (_, options, service, smokeTest) => {
          const anywhere = { ports: [{ protocol: 'TCP', port: 1, endPort: 65535 }] };
          const extraEgress = [{ to: [{ ipBlock: { cidr: '192.0.2.0/24' } }] }];
          const count = (objects: readonly Rendered[], nameEnd: string) =>
            egressOf(objects, nameEnd).filter((rule) => JSON.stringify(rule) === JSON.stringify(anywhere))
              .length;

          const objects = rendered(options);
          expect(count(objects, 'orders-order-service')).toBe(service ? 1 : 0);
          expect(count(objects, '-smoke-test')).toBe(smokeTest ? 1 : 0);

          const set = { ...('set' in options ? options.set : {}), 'networkPolicy.extraEgress': extraEgress };
          const limited = rendered({ ...options, set });
          for (const nameEnd of ['orders-order-service', '-smoke-test']) {
            expect(count(limited, nameEnd)).toBe(0);
            expect(egressOf(limited, nameEnd)).toContainEqual(extraEgress[0]);
          }
        },
      );
    });

    describe('dashboards', () => {
      const dashboardOf = (options: RenderOptions) => {
        const { data } = find(rendered({ ...options, values: 'everything' }), 'ConfigMap', '-dashboard');
        const [[file, text]] = Object.entries(data as Record<string, string>) as [[string, string]];
        return { file, ...(JSON.parse(text) as { uid: string; title: string; templating: { list: any[] } }) };
      };

      it('of two releases do not overwrite each other', () => {
        const all = [{}, { release: 'others' }, { namespace: 'elsewhere' }, { release: 'y'.repeat(53) }].map(
          dashboardOf,
        );
        for (const property of ['uid', 'title', 'file'] as const) {
          expect(new Set(all.map((dashboard) => dashboard[property])).size).toBe(all.length);
        }
        for (const { uid, file } of all) {
          expect(uid).toMatch(/^[-a-z0-9]{9,40}$/);
          expect(file).toBe(`${uid}.json`);
        }
      });

      it('show the release that they are named after', () => {
        const { title, templating } = dashboardOf({ namespace: 'shop' });
        expect(title).toBe('Order Service: orders-order-service in shop');
        const current = Object.fromEntries(
          templating.list.map(({ name, current }) => [name, current?.value]),
        );
        expect(current).toMatchObject({ namespace: ['shop'], job: ['orders-srv'] });
      });
    });

    describe('for tools that render it again and again', () => {
      /** What the README's section for them gives. */
      const SECRETS = {
        'auth.existingSecret': 'orders-jwt',
        'mongodb.auth.existingSecret': 'orders-mongodb',
      };
      const hash = (options: RenderOptions) =>
        createHash('sha256')
          .update(renderText(serverBinary(program), options))
          .digest('hex');

      it.each(VALUES_FILES)('nothing changes with %s values and secrets of yours', (values) => {
        const set =
          values === 'external'
            ? { 'auth.existingSecret': 'orders-jwt' }
            : { ...SECRETS, 'auth.jwtKey': '', 'auth.jwtKeyPrevious': '' };
        expect(hash({ values, set })).toBe(hash({ values, set }));
      });

      it('nothing changes with secrets that stand in the values', () => {
        const set = {
          'auth.jwtKey': 'a key',
          'mongodb.replicas': 3,
          'mongodb.auth': { rootPassword: 'r', password: 'p', replicaSetKey: 'abcdef' },
        };
        expect(hash({ set })).toBe(hash({ set }));
      });

      it.each(Object.keys(SECRETS))('something changes each time without %s', (missing) => {
        const set = { ...SECRETS, [missing]: '' };
        expect(hash({ set })).not.toBe(hash({ set }));
      });
    });
  });
});

/** What Kubernetes has as a number or a truth value in what these tests render. */
const MEANT_AS_NUMBERS =
  /\.(replicas|revisionHistoryLimit|maxSurge|maxUnavailable|(min|max)Replicas|\w*[pP]ort|endPort|targetPort|run(AsUser|AsGroup)|fsGroup|runAsNonRoot|readOnlyRootFilesystem|allowPrivilegeEscalation|enableServiceLinks|automountServiceAccountToken|publishNotReadyAddresses|optional|maxSkew|\w+Seconds|\w+Threshold|seconds)$/;

/** Every text, number and truth value in them, with its path. */
function scalarsOf(value: unknown, path = ''): { path: string; value: unknown }[] {
  if (typeof value !== 'object' || value === null) return [{ path, value }];
  return Object.entries(value).flatMap(([key, inner]) => scalarsOf(inner, `${path}.${key}`));
}
