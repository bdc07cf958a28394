import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { DEVELOPMENT_JWT_KEY } from '../../src/config/load-config';
import { createMetrics } from '../../src/observability/metrics';
import { describeWith, serverBinary } from '../support/servers';
import { CHART, find, refusal, render } from './helm';

const read = (file: string) => readFileSync(join(CHART, file), 'utf8');
const schema = JSON.parse(read('values.schema.json')) as JsonSchema;

interface JsonSchema {
  readonly properties?: Record<string, JsonSchema>;
  readonly $ref?: string;
  readonly definitions?: Record<string, JsonSchema>;
}

const OUTSIDE_MONGODB = { 'mongodb.enabled': false, 'externalMongodb.url': 'mongodb://db/orders' };
const OUTSIDE_NATS = { 'nats.enabled': false, 'externalNats.url': 'nats://n' };
const SCALED = { 'autoscaling.enabled': true };
const PUBLIC_KEY = 'auth.jwtKey: is a public key of a development set-up';
const KNOWN_KEY = 'for development only, this key is known to everyone';

describe('values of the chart', () => {
  it('all stand in its README, with their defaults', () => {
    const script = join(__dirname, '../../scripts/chart-values.mjs');
    const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  it('are those of the schema', () => {
    const optional = /^(enabled|global|([\w.]+\.)?resources|\w+Probe|.+SecurityContext)(\.|$)/;
    const inSchema = propertiesOf(schema, '').filter((path) => !optional.test(path));
    const inValues = keysOf(parse(read('values.yaml')), '').filter((path) => !optional.test(path));
    expect(inValues).toContain('image.repository');
    expect(inValues.filter((path) => !inSchema.includes(path))).toEqual([]);
    expect(inSchema.filter((path) => !inValues.includes(path))).toEqual([]);
  });

  describe.each(['helm', 'helm3'] as const)('to %s', (program) => {
    describeWith([program], 'are refused where they are wrong', () => {
      it.each([
        [{ replicas: 'many' }, "at '/replicas': got string, want integer"],
        [{ unknown: 1 }, "additional properties 'unknown' not allowed"],
        [{ 'settings.PORT': 80 }, "at '/settings': additional properties 'PORT' not allowed"],
        [{ 'settings.LOG_LEVEL': 'loud' }, "at '/settings/LOG_LEVEL': value must be one of"],
        [{ 'settings.EXPIRATION_WINDOW_SECONDS': 0 }, "at '/settings/EXPIRATION_WINDOW_SECONDS'"],
        [{ 'settings.API_BASE_PATH': '/orders/' }, "at '/settings/API_BASE_PATH'"],
        [{ 'image.digest': 'latest' }, "at '/image/digest'"],
        [{ 'image.repository': 'orders:1.0' }, "at '/image/repository'"],
        [{ 'resources.limits.memory': 'lots' }, "at '/resources/limits/memory'"],
        [{ 'mongodb.replicas': 2 }, "at '/mongodb/replicas': value must be one of 1, 3"],
        [{ 'service.name': 'orders.srv' }, "at '/service/name'"],
        [{ 'externalMongodb.url': 'http://db' }, "at '/externalMongodb/url'"],
        [{ 'externalMongodb.url': 'mongodb://db' }, "at '/externalMongodb/url'"],
        [{ 'externalMongodb.url': 'mongodb://db/?replicaSet=a' }, "at '/externalMongodb/url'"],
        [{ 'externalNats.url': 'broker:4222' }, "at '/externalNats/url'"],
        [{ 'mongodb.persistence.size': 8 }, "at '/mongodb/persistence/size'"],
        [{ 'mongodb.persistence.size': '8' }, "at '/mongodb/persistence/size'"],
        [{ 'nats.persistence.size': 4 }, "at '/nats/persistence/size'"],
        [{ 'nats.persistence.size': '4000m' }, "at '/nats/persistence/size'"],
        [{ 'resources.limits.memory': 512 }, "at '/resources/limits/memory'"],
        [{ 'resources.requests.memory': '512' }, "at '/resources/requests/memory'"],
        [{ 'smokeTest.resources.limits.memory': '400m' }, "at '/smokeTest/resources/limits/memory'"],
        [
          { 'mongodb.replicaSet.resources': { limits: { 'ephemeral-storage': 2 } } },
          "at '/mongodb/replicaSet/resources/limits/ephemeral-storage'",
        ],
        [{ 'networkPolicy.dnsPorts': [0] }, "at '/networkPolicy/dnsPorts/0'"],
        [{ 'settings.KEEP_ALIVE_SECONDS': 0 }, "at '/settings/KEEP_ALIVE_SECONDS'"],
        [{ 'settings.CORS_ORIGINS': '*' }, "at '/settings/CORS_ORIGINS'"],
        [{ 'settings.CORS_ORIGINS': 'https://a.example/' }, "at '/settings/CORS_ORIGINS'"],
        [{ 'image.tag': 1234 }, "at '/image/tag': got number, want string"],
        [{ podAnnotations: { a: 1 } }, "at '/podAnnotations/a': got number, want string"],
        [{ 'nats.limits.maxAge': 'long' }, "at '/nats/limits/maxAge'"],
      ])('%j', async (set, message) => {
        expect(await refusal(serverBinary(program), { set })).toContain(message);
      });

      it.each([
        [{ 'mongodb.enabled': false }, 'externalMongodb: with mongodb.enabled false, set'],
        [{ 'externalMongodb.url': 'mongodb://db/orders' }, 'externalMongodb: set mongodb.enabled to false'],
        [{ 'externalMongodb.password': 'p' }, 'externalMongodb: set mongodb.enabled to false'],
        [{ 'externalNats.tls.caSecret': 'ca' }, 'externalNats: set nats.enabled to false'],
        [
          { ...OUTSIDE_MONGODB, 'externalMongodb.existingSecret': 'db' },
          'externalMongodb: set url or existingSecret, not both',
        ],
        [{ 'nats.enabled': false }, 'externalNats: with nats.enabled false, set'],
        [{ 'externalNats.url': 'nats://n' }, 'externalNats: set nats.enabled to false'],
        [
          { ...OUTSIDE_NATS, 'externalNats.existingSecret': 'n' },
          'externalNats: set url or existingSecret, not both',
        ],
        ...(['externalMongodb', 'externalNats'] as const).flatMap((path): [object, string][] => {
          const given = (more: Record<string, string>) => ({
            ...OUTSIDE_MONGODB,
            ...OUTSIDE_NATS,
            ...Object.fromEntries(Object.entries(more).map(([key, value]) => [`${path}.${key}`, value])),
          });
          return [
            [given({ username: 'u' }), `${path}: username and password go together`],
            [given({ password: 'p' }), `${path}: username and password go together`],
            [
              given({ existingSecretPasswordKey: 'p' }),
              `${path}.existingSecret: existingSecretUsernameKey and`,
            ],
            [
              given({ existingSecret: 's', username: 'u', password: 'p', existingSecretPasswordKey: 'p' }),
              `${path}: set password or existingSecretPasswordKey, not both`,
            ],
            [
              given({ existingSecret: 's', username: 'u', password: 'p', existingSecretUsernameKey: 'u' }),
              `${path}: set username or existingSecretUsernameKey, not both`,
            ],
            [
              given({
                url: path === 'externalNats' ? 'nats://a:b@n' : 'mongodb://a:b@db/orders',
                username: 'u',
                password: 'p',
              }),
              `${path}: the url holds a user as well`,
            ],
          ];
        }),
        [
          {
            'nats.enabled': false,
            'externalNats.url': 'tls://n',
            'externalNats.tls': { caSecret: 'a', caConfigMap: 'b', caKey: 'ca.crt', certSecret: '' },
          },
          'externalNats.tls: set caSecret or caConfigMap, not both',
        ],
        [{ 'auth.existingSecretPreviousKey': 'old' }, 'auth.existingSecretPreviousKey: is a key of'],
        [{ 'auth.jwtKey': DEVELOPMENT_JWT_KEY }, 'auth.jwtKey: is the public key for development'],
        [{ 'auth.jwtKeyPrevious': DEVELOPMENT_JWT_KEY }, 'auth.jwtKey: is the public key for development'],
        [{ 'auth.jwtKey': 'compose-development-key' }, PUBLIC_KEY],
        [{ 'auth.jwtKeyPrevious': KNOWN_KEY }, PUBLIC_KEY],
        [{ extraEnv: [{ name: 'MONGO_URI', value: 'x' }] }, 'extraEnv: MONGO_URI is used by'],
        [{ 'auth.existingSecret': 'jwt', 'auth.jwtKey': 'key' }, 'auth: set existingSecret, or jwtKey'],
        [
          { 'mongodb.auth.existingSecret': 'db', 'mongodb.auth.password': 'p' },
          'mongodb.auth: set existingSecret, or passwords',
        ],
        [{ 'settings.CATCH_UP_SECONDS': 5 }, 'settings.CATCH_UP_SECONDS: must be longer than'],
        [{ 'settings.CATCH_UP_LIMIT_SECONDS': 15 }, 'settings.CATCH_UP_LIMIT_SECONDS: must be longer than'],
        [{ 'settings.API_BASE_PATH': '/Metrics' }, 'settings.API_BASE_PATH: must not be'],
        [{ ...SCALED, 'autoscaling.minReplicas': 9 }, 'autoscaling.minReplicas: must not be above'],
        [{ ...SCALED, 'resources.requests': null }, 'autoscaling: needs resources.requests.cpu'],
        [{ 'httpRoute.enabled': true }, 'httpRoute.parentRefs: name the Gateway'],
        [{ 'service.name': 'a', 'nats.service.name': 'a' }, 'must differ from each other'],
        [{ extraEnv: [{ name: 'NATS_URL', value: 'x' }] }, 'extraEnv: NATS_URL is used by other objects'],
        [{ extraEnv: [{ name: 'SHUTDOWN_SECONDS', value: '60' }] }, 'extraEnv: SHUTDOWN_SECONDS is used by'],
        [{ extraEnv: [{ name: 'JWT_KEY_FILE', value: '/key' }] }, 'extraEnv: JWT_KEY_FILE is used by'],
        [{ extraEnv: [{ name: 'NATS_CA_FILE', value: '/ca' }] }, 'extraEnv: NATS_CA_FILE is used by'],
        [{ 'prometheusRule.enabled': true }, 'prometheusRule: needs serviceMonitor.enabled'],
        [{ 'mongodb.database': 'admin' }, 'mongodb.database: admin, local and config'],
        [{ 'mongodb.auth.username': 'root' }, 'mongodb.auth.username: root is the administrator'],
        [{ podLabels: null }, "missing property 'podLabels'"],
        [{ 'resources.limits.memory': '1Ti' }, 'resources.limits.memory: write it in'],
      ])('together: %j', async (set, message) => {
        expect(await refusal(serverBinary(program), { set })).toContain(message);
      });

      it('but not a URL beside a secret that holds the credentials alone', () => {
        const set = {
          ...OUTSIDE_MONGODB,
          'externalMongodb.existingSecret': 'db',
          'externalMongodb.existingSecretUsernameKey': 'username',
          'externalMongodb.existingSecretPasswordKey': 'password',
        };
        expect(render(serverBinary(program), { set }).length).toBeGreaterThan(5);
      });

      it('a release whose name no Service can have', async () => {
        expect(await refusal(serverBinary(program), { release: '1st' })).toContain(
          'fullnameOverride: set one that',
        );
      });
    });
  });
});

it('the chart and the image have the version of the package', () => {
  const { version } = JSON.parse(readFileSync(join(CHART, '../../package.json'), 'utf8')) as {
    version: string;
  };
  expect(parse(read('Chart.yaml'))).toMatchObject({ version, appVersion: version });
  expect(read('../../Dockerfile')).toContain(`ARG VERSION=${version}\n`);
});

describeWith(['helm'], 'what the chart watches', () => {
  it.each([
    ['alerts', 'PrometheusRule', ''],
    ['dashboard', 'ConfigMap', '-dashboard'],
  ])('is measured: %s', async (_, kind, nameEnd) => {
    const { body } = await createMetrics().expose();
    const text = JSON.stringify(find(render(serverBinary('helm'), { values: 'everything' }), kind, nameEnd));
    const names = new Set(text.match(/\b(order_service|http|nodejs|process)_[a-z0-9_]+_(?!r\b)\w+/g));
    expect(names.size).toBeGreaterThan(5);
    const measured = [...body.matchAll(/^# TYPE (\w+) (\w+)/gm)].flatMap(([, name, type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
    );
    expect([...names].filter((name) => !measured.includes(name))).toEqual([]);
  });

  it('is a dashboard that is JSON, with panels that do not overlap', () => {
    const { data } = find(render(serverBinary('helm'), { values: 'everything' }), 'ConfigMap', '-dashboard');
    const [text] = Object.values(data as Record<string, string>);
    const { panels } = JSON.parse(text!) as {
      panels: { id: number; gridPos: { x: number; y: number; w: number; h: number } }[];
    };
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  });
});

function propertiesOf(part: JsonSchema, path: string): string[] {
  const resolved = part.$ref ? schema.definitions![part.$ref.replace('#/definitions/', '')]! : part;
  if (!resolved.properties) return [path];
  return Object.entries(resolved.properties).flatMap(([key, value]) =>
    propertiesOf(value, path ? `${path}.${key}` : key),
  );
}

function keysOf(value: unknown, path: string): string[] {
  // The keys of labels are anyone's.
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value) && !/labels$/.test(path);
  const entries = isMap ? Object.entries(value) : [];
  if (entries.length === 0) return [path];
  return entries.flatMap(([key, inner]) => keysOf(inner, path ? `${path}.${key}` : key));
}
