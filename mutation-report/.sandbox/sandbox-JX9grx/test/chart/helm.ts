import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';

const run = promisify(execFile);

export const CHART = join(__dirname, '../../helm/order-service');

export const VALUES_FILES = ['default', 'production', 'external', 'everything'] as const;
export type ValuesFile = (typeof VALUES_FILES)[number];

/** A Kubernetes object, as far as anything is known of all of them. */
export interface Rendered {
  readonly kind: string;
  readonly metadata: {
    name: string;
    labels: Record<string, string>;
    annotations?: Record<string, string>;
  };
  /** Each kind has a shape of its own. */
  readonly [field: string]: any;
}

export interface RenderOptions {
  readonly values?: ValuesFile;
  /** More values, over those of the file. */
  readonly set?: object;
  readonly kubeVersion?: string;
  readonly release?: string;
}

function argumentsOf({
  values = 'default',
  set = {},
  kubeVersion = '1.35.0',
  release = 'orders',
}: RenderOptions) {
  const file = values === 'default' ? [] : ['--values', join(__dirname, `values/${values}.yaml`)];
  const json = Object.entries(set).flatMap(([key, value]) => [
    '--set-json',
    `${key}=${JSON.stringify(value)}`,
  ]);
  return ['template', release, CHART, '--kube-version', kubeVersion, ...file, ...json];
}

export function renderText(helm: string, options: RenderOptions = {}): string {
  return execFileSync(helm, argumentsOf(options), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

const renderings = new Map<string, Rendered[]>();

/** The objects; rendered once for the same options, so they must not be changed. */
export function render(helm: string, options: RenderOptions = {}): Rendered[] {
  const key = JSON.stringify([helm, options]);
  const objects = renderings.get(key) ?? parse(renderText(helm, options));
  renderings.set(key, objects);
  return objects;
}

function parse(text: string): Rendered[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Rendered | null)
    .filter((object) => object !== null);
}

/** What Helm says to values that it refuses. */
export async function refusal(helm: string, options: RenderOptions): Promise<string> {
  const { stderr } = await run(helm, argumentsOf(options)).then(
    () => ({ stderr: '' }),
    (error: unknown) => error as { stderr: string },
  );
  return stderr;
}

/** The one object of this kind whose name ends so. */
export function find(objects: readonly Rendered[], kind: string, nameEnd = ''): Rendered {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name.endsWith(nameEnd));
  if (found.length !== 1) throw new Error(`${found.length} objects are a ${kind} named …${nameEnd}`);
  return found[0]!;
}

/** The pods that these objects would make, each with the object's name. */
export function podsOf(
  objects: readonly Rendered[],
): { owner: string; metadata: Rendered['metadata']; spec: any }[] {
  return objects.flatMap((object) => {
    if (object.kind === 'Pod')
      return [{ owner: object.metadata.name, metadata: object.metadata, spec: object['spec'] }];
    const template = object['spec']?.template;
    return template?.spec ? [{ owner: object.metadata.name, ...template }] : [];
  });
}
