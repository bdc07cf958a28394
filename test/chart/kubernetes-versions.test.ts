import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describeWith, serverBinary } from '../support/servers';
import { sharedPath } from '../support/shared-path';
import { VALUES_FILES, renderText, type RenderOptions } from './helm';

const FILE = '{{ .NormalizedKubernetesVersion }}/{{ .ResourceKind }}{{ .KindSuffix }}.json';

/** Definitions of others, which only an API server that has them can check. */
const CUSTOM = 'HTTPRoute,ServiceMonitor,PrometheusRule';

describeWith(['helm', 'kubeconform'], 'the rendered chart', () => {
  const schemas = sharedPath('k8s/schemas');
  const location = schemas ? ['-schema-location', join(schemas, FILE)] : [];

  describe.each(['1.29.0', '1.32.0', '1.35.0'])('is valid for Kubernetes %s', (version) => {
    const expectValid = (options: RenderOptions) => {
      const input = renderText(serverBinary('helm'), { ...options, kubeVersion: version });
      const args = ['-strict', '-summary', '-skip', CUSTOM, '-kubernetes-version', version, ...location];
      const said = execFileSync(serverBinary('kubeconform'), args, { input, encoding: 'utf8' });
      expect(said).toMatch(/Valid: [1-9]\d*, Invalid: 0, Errors: 0/);
    };

    it.each(VALUES_FILES)('with %s values', (values) => expectValid({ values }));

    it('with secrets as files, TLS, more egress, and texts that look like something else', () => {
      const tls = { caSecret: '', caConfigMap: '123', caKey: '1', certSecret: '1e3' };
      const egress = [{ ports: [{ port: 443 }] }];
      const texts = { a: '1', b: 'no', c: 'null' };
      const set = {
        replicas: null,
        secretsAsFiles: true,
        'externalNats.tls': tls,
        'externalNats.username': 'true',
        'externalNats.existingSecretPasswordKey': '1',
        'externalNats.existingSecretKey': 'null',
        'networkPolicy.mongodbEgress': egress,
        podLabels: texts,
        nodeSelector: texts,
        priorityClassName: '1',
        'serviceAccount.name': '1',
      };
      expectValid({ values: 'external', set });
      const storageClass = { 'mongodb.persistence.storageClass': '-', 'nats.persistence.storageClass': '1' };
      expectValid({
        set: { ...storageClass, 'networkPolicy.natsEgress': egress, 'networkPolicy.mongodbEgress': egress },
      });
    });
  });
});
