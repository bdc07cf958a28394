/** Runs once before the tests (jest's globalSetup): looks for the servers, so that no worker has to. */
import { fork, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { GlobalConfig } from 'jest';
import { sharedPath } from './shared-path';
import { FINDINGS_VARIABLE, type Finding, type Findings } from './servers';

/** How long a download may say nothing: it tells of its progress every other second. */
const STALLS_AFTER_MS = 60_000;
const SAY_SO_AFTER_MS = 2_000;
const INSTEAD = 'put a mongod on PATH, or its path into MONGOMS_SYSTEM_BINARY';

export default async function findServers(config: GlobalConfig): Promise<void> {
  const findings: Findings = {
    'nats-streaming-server': findProgram('nats-streaming-server', 'NATS_STREAMING_SERVER'),
    openssl: findProgram('openssl'),
    helm: findProgram('helm'),
    helm3: findProgram('helm3'),
    kubeconform: findProgram('kubeconform'),
    python3: findProgram('python3'),
    kubernetes: findKubernetes(),
    'skaffold-schema': findSkaffoldSchema(),
    mongod: needsMongod(config) ? await findMongod() : { missing: 'mongod was not looked for' },
  };
  process.env[FINDINGS_VARIABLE] = JSON.stringify(findings);
}

/** Whether a test file of this run asks for it: the domain's tests alone must not download a database. */
function needsMongod({ rootDir, testPathPatterns }: GlobalConfig): boolean {
  const selected = testPathPatterns.toExecutor({ rootDir });
  return readdirSync(join(rootDir, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => join(rootDir, 'test', file))
    .filter((file) => !selected.isSet() || selected.isMatch(file))
    .some((file) => readFileSync(file, 'utf8').search(/describeWith\(\[[^\]]*'mongo/) >= 0);
}

/** The program that the variable names, else the first one of this name on PATH. */
export function findProgram(name: string, variable?: string): Finding {
  const named = variable && process.env[variable];
  if (named) return isExecutable(named) ? { path: named } : { missing: `${variable}=${named} is no program` };
  const path = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((directory) => join(directory, name))
    .find(isExecutable);
  if (path !== undefined) return { path };
  return { missing: `no ${name} on PATH${variable ? ` (set ${variable})` : ''}` };
}

/** Never the cluster that kubectl would take: that may be anybody's. */
function findKubernetes(): Finding {
  const path = process.env['TEST_KUBECONFIG'];
  if (!path) return { missing: 'no cluster to try things on (set TEST_KUBECONFIG)' };
  return existsSync(path) ? { path } : { missing: `TEST_KUBECONFIG=${path} is no file` };
}

function findSkaffoldSchema(): Finding {
  const path = process.env['SKAFFOLD_SCHEMA'] || sharedPath('skaffold/v4beta13.json');
  return path && existsSync(path)
    ? { path }
    : { missing: 'no schema of skaffold.yaml (set SKAFFOLD_SCHEMA)' };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The mongod of MONGOMS_SYSTEM_BINARY, else the one on PATH, else one that is downloaded: for as long as data comes, and a
 * failure is final for this run.
 */
export async function findMongod({ stallsAfterMs = STALLS_AFTER_MS, say = toStderr } = {}): Promise<Finding> {
  const here = findProgram('mongod', 'MONGOMS_SYSTEM_BINARY');
  if ('path' in here) return itRuns(here.path);
  if (process.env['MONGOMS_SYSTEM_BINARY']) return here;
  return downloadMongod(stallsAfterMs, say);
}

function itRuns(path: string): Finding {
  const { status, stderr, error } = spawnSync(path, ['--version'], { encoding: 'utf8' });
  if (status === 0) return { path };
  const why = (error?.message || stderr || `exit status ${status}`).trim().replace(/\s+/g, ' ');
  return { missing: `${path} does not run: ${why}` };
}

function downloadMongod(stallsAfterMs: number, say: (text: string) => void): Promise<Finding> {
  const download = fork(join(__dirname, 'download-mongod.js'), {
    silent: true,
    // A developer without network is not kept waiting by retries; where servers are required, they are worth it.
    env: { MONGOMS_MAX_RETRIES: process.env['REQUIRE_SERVERS'] === '1' ? '3' : '1', ...process.env },
  });
  return new Promise((resolve) => {
    const finish = (finding: Finding): void => {
      clearTimeout(patience);
      clearTimeout(stalled);
      resolve('path' in finding ? itRuns(finding.path) : finding);
    };
    const patience = setTimeout(() => {
      say(`No mongod here: downloading one, once. To do without, ${INSTEAD}.\n`);
    }, SAY_SO_AFTER_MS);
    const stalled = setTimeout(() => {
      download.kill('SIGKILL');
      const seconds = Math.ceil(stallsAfterMs / 1000);
      say(`The download of mongod stalled: nothing came for ${seconds} seconds. Its tests are skipped.\n`);
      finish({ missing: `no mongod: its download stalled (${INSTEAD})` });
    }, stallsAfterMs);
    download.stdout?.on('data', () => stalled.refresh());
    download.stderr?.pipe(process.stderr);
    download.once('message', (finding) => finish(finding as Finding));
    download.once('error', (error) => finish({ missing: `no mongod: ${error.message}` }));
    download.once('exit', (code) => finish({ missing: `no mongod: its download ended with ${code}` }));
  });
}

function toStderr(text: string): void {
  process.stderr.write(text);
}
