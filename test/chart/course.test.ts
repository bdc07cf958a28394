import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { EXIT_CODES } from '../../src/commands/exit-codes';
import { loadConfig, loadImportConfig } from '../../src/config/load-config';
import { describeWith, serverBinary } from '../support/servers';
import { CHART, environmentOf, find, podsOf, readObjects, type Rendered } from './helm';

const COURSE = join(__dirname, '../../helm/values-course.yaml');

describe.each(['helm', 'helm3'] as const)('values-course.yaml to %s', (program) => {
  describeWith([program], 'puts this service in the place of the old one', () => {
    let objects: readonly Rendered[];

    beforeAll(() => {
      const more = ['--set', 'import.enabled=true,replicas=0', '--kube-version', '1.35.0'];
      const args = ['template', 'orders', CHART, '--values', COURSE, ...more];
      objects = readObjects(execFileSync(serverBinary(program), args, { encoding: 'utf8' }));
    });

    it('with its name, port and path', () => {
      expect(find(objects, 'Service', 'orders-srv')['spec'].ports).toEqual([
        expect.objectContaining({ port: 3000 }),
      ]);
      expect(environmentOf(objects)['API_BASE_PATH']).toBe('/api/orders');
    });

    it('with its key, and nothing that the chart would make up', () => {
      const [container] = find(objects, 'Deployment')['spec'].template.spec.containers;
      const source = container.env.find(({ name }: { name: string }) => name === 'JWT_KEY').valueFrom;
      expect(source.secretKeyRef).toMatchObject({ name: 'jwt-secret', key: 'JWT_KEY' });
      const secrets = objects.filter(({ kind }) => kind === 'Secret');
      expect(secrets.length).toBeGreaterThan(0);
      expect(secrets.filter((secret) => 'JWT_KEY' in secret['data'])).toEqual([]);
    });

    it('at its broker, with settings that the service accepts', () => {
      const config = loadConfig(environmentOf(objects));
      expect(config.nats).toMatchObject({
        url: 'nats://nats-srv:4222',
        clusterId: 'ticketing',
        clientId: 'the-pod',
        queueGroup: 'order-service',
      });
      expect(config.expiration).toMatchObject({ windowSeconds: 900, catchUpLimitSeconds: 3600 });
      expect(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).not.toContainEqual(
        expect.stringContaining('-nats'),
      );
    });

    it('and imports from its database, while it has no replica', () => {
      expect(find(objects, 'Deployment')['spec'].replicas).toBe(0);
      const config = loadImportConfig(environmentOf(objects, 'Job'));
      expect(config.oldMongoUrl).toBe('mongodb://orders-mongo-srv:27017/orders');
      expect(config.mongoUrl).toContain('@orders-order-service-mongodb:27017/orders');
      // Running it again does not help.
      expect(find(objects, 'Job')['spec'].podFailurePolicy.rules[0].onExitCodes.values).toEqual([
        EXIT_CODES.wrongUsage,
        EXIT_CODES.needsAttention,
        EXIT_CODES.refused,
      ]);
      const job = podsOf(objects).find(({ owner }) => owner.endsWith('-import-1'));
      expect(job?.spec.containers[0].args).toEqual([
        'dist/bin/order-service.js',
        'import',
        '--rejected',
        '-',
      ]);
    });
  });
});
