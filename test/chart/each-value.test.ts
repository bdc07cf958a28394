import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'yaml';
import { describeWith, serverBinary } from '../support/servers';
import { CHART, environmentOf, filesOf, find, podsOf, render, type Rendered } from './helm';

type Objects = readonly Rendered[];

/** What a value is set to, where it is then found, and what is found there if that is not the value itself. */
interface Row {
  readonly set: unknown;
  readonly at: (objects: Objects) => unknown;
  readonly is?: unknown;
  /** Other values without which it has no effect. */
  readonly beside?: object;
}

const API = 'Deployment';
const SMOKE = 'Pod';
const MONGODB = '-mongodb';
const NATS = '-nats';

const pod = (objects: Objects, kind: string, nameEnd = '') => {
  const { spec } = find(objects, kind, nameEnd);
  return spec.template?.spec ?? spec;
};
const container = (objects: Objects, kind: string, nameEnd = '') => pod(objects, kind, nameEnd).containers[0];
const service = (objects: Objects) => container(objects, API);
const podMetadata = (objects: Objects, kind: string, nameEnd = '') =>
  find(objects, kind, nameEnd)['spec'].template.metadata;

const setting = (name: string) => (objects: Objects) => environmentOf(objects)[name];
const smokeSetting = (name: string) => (objects: Objects) => environmentOf(objects, SMOKE)[name];
/** One answer where the service and its test give the same. */
const both =
  (read: (objects: Objects, kind: string) => unknown): Row['at'] =>
  (objects) => {
    const [service, test] = [API, SMOKE].map((kind) => read(objects, kind));
    return isDeepStrictEqual(service, test) ? service : [service, test];
  };
const inBoth = (name: string) => both((objects, kind) => environmentOf(objects, kind)[name]);
/** Where an environment variable comes from. */
const sourceOf = (name: string, kind: string) => (objects: Objects) =>
  container(objects, kind).env.find((variable: { name: string }) => variable.name === name)?.valueFrom
    ?.secretKeyRef;
const sourceInBoth = (name: string) => both((objects, kind) => sourceOf(name, kind)(objects));
const keyIn = (name: string, kind: string) => (objects: Objects) => sourceOf(name, kind)(objects).key;
const secretIn = (name: string, kind: string) => (objects: Objects) => sourceOf(name, kind)(objects).name;
const keyInBoth = (name: string) => both((objects, kind) => keyIn(name, kind)(objects));
const secretInBoth = (name: string) => both((objects, kind) => secretIn(name, kind)(objects));
/** What is left of it when all other keys are. */
const only = (key: string, from: any) => ({ [key]: from?.[key] });
const each =
  (...readers: Row['at'][]) =>
  (objects: Objects) =>
    readers.map((read) => read(objects));
const named =
  (kind: string, nameEnd = '') =>
  (objects: Objects) =>
    find(objects, kind, nameEnd).metadata.name;
const ANNOTATION = 'example.com/a';
const annotationOf =
  (kind: string, nameEnd = '') =>
  (objects: Objects) =>
    only(ANNOTATION, find(objects, kind, nameEnd).metadata.annotations);
const kinds = (objects: Objects) => objects.map(({ kind }) => kind);
/** One answer where all give the same. */
const ofAll = (values: readonly unknown[]) => [...new Set(values.map((value) => JSON.stringify(value)))];
const secret = (nameEnd: string, key: string) => (objects: Objects) =>
  Buffer.from(find(objects, 'Secret', nameEnd)['data'][key], 'base64').toString();
const args = (objects: Objects, nameEnd: string) =>
  container(objects, 'StatefulSet', nameEnd).args as string[];
const argument = (nameEnd: string, name: string) => (objects: Objects) =>
  args(objects, nameEnd).find((text) => text.startsWith(`--${name}=`));
const claim = (objects: Objects, nameEnd: string) =>
  find(objects, 'StatefulSet', nameEnd)['spec'].volumeClaimTemplates[0].spec;
const policy = (objects: Objects, nameEnd = 'orders-order-service') =>
  find(objects, 'NetworkPolicy', nameEnd)['spec'];
const dashboard = (objects: Objects) => find(objects, 'ConfigMap', '-dashboard').metadata;

