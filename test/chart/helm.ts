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
  readonly metadata: { name: string; labels: Record<string, string>; annotations?: Record<string, string> };
  /** Each kind has a shape of its own. */
  readonly [field: string]: any;
}

export interface RenderOptions {
  readonly values?: ValuesFile;
  /** More values, over those of the file. */
  readonly set?: object;
  readonly kubeVersion?: string;
  readonly release?: string;
  readonly namespace?: string;
}

function argumentsOf({
  values = 'default',
  set = {},
  kubeVersion = '1.35.0',
  release = 'orders',
  namespace = 'default',
}: RenderOptions) {
  const file = values === 'default' ? [] : ['--values', join(__dirname, `values/${values}.yaml`)];
  const json = Object.entries(set).flatMap(([key, value]) => [
    '--set-json',
    `${key}=${JSON.stringify(value)}`,
  ]);
  const place = ['--namespace', namespace, '--kube-version', kubeVersion];
  return ['template', release, CHART, ...place, ...file, ...json];
}

export function renderText(helm: string, options: RenderOptions = {}): string {
  return execFileSync(helm, argumentsOf(options), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

const renderings = new Map<string, Rendered[]>();

/** The objects; rendered once for the same options, so they must not be changed. */
export function render(helm: string, options: RenderOptions = {}): Rendered[] {
  const key = JSON.stringify([helm, options]);
  const objects = renderings.get(key) ?? readObjects(renderText(helm, options));
  renderings.set(key, objects);
  return objects;
}

export function readObjects(text: string): Rendered[] {
  // By the rules of YAML 1.1, as Kubernetes and Helm read it: "no" without quotes is no text.
  return parseAllDocuments(text, { version: '1.1' })
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

const decoded = (text: string) => Buffer.from(text, 'base64').toString();

/** What a secret or a ConfigMap holds under a key: undefined where the chart does not make it. */
function contentOf(
  objects: readonly Rendered[],
  kind: string,
  name: string,
  key: string,
): string | undefined {
  const object = objects.find(({ kind: k, metadata }) => k === kind && metadata.name === name);
  const content = object?.['data']?.[key] as string | undefined;
  return kind === 'Secret' && content !== undefined ? decoded(content) : content;
}

/** Stands for what is in a secret of somebody else's, which the chart cannot see. */
function foreign(setting: string): string {
  if (setting === 'NATS_URL') return 'nats://broker:4222';
  if (setting === 'MONGO_URL') return 'mongodb://database/orders';
  return `x${setting}`.padEnd(32, 'x');
}

/** The environment of a pod's first container, as Kubernetes would resolve it. */
export function environmentOf(objects: readonly Rendered[], kind = 'Deployment'): Record<string, string> {
  const object = find(objects, kind);
  const [container] = (object['spec'].template?.spec ?? object['spec']).containers;
  const ofMaps = (container.envFrom ?? []).flatMap(({ configMapRef }: any) =>
    Object.entries(
      objects.find((o) => o.kind === 'ConfigMap' && o.metadata.name === configMapRef.name)?.['data'] ?? {},
    ),
  );
  const own = container.env.flatMap(({ name, value, valueFrom }: any) => {
    if (value !== undefined) return [[name, value]];
    if (valueFrom.fieldRef) return [[name, 'the-pod']];
    const { name: secret, key, optional } = valueFrom.secretKeyRef;
    const content = contentOf(objects, 'Secret', secret, key) ?? (optional ? undefined : foreign(name));
    return content === undefined ? [] : [[name, content]];
  });
  return Object.fromEntries([...ofMaps, ...own]);
}

/** The files that a pod's first container finds in projected volumes, by path. */
export function filesOf(objects: readonly Rendered[], kind = 'Deployment'): Record<string, string> {
  const object = find(objects, kind);
  const { containers, volumes } = object['spec'].template?.spec ?? object['spec'];
  return Object.fromEntries(
    containers[0].volumeMounts.flatMap(({ name, mountPath }: any) => {
      const { projected } = volumes.find((volume: any) => volume.name === name);
      return (projected?.sources ?? []).flatMap(({ secret, configMap }: any) =>
        (secret ?? configMap).items.map(({ key, path }: any) => [
          `${mountPath}/${path}`,
          contentOf(objects, secret ? 'Secret' : 'ConfigMap', (secret ?? configMap).name, key) ??
            foreign(path),
        ]),
      );
    }),
  );
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
