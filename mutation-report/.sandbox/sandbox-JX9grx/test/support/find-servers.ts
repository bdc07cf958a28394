/** Runs once before the tests (jest's globalSetup): looks for the servers, so that no worker has to. */
import { fork } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { GlobalConfig } from 'jest';
import { FINDINGS_VARIABLE, type Finding, type Findings } from './servers';

const DOWNLOAD_STALLS_AFTER_MS = 60_000;

export default async function findServers(config: GlobalConfig): Promise<void> {
  const findings: Findings = {
    'nats-streaming-server': findProgram('nats-streaming-server', 'NATS_STREAMING_SERVER'),
    helm: findProgram('helm'),
    helm3: findProgram('helm3'),
    kubeconform: findProgram('kubeconform'),
    kubernetes: findKubernetes(),
    'skaffold-schema': findSkaffoldSchema(config),
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

function findSkaffoldSchema({ rootDir }: GlobalConfig): Finding {
  const path = process.env['SKAFFOLD_SCHEMA'] || join(rootDir, '../shared/skaffold/v4beta13.json');
  return existsSync(path) ? { path } : { missing: 'no schema of skaffold.yaml (set SKAFFOLD_SCHEMA)' };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Downloads mongod where none is found: for as long as data comes, and a failure is final for this run. */
export async function findMongod(): Promise<Finding> {
  const locate = fork(join(__dirname, 'locate-mongod.js'), {
    silent: true,
    // A developer without network is not kept waiting by retries; where servers are required, they are worth it.
    env: { MONGOMS_MAX_RETRIES: process.env['REQUIRE_SERVERS'] === '1' ? '3' : '1', ...process.env },
  });
  return new Promise((resolve) => {
    const finish = (finding: Finding): void => {
      clearTimeout(patience);
      clearTimeout(stalled);
      resolve(finding);
    };
    const patience = setTimeout(() => {
      process.stderr.write('Waiting for mongod: where there is none, it is downloaded, once ...\n');
    }, 1_000);
    const stalled = setTimeout(() => {
      locate.kill('SIGKILL');
      finish({ missing: 'no mongod: its download stalled (set MONGOMS_SYSTEM_BINARY)' });
    }, DOWNLOAD_STALLS_AFTER_MS);
    // While data comes, the progress is printed every other second.
    locate.stdout?.on('data', () => stalled.refresh());
    locate.stderr?.pipe(process.stderr);
    locate.once('message', (finding) => finish(finding as Finding));
    locate.once('error', (error) => finish({ missing: `no mongod: ${error.message}` }));
    locate.once('exit', (code) => finish({ missing: `no mongod: the search for it ended with ${code}` }));
  });
}