const LABELS = { [ANNOTATION]: '1' };
const PEER = [{ podSelector: { matchLabels: LABELS } }];
const EGRESS = [{ to: [{ ipBlock: { cidr: '192.0.2.0/24' } }], ports: [{ port: 443 }] }];
const TOLERATIONS = [{ key: 'a', operator: 'Exists' }];
const AFFINITY = { nodeAffinity: {} };
const imageOfBoth = both((objects, kind) => container(objects, kind).image);
const DIGEST = `sha256:${'0'.repeat(64)}`;
const CPU = { limits: { cpu: '2' } };
const cpuOf = (of: any) => ({ limits: only('cpu', of.resources.limits) });
const AS_USER = { runAsUser: 1234 };
const asUser = (of: any) => only('runAsUser', of.securityContext);
const WRITABLE = { readOnlyRootFilesystem: false };
const writable = (of: any) => only('readOnlyRootFilesystem', of.securityContext);

const OUTSIDE_MONGODB = { 'mongodb.enabled': false, 'externalMongodb.existingSecret': 'database' };
const OUTSIDE_NATS = { 'nats.enabled': false, 'externalNats.existingSecret': 'broker' };
const MONGODB_BY_URL = { 'mongodb.enabled': false, 'externalMongodb.url': 'mongodb://db/orders' };
const NATS_BY_URL = { 'nats.enabled': false, 'externalNats.url': 'nats://broker:4222' };
const SECURE_NATS = { ...NATS_BY_URL, 'externalNats.tls.caSecret': 'ca' };
const THREE_MEMBERS = { 'mongodb.replicas': 3 };
const INGRESS = { 'ingress.enabled': true };
const ROUTE = { 'httpRoute.enabled': true, 'httpRoute.parentRefs': [{ name: 'gateway' }] };
const MONITOR = { 'serviceMonitor.enabled': true };
const IMPORT = { 'import.enabled': true, 'import.from.url': 'mongodb://old/orders' };
const SCALED = { 'autoscaling.enabled': true };

const hpa = (objects: Objects) => find(objects, 'HorizontalPodAutoscaler')['spec'];
const ingress = (objects: Objects) => find(objects, 'Ingress')['spec'];
const route = (objects: Objects) => find(objects, 'HTTPRoute')['spec'];
const natsFile = (name: string) =>
  both((objects, kind) => filesOf(objects, kind)[environmentOf(objects, kind)[name] ?? '']);
const projected = (name: string) =>
  both((objects, kind) => {
    const path = environmentOf(objects, kind)[name]!.split('/').at(-1);
    const { sources } = pod(objects, kind).volumes.find((volume: any) => volume.name === 'secrets').projected;
    return sources.find((source: any) => (source.secret ?? source.configMap).items[0].path === path);
  });

const probe = (name: string): Record<string, Row> => ({
  [`${name}.enabled`]: { set: false, at: (o) => service(o)[name], is: undefined },
  [`${name}.periodSeconds`]: { set: 77, at: (o) => service(o)[name].periodSeconds },
  [`${name}.timeoutSeconds`]: { set: 77, at: (o) => service(o)[name].timeoutSeconds },
  [`${name}.failureThreshold`]: { set: 77, at: (o) => service(o)[name].failureThreshold },
});

/** What MongoDB and NATS have in common. */
const server = (path: string, nameEnd: string): Record<string, Row> => {
  const own = (o: Objects) => container(o, 'StatefulSet', nameEnd);
  const metadata = (o: Objects) => podMetadata(o, 'StatefulSet', nameEnd);
  const image = (o: Objects) => own(o).image as string;
  const inPod = (name: string) => (o: Objects) => pod(o, 'StatefulSet', nameEnd)[name];
  return {
    [`${path}.image.repository`]: { set: 'r/x', at: (o) => image(o).split(':')[0] },
    [`${path}.image.tag`]: { set: '1234', at: (o) => image(o).split(':').at(-1) },
    [`${path}.image.digest`]: { set: DIGEST, at: (o) => image(o).split('@')[1] },
    [`${path}.image.pullPolicy`]: { set: 'Always', at: (o) => own(o).imagePullPolicy },
    [`${path}.extraArgs`]: { set: ['--more'], at: (o) => args(o, nameEnd).slice(-1) },
    [`${path}.persistence.enabled`]: {
      set: false,
      at: (o) => pod(o, 'StatefulSet', nameEnd).volumes.filter(({ name }: any) => name === 'data'),
      is: [{ name: 'data', emptyDir: {} }],
    },
    [`${path}.persistence.size`]: { set: '9Ti', at: (o) => claim(o, nameEnd).resources.requests.storage },
    [`${path}.persistence.storageClass`]: { set: '1234', at: (o) => claim(o, nameEnd).storageClassName },
    [`${path}.podLabels`]: { set: LABELS, at: (o) => only(ANNOTATION, metadata(o).labels) },
    [`${path}.podAnnotations`]: { set: LABELS, at: (o) => only(ANNOTATION, metadata(o).annotations) },
    [`${path}.podSecurityContext`]: { set: AS_USER, at: (o) => asUser(pod(o, 'StatefulSet', nameEnd)) },
    [`${path}.containerSecurityContext`]: { set: WRITABLE, at: (o) => writable(own(o)) },
    [`${path}.resources`]: { set: CPU, at: (o) => cpuOf(own(o)) },
    [`${path}.nodeSelector`]: { set: LABELS, at: inPod('nodeSelector') },
    [`${path}.tolerations`]: { set: TOLERATIONS, at: inPod('tolerations') },
    [`${path}.affinity`]: { set: AFFINITY, at: inPod('affinity') },
    [`${path}.priorityClassName`]: { set: '1234', at: inPod('priorityClassName') },
  };
};

