import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv from 'ajv';
import { parse } from 'yaml';
import { allCommands } from '../support/all-commands';
import { describeWith, serverBinary } from '../support/servers';

interface Skaffold {
  build: { artifacts: { docker: { target: string }; sync?: { manual: { src: string; dest: string }[] } }[] };
  deploy: {
    kubeContext: string;
    statusCheck?: boolean;
    helm: { releases: { name: string; chartPath: string; valuesFiles: string[] }[] };
  };
  portForward: { resourceName: string; namespace?: string; port: number }[];
  verify: { container: { args: string[]; env: { name: string; value: string }[] } }[];
  profiles: {
    name: string;
    activation?: { command?: string }[];
    build?: Partial<Skaffold['build']>;
    patches: Patch[];
  }[];
}

interface Patch {
  op: 'add' | 'replace';
  path: string;
  value: unknown;
}

const root = join(__dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const skaffold = parse(read('skaffold.yaml')) as Skaffold;

/** Those that a command brings with it. */
const broughtBy = (command: string) =>
  skaffold.profiles
    .filter(({ activation = [] }) => activation.some((by) => by.command === command))
    .map(({ name }) => name);

/** Without a profile, each profile alone, and those that go together. */
const RUNS = [
  [],
  ...skaffold.profiles.map(({ name }) => [name]),
  ['debug', 'external-services'],
  [...broughtBy('dev'), 'debug', 'external-services'],
].map((profiles) => ({ profiles, title: profiles.join(' and ') || 'no profile' }));

/** As Skaffold does it: lists of a profile replace lists, and patches come last. */
function withProfiles(names: readonly string[]): Skaffold {
  const merged = structuredClone(skaffold);
  for (const { name, build, patches } of skaffold.profiles) {
    if (!names.includes(name)) continue;
    Object.assign(merged.build, structuredClone(build));
    for (const patch of patches) apply(merged, structuredClone(patch));
  }
  return merged;
}

function apply(target: unknown, { op, path, value }: Patch): void {
  const steps = path.slice(1).split('/');
  const last = steps.pop()!;
  const place = steps.reduce((at, step) => (at as Record<string, unknown>)[step], target);
  if (op === 'add' && last === '-') (place as unknown[]).push(value);
  else if (op === 'replace' && (place as Record<string, unknown>)[last] === undefined) {
    throw new Error(`nothing is at ${path}`);
  } else (place as Record<string, unknown>)[last] = value;
}

const releaseOf = (profiles: readonly string[]) => withProfiles(profiles).deploy.helm.releases[0]!;

describeWith(['skaffold-schema'], 'skaffold.yaml', () => {
  it.each(RUNS)('is valid for its schema with $title', ({ profiles }) => {
    const schema = JSON.parse(readFileSync(serverBinary('skaffold-schema'), 'utf8')) as object;
    const validate = new Ajv({ strict: false, allErrors: true }).compile(schema);

    validate(withProfiles(profiles));

    expect(validate.errors).toBeNull();
  });
});

describe('skaffold.yaml', () => {
  it('deploys to the cluster that scripts/dev-cluster.sh makes', () => {
    expect(skaffold.deploy.kubeContext).toBe('kind-order-service');
    expect(read('scripts/dev-cluster.sh')).toContain('\ncluster=order-service\n');
  });

  it('waits for pods that get ready, but not while somebody works on them', () => {
    const waits = (command: string) => withProfiles(broughtBy(command)).deploy.statusCheck ?? true;

    expect(waits('dev')).toBe(false);
    for (const command of ['run', 'deploy', 'debug', 'verify']) expect(waits(command)).toBe(true);
    // Within its deadline, a pod that fails would keep fixes waiting.
    expect(skaffold.deploy).not.toHaveProperty('tolerateFailuresUntilDeadline');
  });

  it.each(RUNS)('forwards ports of the namespace that it deploys to, with $title', ({ profiles }) => {
    const { portForward, deploy } = withProfiles(profiles);

    expect(portForward.length).toBeGreaterThan(0);
    for (const place of [...portForward, ...deploy.helm.releases]) {
      expect(place).not.toHaveProperty('namespace');
    }
  });

  it.each(RUNS)('names only what exists, with $title', ({ profiles }) => {
    const { build, verify } = withProfiles(profiles);
    const { chartPath, valuesFiles } = releaseOf(profiles);
    const [{ docker }] = build.artifacts as [Skaffold['build']['artifacts'][0]];

    expect(
      [join(chartPath, 'Chart.yaml'), ...valuesFiles].filter((file) => !existsSync(join(root, file))),
    ).toEqual([]);
    expect(read('Dockerfile')).toMatch(new RegExp(`^FROM .* AS ${docker.target}$`, 'm'));
    const [program = '', command] = verify[0]!.container.args.slice(-2);
    expect(existsSync(join(root, program.replace(/^dist(.*)\.js$/, 'src$1.ts')))).toBe(true);
    expect(allCommands()).toContain(command);
  });

  it('syncs files to where the image has them', () => {
    const [{ sync }] = skaffold.build.artifacts as [Skaffold['build']['artifacts'][0]];

    expect(sync).toEqual({ manual: [{ src: 'src/**/*.ts', dest: '.' }] });
    expect(read('Dockerfile')).toMatch(/^COPY .*src src$/m);
  });

  it('is verified only where it deploys, for Skaffold would verify anywhere', () => {
    const commands = read('docs/development.md').match(/^.*skaffold verify --.*$/gm);

    expect(commands).toHaveLength(1);
    expect(read('docs/development.md')).toContain(`npm run dev:cluster -- --check &&\n${commands![0]}`);
  });

  it.each(RUNS)('verifies what it deployed, with $title', ({ profiles }) => {
    const { portForward, verify } = withProfiles(profiles);
    const values = valuesOf(releaseOf(profiles).valuesFiles);
    const { args, env } = verify[0]!.container;
    const service = portForward[0]!;
    const chart = parse(read('helm/order-service/values.yaml'));

    expect(service.resourceName).toBe(`${releaseOf(profiles).name}-order-service`);
    expect(args).toEqual(values.smokeTest.args);
    expect(Object.fromEntries(env.map(({ name, value }) => [name, value]))).toEqual({
      ORDERS_URL: `http://${service.resourceName}:${service.port}${chart.settings.API_BASE_PATH}`,
      NATS_URL: values.externalNats?.url ?? `nats://${service.resourceName}-nats:4222`,
      JWT_KEY: values.auth.jwtKey,
    });
  });
});

describe('the values for development', () => {
  const files = readdirSync(join(root, 'helm')).filter((file) => file.endsWith('.yaml'));

  it.each(files)('are those of the chart: %s', (file) => {
    const known = pathsOf(parse(read('helm/order-service/values.yaml')));

    expect(pathsOf(parse(read(join('helm', file)))).filter((path) => !known.includes(path))).toEqual([]);
  });

  it('hold a key that says what it is, and is long enough not to be warned of', () => {
    const { jwtKey } = valuesOf(['helm/values-development.yaml']).auth;

    expect(jwtKey).toMatch(/development only/);
    expect(Buffer.byteLength(jwtKey)).toBeGreaterThanOrEqual(32);
  });

  it('log what matters', () => {
    expect(valuesOf(['helm/values-development.yaml']).settings.LOG_LEVEL).toBe('info');
  });

  it('are the defaults again where the production image is tried', () => {
    const defaults = parse(read('helm/order-service/values.yaml'));
    const production = parse(read('helm/values-production-image.yaml'));

    expect(defaults).toMatchObject(production);
  });
});

it('debugs what the image runs', () => {
  const [, command] = /AS dev\n[^]*?\nCMD (\[.*\])/.exec(read('Dockerfile'))!;
  const { args } = parse(read('helm/values-debug.yaml')) as { args: string[] };

  expect(args.filter((arg) => !arg.startsWith('--inspect='))).toEqual(JSON.parse(command!));
  expect(args).toContain('--inspect=0.0.0.0:9229');
});

describeWith(['helm'], 'the chart', () => {
  it.each(RUNS)('takes the values of $title', ({ profiles }) => {
    const { name, chartPath, valuesFiles } = releaseOf(profiles);
    const values = valuesFiles.flatMap((file) => ['--values', file]);

    const rendered = execFileSync(serverBinary('helm'), ['template', name, chartPath, ...values], {
      cwd: root,
      encoding: 'utf8',
    });

    expect(rendered).toContain(`name: ${withProfiles(profiles).portForward[0]!.resourceName}\n`);
  });
});

/** One file over the other, as far as the tests look. */
function valuesOf(valuesFiles: readonly string[]) {
  return Object.assign({}, ...valuesFiles.map((file) => parse(read(file))));
}

/** `a.b.c` of everything that is no map. */
function pathsOf(values: Record<string, unknown>, prefix = ''): string[] {
  return Object.entries(values).flatMap(([key, value]) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? [`${prefix}${key}`, ...pathsOf(value as Record<string, unknown>, `${prefix}${key}.`)]
      : [`${prefix}${key}`],
  );
}
