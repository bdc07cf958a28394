import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
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

describe('values of the chart', () => {
  it('all stand in its README, with their defaults', () => {
    const script = join(__dirname, '../../scripts/chart-values.mjs');
    const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  it('are those of the schema', () => {
    const optional =
      /^(enabled|global|resources|mongodb\.resources|nats\.resources|\w+Probe|.+SecurityContext)(\.|$)/;
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
        [{ 'nats.limits.maxAge': 'long' }, "at '/nats/limits/maxAge'"],
      ])('%j', async (set, message) => {
        expect(await refusal(serverBinary(program), { set })).toContain(message);
      });

      it.each([
        [{ 'mongodb.enabled': false }, 'externalMongodb: with mongodb.enabled false, set'],
        [{ 'externalMongodb.url': 'mongodb://db' }, 'externalMongodb: set mongodb.enabled to false'],
        [
          {
            'mongodb.enabled': false,
            'externalMongodb.url': 'mongodb://db',
            'externalMongodb.existingSecret': 'db',
          },
          'externalMongodb: set url or existingSecret, not both',
        ],
        [{ 'nats.enabled': false }, 'externalNats: with nats.enabled false, set'],
        [{ 'externalNats.url': 'nats://n' }, 'externalNats: set nats.enabled to false'],
        [
          { 'nats.enabled': false, 'externalNats.url': 'nats://n', 'externalNats.existingSecret': 'n' },
          'externalNats: set url or existingSecret, not both',
        ],
        [{ 'auth.existingSecret': 'jwt', 'auth.jwtKey': 'key' }, 'auth: set existingSecret, or jwtKey'],
        [
          { 'mongodb.auth.existingSecret': 'db', 'mongodb.auth.password': 'p' },
          'mongodb.auth: set existingSecret, or passwords',
        ],
        [{ 'settings.CATCH_UP_SECONDS': 5 }, 'settings.CATCH_UP_SECONDS: must be longer than'],
        [
          { 'autoscaling.enabled': true, 'autoscaling.minReplicas': 9 },
          'autoscaling.minReplicas: must not be above',
        ],
        [
          { 'autoscaling.enabled': true, 'resources.requests': null },
          'autoscaling: needs resources.requests.cpu',
        ],
        [{ 'httpRoute.enabled': true }, 'httpRoute.parentRefs: name the Gateway'],
        [{ 'service.name': 'a', 'nats.service.name': 'a' }, 'must differ from each other'],
        [{ extraEnv: [{ name: 'NATS_URL', value: 'x' }] }, 'extraEnv: NATS_URL is used by other objects'],
        [{ extraEnv: [{ name: 'SHUTDOWN_SECONDS', value: '60' }] }, 'extraEnv: SHUTDOWN_SECONDS is used by'],
        [{ 'prometheusRule.enabled': true }, 'prometheusRule: needs serviceMonitor.enabled'],
        [{ 'mongodb.database': 'admin' }, 'mongodb.database: admin, local and config'],
        [{ 'mongodb.auth.username': 'root' }, 'mongodb.auth.username: root is the administrator'],
        [{ podLabels: null }, "missing property 'podLabels'"],
        [{ 'resources.limits.memory': '1Ti' }, 'resources.limits.memory: write it in'],
      ])('together: %j', async (set, message) => {
        expect(await refusal(serverBinary(program), { set })).toContain(message);
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
    const { panels } = JSON.parse(data['order-service.json']) as {
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