const ROWS: Record<string, Row> = {
  replicas: { set: 4, at: (o) => find(o, API)['spec'].replicas },
  'image.repository': { set: 'r/x', at: both((o, kind) => container(o, kind).image.split(':')[0]) },
  'image.tag': { set: '1234', at: imageOfBoth, is: 'order-service:1234' },
  'image.digest': { set: DIGEST, at: imageOfBoth, is: `order-service@${DIGEST}` },
  'image.pullPolicy': { set: 'Always', at: both((o, kind) => container(o, kind).imagePullPolicy) },
  imagePullSecrets: {
    set: [{ name: 'registry' }],
    at: (o) => ofAll(podsOf(o).map(({ spec }) => spec.imagePullSecrets)),
    is: ['[{"name":"registry"}]'],
  },
  nameOverride: {
    set: 'tix',
    at: each(named(API), (o) => find(o, API)['spec'].selector.matchLabels['app.kubernetes.io/name']),
    is: ['orders-tix', 'tix'],
  },
  fullnameOverride: {
    set: 'tix',
    at: each(named(API), named('StatefulSet', NATS), named('Secret', MONGODB)),
    is: ['tix', 'tix-nats', 'tix-mongodb'],
  },
  commonLabels: {
    set: LABELS,
    at: (o) => ofAll(o.map(({ metadata }) => metadata.labels['example.com/a'])),
    is: ['"1"'],
  },
  commonAnnotations: {
    set: LABELS,
    at: (o) => ofAll(o.map(({ metadata }) => metadata.annotations?.['example.com/a'])),
    is: ['"1"'],
  },
  nodeEnv: { set: 'development', at: setting('NODE_ENV') },

  'settings.API_BASE_PATH': {
    set: '/tix',
    at: each(
      setting('API_BASE_PATH'),
      smokeSetting('ORDERS_URL'),
      (o) => ingress(o).rules[0].http.paths[0].path,
      (o) => route(o).rules[0].matches[0].path.value,
    ),
    is: ['/tix', 'http://orders-order-service:3000/tix', '/tix', '/tix'],
    beside: { ...INGRESS, ...ROUTE },
  },
  'settings.EXPIRATION_WINDOW_SECONDS': { set: 901, at: setting('EXPIRATION_WINDOW_SECONDS'), is: '901' },
  'settings.EXPIRATION_GRACE_SECONDS': { set: 61, at: setting('EXPIRATION_GRACE_SECONDS'), is: '61' },
  'settings.CATCH_UP_SECONDS': { set: 16, at: setting('CATCH_UP_SECONDS'), is: '16' },
  'settings.CATCH_UP_LIMIT_SECONDS': { set: 601, at: setting('CATCH_UP_LIMIT_SECONDS'), is: '601' },
  'settings.REDELIVERY_WAIT_SECONDS': { set: 6, at: setting('REDELIVERY_WAIT_SECONDS'), is: '6' },
  'settings.RATE_LIMIT_PER_MINUTE': {
    set: 1_000_000_000,
    at: setting('RATE_LIMIT_PER_MINUTE'),
    is: '1000000000',
  },
  'settings.MAX_OPEN_ORDERS_PER_USER': { set: 4, at: setting('MAX_OPEN_ORDERS_PER_USER'), is: '4' },
  'settings.KEEP_ALIVE_SECONDS': { set: 3601, at: setting('KEEP_ALIVE_SECONDS'), is: '3601' },
  'settings.CORS_ORIGINS': { set: 'https://a.example, https://b.example', at: setting('CORS_ORIGINS') },
  'settings.NATS_CLUSTER_ID': {
    set: '123',
    at: each(inBoth('NATS_CLUSTER_ID'), argument(NATS, 'cluster_id')),
    is: ['123', '--cluster_id=123'],
  },
  'settings.QUEUE_GROUP_NAME': { set: '1e3', at: setting('QUEUE_GROUP_NAME') },
  'settings.LOG_LEVEL': { set: 'debug', at: setting('LOG_LEVEL') },
  'settings.LOG_FORMAT': { set: 'pretty', at: setting('LOG_FORMAT') },
  'settings.SHUTDOWN_SECONDS': {
    set: 200,
    at: (o) => [setting('SHUTDOWN_SECONDS')(o), pod(o, API).terminationGracePeriodSeconds],
    is: ['200', 215],
  },

  'auth.existingSecret': {
    set: '123',
    at: each(secretInBoth('JWT_KEY'), secretIn('JWT_KEY_PREVIOUS', API)),
    is: ['123', '123'],
  },
  'auth.existingSecretKey': {
    set: 'true',
    at: keyInBoth('JWT_KEY'),
    beside: { 'auth.existingSecret': 'jwt' },
  },
  'auth.existingSecretPreviousKey': {
    set: 'null',
    at: (o) => sourceOf('JWT_KEY_PREVIOUS', API)(o),
    is: { name: 'jwt', key: 'null' },
    beside: { 'auth.existingSecret': 'jwt' },
  },
  'auth.jwtKey': {
    set: 'a key',
    at: each(secret('orders-order-service', 'JWT_KEY'), setting('JWT_KEY')),
    is: ['a key', 'a key'],
  },
  'auth.jwtKeyPrevious': { set: 'the key before', at: setting('JWT_KEY_PREVIOUS') },
  secretsAsFiles: {
    set: true,
    at: (o) => [setting('JWT_KEY')(o), filesOf(o)[setting('JWT_KEY_FILE')(o)!]],
    is: [undefined, 'a key'],
    beside: { 'auth.jwtKey': 'a key' },
  },
  extraEnv: { set: [{ name: 'TZ', value: 'UTC' }], at: setting('TZ'), is: 'UTC' },
  extraEnvFrom: { set: [{ configMapRef: { name: 'more' } }], at: (o) => service(o).envFrom.slice(1) },
  args: { set: ['--inspect', 'dist/main.js'], at: (o) => service(o).args },

  'service.name': {
    set: 'orders-srv',
    at: each(
      (o) => o.filter(({ kind, metadata }) => kind === 'Service' && metadata.name === 'orders-srv').length,
      (o) => new URL(smokeSetting('ORDERS_URL')(o)!).hostname,
      (o) => ingress(o).rules[0].http.paths[0].backend.service.name,
      (o) => route(o).rules[0].backendRefs[0].name,
    ),
    is: [1, 'orders-srv', 'orders-srv', 'orders-srv'],
    beside: { ...INGRESS, ...ROUTE },
  },
  'service.type': { set: 'NodePort', at: (o) => find(o, 'Service', 'orders-order-service')['spec'].type },
  'service.port': {
    set: 8080,
    at: each(
      (o) => find(o, 'Service', 'orders-order-service')['spec'].ports[0].port,
      (o) => new URL(smokeSetting('ORDERS_URL')(o)!).port,
      (o) => route(o).rules[0].backendRefs[0].port,
    ),
    is: [8080, '8080', 8080],
    beside: ROUTE,
  },
  'service.annotations': { set: LABELS, at: annotationOf('Service', 'orders-order-service') },
  'ingress.enabled': { set: true, at: (o) => kinds(o).includes('Ingress') },
  'ingress.className': { set: '1234', at: (o) => ingress(o).ingressClassName, beside: INGRESS },
  'ingress.annotations': { set: LABELS, at: annotationOf('Ingress'), beside: INGRESS },
  'ingress.hosts': {
    set: ['a.example', '*.b.example'],
    at: (o) => ingress(o).rules.map(({ host }: any) => host),
    beside: INGRESS,
  },
  'ingress.tls': {
    set: [{ hosts: ['a.example'], secretName: 'tls' }],
    at: (o) => ingress(o).tls,
    beside: INGRESS,
  },
  'httpRoute.enabled': {
    set: true,
    at: (o) => kinds(o).includes('HTTPRoute'),
    beside: { 'httpRoute.parentRefs': [{ name: 'gateway' }] },
  },
  'httpRoute.annotations': { set: LABELS, at: annotationOf('HTTPRoute'), beside: ROUTE },
  'httpRoute.parentRefs': { set: [{ name: '1234' }], at: (o) => route(o).parentRefs, beside: ROUTE },
  'httpRoute.hostnames': { set: ['a.example'], at: (o) => route(o).hostnames, beside: ROUTE },
  'serviceAccount.create': {
    set: false,
    at: (o) => [kinds(o).includes('ServiceAccount'), pod(o, API).serviceAccountName],
    is: [false, 'default'],
  },
  'serviceAccount.name': {
    set: '123',
    at: (o) => [find(o, 'ServiceAccount').metadata.name, pod(o, API).serviceAccountName],
    is: ['123', '123'],
  },
  'serviceAccount.annotations': { set: LABELS, at: annotationOf('ServiceAccount') },
  podLabels: { set: LABELS, at: (o) => only(ANNOTATION, podMetadata(o, API).labels) },
  podAnnotations: { set: LABELS, at: (o) => only(ANNOTATION, podMetadata(o, API).annotations) },
  podSecurityContext: { set: AS_USER, at: both((o, kind) => asUser(pod(o, kind))) },
  containerSecurityContext: { set: WRITABLE, at: both((o, kind) => writable(container(o, kind))) },
  resources: { set: CPU, at: (o) => cpuOf(service(o)) },
  heapPercent: { set: 50, at: setting('NODE_OPTIONS'), is: '--max-old-space-size=256' },
  preStopSeconds: {
    set: 100,
    at: (o) => [service(o).lifecycle.preStop.sleep.seconds, pod(o, API).terminationGracePeriodSeconds],
    is: [100, 130],
  },
  ...probe('startupProbe'),
  ...probe('livenessProbe'),
  ...probe('readinessProbe'),
  volumes: { set: [{ name: 'more', emptyDir: {} }], at: (o) => pod(o, API).volumes.slice(1) },
  volumeMounts: { set: [{ name: 'tmp', mountPath: '/more' }], at: (o) => service(o).volumeMounts.slice(1) },
  nodeSelector: { set: LABELS, at: both((o, kind) => pod(o, kind).nodeSelector) },
  tolerations: { set: TOLERATIONS, at: both((o, kind) => pod(o, kind).tolerations) },
  affinity: { set: AFFINITY, at: both((o, kind) => pod(o, kind).affinity) },
  topologySpreadConstraints: {
    set: [{ maxSkew: 5, topologyKey: 'a', whenUnsatisfiable: 'DoNotSchedule' }],
    at: (o) => pod(o, API).topologySpreadConstraints,
  },
  priorityClassName: { set: '1234', at: both((o, kind) => pod(o, kind).priorityClassName) },

  'autoscaling.enabled': { set: true, at: (o) => kinds(o).includes('HorizontalPodAutoscaler') },
  'autoscaling.minReplicas': { set: 3, at: (o) => hpa(o).minReplicas, beside: SCALED },
  'autoscaling.maxReplicas': { set: 9, at: (o) => hpa(o).maxReplicas, beside: SCALED },
  'autoscaling.targetCPUUtilizationPercentage': {
    set: 55,
    at: (o) => hpa(o).metrics[0].resource.target.averageUtilization,
    beside: SCALED,
  },
  'autoscaling.behavior': {
    set: { scaleDown: { stabilizationWindowSeconds: 9 } },
    at: (o) => hpa(o).behavior,
    beside: SCALED,
  },
  'podDisruptionBudget.enabled': {
    set: false,
    at: (o) => kinds(o).includes('PodDisruptionBudget'),
    beside: { replicas: 2 },
  },
  'podDisruptionBudget.maxUnavailable': {
    set: '25%',
    at: (o) => find(o, 'PodDisruptionBudget')['spec'].maxUnavailable,
    beside: { replicas: 2 },
  },

  'networkPolicy.enabled': { set: false, at: (o) => kinds(o).includes('NetworkPolicy') },
  'networkPolicy.ingressFrom': { set: PEER, at: (o) => policy(o).ingress[0].from.slice(0, 1) },
  'networkPolicy.dnsPorts': {
    set: [9953],
    at: (o) =>
      ['orders-order-service', '-smoke-test', MONGODB].map((nameEnd) =>
        policy(o, nameEnd).egress[0].ports.map(({ protocol, port }: any) => `${protocol} ${port}`),
      ),
    is: Array.from({ length: 3 }, () => ['UDP 9953', 'TCP 9953']),
    beside: THREE_MEMBERS,
  },
  'networkPolicy.extraEgress': {
    set: EGRESS,
    at: (o) => ['orders-order-service', '-smoke-test'].map((nameEnd) => policy(o, nameEnd).egress[1]),
    is: [EGRESS[0], EGRESS[0]],
  },
  'networkPolicy.mongodbFrom': { set: PEER, at: (o) => policy(o, MONGODB).ingress[0].from.slice(-1) },
  'networkPolicy.mongodbEgress': { set: EGRESS, at: (o) => policy(o, MONGODB).egress.slice(1) },
  'networkPolicy.natsFrom': { set: PEER, at: (o) => policy(o, NATS).ingress[0].from.slice(2) },
  'networkPolicy.natsEgress': { set: EGRESS, at: (o) => policy(o, NATS).egress.slice(1) },

  'serviceMonitor.enabled': { set: true, at: (o) => kinds(o).includes('ServiceMonitor') },
  'serviceMonitor.interval': {
    set: '7s',
    at: (o) => find(o, 'ServiceMonitor')['spec'].endpoints[0].interval,
    beside: MONITOR,
  },
  'serviceMonitor.labels': {
    set: LABELS,
    at: (o) => only(ANNOTATION, find(o, 'ServiceMonitor').metadata.labels),
    beside: MONITOR,
  },
  'prometheusRule.enabled': { set: true, at: (o) => kinds(o).includes('PrometheusRule'), beside: MONITOR },
  'prometheusRule.labels': {
    set: LABELS,
    at: (o) => only(ANNOTATION, find(o, 'PrometheusRule').metadata.labels),
    beside: { ...MONITOR, 'prometheusRule.enabled': true },
  },
  'grafanaDashboard.enabled': {
    set: true,
    at: (o) => o.some(({ metadata }) => metadata.name.endsWith('-dashboard')),
  },
  'grafanaDashboard.labels': {
    set: { dashboards: 'yes' },
    at: (o) => only('dashboards', dashboard(o).labels),
    beside: { 'grafanaDashboard.enabled': true },
  },
  'grafanaDashboard.annotations': {
    set: LABELS,
    at: (o) => dashboard(o).annotations,
    beside: { 'grafanaDashboard.enabled': true },
  },

  'smokeTest.args': { set: ['--import', 'tsx'], at: (o) => container(o, SMOKE).args },
  'smokeTest.deadlineSeconds': { set: 77, at: smokeSetting('DEADLINE_SECONDS'), is: '77' },
  'smokeTest.resources': { set: CPU, at: (o) => cpuOf(container(o, SMOKE)) },

  'import.enabled': {
    set: true,
    at: (o) => kinds(o).includes('Job'),
    beside: { 'import.from.url': 'mongodb://old/orders' },
  },
  'import.from.url': {
    set: 'mongodb://old/orders',
    at: secret('-import', 'OLD_MONGO_URL'),
    beside: { 'import.enabled': true },
  },
  'import.from.existingSecret': {
    set: 'old',
    at: secretIn('OLD_MONGO_URL', 'Job'),
    beside: { 'import.enabled': true },
  },
  'import.from.existingSecretKey': {
    set: 'url',
    at: keyIn('OLD_MONGO_URL', 'Job'),
    beside: { 'import.enabled': true, 'import.from.existingSecret': 'old' },
  },
  'import.args': {
    set: ['--cancel-conflicts'],
    at: (o) => container(o, 'Job').args.slice(4),
    beside: IMPORT,
  },
  'import.egress': { set: EGRESS, at: (o) => policy(o, '-import').egress.slice(1, 2), beside: IMPORT },
  'import.resources': { set: CPU, at: (o) => cpuOf(container(o, 'Job')), beside: IMPORT },

  ...server('mongodb', MONGODB),
  'mongodb.enabled': {
    set: false,
    at: named('StatefulSet'),
    is: 'orders-order-service-nats',
    beside: { externalMongodb: { url: 'mongodb://db/orders' } },
  },
  'mongodb.replicas': { set: 3, at: (o) => find(o, 'StatefulSet', MONGODB)['spec'].replicas },
  'mongodb.service.name': {
    set: 'order-mongo-srv',
    at: (o) => [named('Service', 'order-mongo-srv')(o), setting('MONGO_URL')(o)],
    is: ['order-mongo-srv', 'mongodb://order-mongo-srv:27017/orders?authSource=orders'],
  },
  'mongodb.database': {
    set: 'null',
    at: each(
      setting('MONGO_URL'),
      (o) =>
        container(o, 'StatefulSet', MONGODB).env.find(({ name }: any) => name === 'MONGO_INITDB_DATABASE')
          .value,
    ),
    is: ['mongodb://orders-order-service-mongodb:27017/null?authSource=null', 'null'],
  },
  'mongodb.auth.existingSecret': {
    set: '123',
    at: (o) => [
      secretIn('MONGO_PASSWORD', API)(o),
      ...container(o, 'StatefulSet', MONGODB).env.flatMap(
        ({ valueFrom }: any) => valueFrom?.secretKeyRef.name ?? [],
      ),
      pod(o, 'StatefulSet', MONGODB).volumes.find(({ name }: any) => name === 'secret-key').secret.secretName,
    ],
    is: ['123', '123', '123', '123'],
    beside: THREE_MEMBERS,
  },
  'mongodb.auth.username': {
    set: 'true',
    at: each(
      setting('MONGO_USERNAME'),
      (o) =>
        container(o, 'StatefulSet', MONGODB).env.find(({ name }: any) => name === 'MONGO_USERNAME').value,
    ),
    is: ['true', 'true'],
  },
  'mongodb.auth.rootPassword': { set: 'p@ss', at: secret(MONGODB, 'MONGO_ROOT_PASSWORD') },
  'mongodb.auth.password': { set: 'p@ss', at: setting('MONGO_PASSWORD') },
  'mongodb.auth.replicaSetKey': {
    set: 'abcdef',
    at: secret(MONGODB, 'MONGO_REPLICA_SET_KEY'),
    beside: THREE_MEMBERS,
  },
  'mongodb.replicaSet.resources': {
    set: CPU,
    at: (o) => cpuOf(pod(o, 'StatefulSet', MONGODB).containers[1]),
    beside: THREE_MEMBERS,
  },

  'externalMongodb.url': {
    set: 'mongodb://other/orders',
    at: setting('MONGO_URL'),
    beside: { 'mongodb.enabled': false },
  },
  'externalMongodb.existingSecret': {
    set: '123',
    at: secretIn('MONGO_URL', API),
    beside: { 'mongodb.enabled': false },
  },
  'externalMongodb.existingSecretKey': { set: '1e3', at: keyIn('MONGO_URL', API), beside: OUTSIDE_MONGODB },
  'externalMongodb.username': {
    set: 'null',
    at: setting('MONGO_USERNAME'),
    beside: { ...MONGODB_BY_URL, 'externalMongodb.password': 'p' },
  },
  'externalMongodb.password': {
    set: 'p@ss/1',
    at: setting('MONGO_PASSWORD'),
    beside: { ...MONGODB_BY_URL, 'externalMongodb.username': 'u' },
  },
  'externalMongodb.existingSecretUsernameKey': {
    set: '1',
    at: sourceOf('MONGO_USERNAME', API),
    is: { name: 'database', key: '1' },
    beside: { ...OUTSIDE_MONGODB, 'externalMongodb.existingSecretPasswordKey': 'p' },
  },
  'externalMongodb.existingSecretPasswordKey': {
    set: '1',
    at: sourceOf('MONGO_PASSWORD', API),
    is: { name: 'database', key: '1' },
    beside: { ...OUTSIDE_MONGODB, 'externalMongodb.username': 'u' },
  },

  ...server('nats', NATS),
  'nats.enabled': {
    set: false,
    at: named('StatefulSet'),
    is: 'orders-order-service-mongodb',
    beside: { externalNats: { url: 'nats://broker:4222' } },
  },
  'nats.service.name': {
    set: 'nats-srv',
    at: each(named('Service', 'nats-srv'), inBoth('NATS_URL')),
    is: ['nats-srv', 'nats://nats-srv:4222'],
  },
  'nats.limits.maxMessages': { set: 10_000_000, at: argument(NATS, 'max_msgs'), is: '--max_msgs=10000000' },
  'nats.limits.maxBytes': {
    set: 1_073_741_824,
    at: argument(NATS, 'max_bytes'),
    is: '--max_bytes=1073741824',
  },
  'nats.limits.maxAge': { set: '720h', at: argument(NATS, 'max_age'), is: '--max_age=720h' },
  'nats.heartbeat.interval': { set: '7s', at: argument(NATS, 'hb_interval'), is: '--hb_interval=7s' },
  'nats.heartbeat.timeout': { set: '7s', at: argument(NATS, 'hb_timeout'), is: '--hb_timeout=7s' },
  'nats.heartbeat.failures': { set: 7, at: argument(NATS, 'hb_fail_count'), is: '--hb_fail_count=7' },

  'externalNats.url': {
    set: 'tls://a:4222,tls://b:4222',
    at: inBoth('NATS_URL'),
    beside: { 'nats.enabled': false },
  },
  'externalNats.existingSecret': {
    set: '123',
    at: secretInBoth('NATS_URL'),
    beside: { 'nats.enabled': false },
  },
  'externalNats.existingSecretKey': { set: '1e3', at: keyInBoth('NATS_URL'), beside: OUTSIDE_NATS },
  'externalNats.username': {
    set: 'null',
    at: inBoth('NATS_USERNAME'),
    beside: { ...NATS_BY_URL, 'externalNats.password': 'p' },
  },
  'externalNats.password': {
    set: 'p@ss/1',
    at: inBoth('NATS_PASSWORD'),
    beside: { ...NATS_BY_URL, 'externalNats.username': 'u' },
  },
  'externalNats.existingSecretUsernameKey': {
    set: '1',
    at: sourceInBoth('NATS_USERNAME'),
    is: { name: 'broker', key: '1' },
    beside: { ...OUTSIDE_NATS, 'externalNats.existingSecretPasswordKey': 'p' },
  },
  'externalNats.existingSecretPasswordKey': {
    set: '1',
    at: sourceInBoth('NATS_PASSWORD'),
    is: { name: 'broker', key: '1' },
    beside: { ...OUTSIDE_NATS, 'externalNats.username': 'u' },
  },
  'externalNats.tls.caSecret': {
    set: '123',
    at: projected('NATS_CA_FILE'),
    is: { secret: { name: '123', items: [{ key: 'ca.crt', path: 'nats-ca.crt' }] } },
    beside: NATS_BY_URL,
  },
  'externalNats.tls.caConfigMap': {
    set: 'cas',
    at: projected('NATS_CA_FILE'),
    is: { configMap: { name: 'cas', items: [{ key: 'ca.crt', path: 'nats-ca.crt' }] } },
    beside: NATS_BY_URL,
  },
  'externalNats.tls.caKey': {
    set: '1.0',
    at: projected('NATS_CA_FILE'),
    is: { secret: { name: 'ca', items: [{ key: '1.0', path: 'nats-ca.crt' }] } },
    beside: SECURE_NATS,
  },
  'externalNats.tls.certSecret': {
    set: 'cert',
    at: each(projected('NATS_CERT_FILE'), projected('NATS_KEY_FILE'), natsFile('NATS_KEY_FILE')),
    is: [
      { secret: { name: 'cert', items: [{ key: 'tls.crt', path: 'nats-tls.crt' }] } },
      { secret: { name: 'cert', items: [{ key: 'tls.key', path: 'nats-tls.key' }] } },
      expect.any(String),
    ],
    beside: NATS_BY_URL,
  },
};

