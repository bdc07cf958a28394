/** The cluster that scripts/test-cluster.sh has made ready, and one namespace in it. */
import { execFile, spawnSync } from 'node:child_process';
import { eventually } from '../support/eventually';

export const NAMESPACE = given('TEST_NAMESPACE');
/** A second tag of the service's image. */
export const NEXT_TAG = given('TEST_NEXT_TAG');
/** For what a cluster does in its own time. */
export const soon = <T>(expectation: () => Promise<T>): Promise<T> => eventually(expectation, 120_000);

export const CHART = 'helm/order-service';

/** Nothing of the user's own: Helm's variables could lead to another cluster. */
export const ENV = {
  PATH: process.env['PATH'],
  HOME: process.env['HOME'],
  KUBECONFIG: given('TEST_KUBECONFIG'),
};

const OUTPUT_BYTES = 256 * 1024 * 1024;
/** More than any command is told to wait; less than a test may take, whose failure would not name the command. */
const LONGEST_MS = 200_000;

function given(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: these tests are run by npm run test:cluster`);
  return value;
}

/** Resolves to its standard output; rejects with what it said where it failed. */
export function run(program: string, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const limits = { maxBuffer: OUTPUT_BYTES, timeout: LONGEST_MS };
    const child = execFile(program, args, { env: ENV, ...limits }, (error, stdout, stderr) => {
      if (!error) {
        resolve(stdout);
        return;
      }
      const why = error.killed ? `ended after ${LONGEST_MS} ms` : stderr || error.message;
      reject(new Error(`${program} ${args.join(' ').slice(0, 200)}: ${why}`));
    });
    child.stdin?.end(input);
  });
}

export const kubectl = (...args: string[]) => run('kubectl', ['--namespace', NAMESPACE, ...args]);

export async function get<T>(...args: string[]): Promise<T> {
  return JSON.parse(await kubectl('get', ...args, '-o', 'json')) as T;
}

/** Makes the objects, or changes those that are there. */
export function apply(...objects: object[]): Promise<string> {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  return run('kubectl', ['--namespace', NAMESPACE, 'apply', '-f', '-'], JSON.stringify(list));
}

export const helm = (...args: string[]) => run('helm', ['--namespace', NAMESPACE, ...args]);
export const helm3 = (...args: string[]) => run('helm3', ['--namespace', NAMESPACE, ...args]);

/** `NAME=VALUE` settings as Helm's arguments. */
export const set = (...values: string[]) => values.flatMap((value) => ['--set', value]);

export type Component = 'api' | 'mongodb' | 'nats';

export interface Pod {
  readonly name: string;
  readonly uid: string;
  readonly image: string;
  readonly ready: boolean;
  readonly restarts: number;
  /** Why its container is not running, if it is not. */
  readonly waiting: { readonly reason: string; readonly message?: string } | undefined;
}

interface PodObject {
  metadata: { name: string; uid: string; deletionTimestamp?: string };
  spec: { containers: { image: string }[] };
  status: {
    conditions?: { type: string; status: string }[];
    containerStatuses?: { restartCount: number; state: Pick<Pod, 'waiting'> }[];
  };
}

/** Of one component of a release, by name, without those that are about to go. */
export async function pods(component: Component, release = 'orders'): Promise<Pod[]> {
  const labels = `app.kubernetes.io/instance=${release},app.kubernetes.io/component=${component}`;
  const { items } = await get<{ items: PodObject[] }>('pods', '-l', labels, '--sort-by=.metadata.name');
  return items.filter(({ metadata }) => !metadata.deletionTimestamp).map(toPod);
}

function toPod({ metadata: { name, uid }, spec, status }: PodObject): Pod {
  const [container] = status.containerStatuses ?? [];
  return {
    name,
    uid,
    image: spec.containers[0]!.image,
    ready: status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false,
    restarts: container?.restartCount ?? 0,
    waiting: container?.state.waiting,
  };
}

/** A `describe` that is skipped, by name, where there is a reason to. */
export function describeUnless(reason: string | undefined, title: string, body: () => void): void {
  // The reporter reads the reason from the title.
  if (reason) describe.skip(`${title} [skipped: ${reason}]`, body);
  else describe(title, body);
}

export function isOnPath(program: string): boolean {
  return spawnSync(program, ['version'], { env: ENV }).error === undefined;
}
