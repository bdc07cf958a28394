import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describeWith, serverBinary } from '../support/servers';
import { VALUES_FILES, renderText } from './helm';

const SHARED_SCHEMAS = join(__dirname, '../../../shared/k8s/schemas');
const FILE = '{{ .NormalizedKubernetesVersion }}/{{ .ResourceKind }}{{ .KindSuffix }}.json';

/** Definitions of others, which only an API server that has them can check. */
const CUSTOM = 'HTTPRoute,ServiceMonitor,PrometheusRule';

describeWith(['helm', 'kubeconform'], 'the rendered chart', () => {
  const location = existsSync(SHARED_SCHEMAS) ? ['-schema-location', join(SHARED_SCHEMAS, FILE)] : [];

  describe.each(['1.29.0', '1.32.0', '1.35.0'])('is valid for Kubernetes %s', (version) => {
    it.each(VALUES_FILES)('with %s values', (values) => {
      const input = renderText(serverBinary('helm'), { values, kubeVersion: version });
      const args = ['-strict', '-summary', '-skip', CUSTOM, '-kubernetes-version', version, ...location];
      const said = execFileSync(serverBinary('kubeconform'), args, { input, encoding: 'utf8' });
      expect(said).toMatch(/Valid: [1-9]\d*, Invalid: 0, Errors: 0/);
    });
  });
});