const values = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8')) as object;

/** Every value that is no group: Kubernetes' own objects and maps of anyone's keys are one value. */
function leavesOf(value: unknown, path: string): string[] {
  const isGroup =
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
  if (!isGroup || /(resources|[sS]ecurityContext|[lL]abels)$/.test(path)) return [path];
  return Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, path ? `${path}.${key}` : key));
}

describe('each value of the chart', () => {
  it('has a row below', () => {
    expect(Object.keys(ROWS).sort()).toEqual(leavesOf(values, '').sort());
  });

  describeWith(['helm'], 'reaches what is rendered', () => {
    const rendered = (set: object) => render(serverBinary('helm'), { set });

    it.each(Object.entries(ROWS))('%s', (path, row) => {
      const expected = 'is' in row ? row.is : row.set;
      expect(row.at(rendered({ ...row.beside, [path]: row.set }))).toEqual(expected);
      // It was not there before, so it is the value that brought it.
      expect(foundBefore(row, () => rendered({ ...row.beside }))).not.toEqual(expected);
    });
  });
});

/** Where the object is not there at all without the value, or its place is not, nothing is found. */
function foundBefore({ at }: Row, objects: () => Objects): unknown {
  let before: Objects;
  try {
    before = objects();
  } catch {
    return 'refused';
  }
  try {
    return at(before);
  } catch {
    return 'nothing';
  }
}
