import { mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { runProgram } from '../support/run-program';

interface Step {
  uses?: string;
  run?: string;
  with?: Record<string, unknown>;
}

interface Job {
  uses?: string;
  permissions?: Record<string, string>;
  steps?: Step[];
  strategy?: { matrix: { node: number[] } };
  'timeout-minutes'?: number;
}

interface Workflow {
  permissions?: object;
  concurrency?: { group: string };
  jobs: Record<string, Job>;
}

const ROOT = join(__dirname, '../..');
const GITHUB = join(ROOT, '.github');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

const files = readdirSync(GITHUB, { recursive: true, encoding: 'utf8' })
  .filter((path) => /^(workflows|actions)\/.*\.yml$/.test(path))
  .map((path) => ({ path, text: readFileSync(join(GITHUB, path), 'utf8') }));
const workflows = files
  .filter(({ path }) => path.startsWith('workflows/'))
  .map(({ path, text }) => ({ path, workflow: parse(text) as Workflow }));
const jobs = workflows.flatMap(({ path, workflow }) =>
  Object.entries(workflow.jobs).map(([name, job]) => ({ title: `${path}: ${name}`, job })),
);
const workflow = (name: string) => workflows.find(({ path }) => path === `workflows/${name}`)!.workflow;

describe('the workflows', () => {
  it.each(files)('pin each action by its commit, and say the version of it: $path', ({ text }) => {
    const used = [...text.matchAll(/uses: (.+)$/gm)].map(([, action]) => action!);
    const others = used.filter((action) => !action.startsWith('./'));

    expect(others.length).toBeGreaterThan(0);
    for (const action of others) expect(action).toMatch(/^[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  it('have one version of each action', () => {
    const used = files.flatMap(({ text }) => [...text.matchAll(/uses: ([\w/-]+@.+)$/gm)].map(([, a]) => a!));
    const actions = new Set(used.map((action) => action.split('@')[0]));

    expect(new Set(used).size).toBe(actions.size);
  });

  it.each(workflows)('permit nothing beyond what a job names: $path', ({ workflow }) => {
    expect(workflow.permissions).toEqual({});
    expect(workflow.concurrency).toBeDefined();
    for (const { permissions } of Object.values(workflow.jobs)) expect(permissions).toBeDefined();
  });

  it('only write from those jobs that publish', () => {
    const writing = jobs.filter(({ job }) => Object.values(job.permissions!).includes('write'));

    expect(writing.map(({ title }) => title)).toEqual([
      'workflows/release.yml: publish',
      'workflows/release.yml: announce',
    ]);
  });

  it.each(jobs)('keep no credentials, and end: $title', ({ job }) => {
    for (const { uses, with: inputs } of job.steps ?? []) {
      if (!uses?.startsWith('actions/checkout@')) continue;
      const { 'fetch-depth': _, ...others } = inputs ?? {};
      expect(others).toEqual({ 'persist-credentials': false });
    }
    if (job.uses === undefined) expect(job['timeout-minutes']).toBeGreaterThan(0);
  });

  it('try each Node that is supported, from the oldest one to the one of .nvmrc', () => {
    const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
    const { node } = workflow('ci.yml').jobs['check']!.strategy!.matrix;

    expect(node).toEqual([20, 22, 24]);
    expect(engines.node).toMatch(new RegExp(`^>=${node[0]}\\.`));
    expect(read('.nvmrc').trim()).toBe(String(node.at(-1)));
  });

  it('are checked in CI by the versions that CONTRIBUTING names', () => {
    const named = read('CONTRIBUTING.md').match(/^(go|pipx) install .*$/gm);

    expect(named).toHaveLength(2);
    for (const line of named!) expect(read('.github/workflows/ci.yml')).toContain(`\n          ${line}\n`);
  });

  it('release only what passed all that is checked of a change', () => {
    const { version, tests, publish, announce } = workflow('release.yml').jobs;

    expect(tests).toMatchObject({ needs: 'version', uses: './.github/workflows/ci.yml' });
    expect(publish).toMatchObject({ needs: 'tests' });
    expect(announce).toMatchObject({ needs: 'publish' });
    expect(version).not.toHaveProperty('needs');
  });

  it('release only what keeps the contracts of the release before', () => {
    const { version } = workflow('release.yml').jobs;

    expect(version?.steps?.[0]?.with).toMatchObject({ 'fetch-depth': 0 });
    expect(version?.steps?.map(({ run = '' }) => run).join('')).toContain(
      'node scripts/compare-with-last-release.mjs "$GITHUB_REF_NAME"',
    );
  });
});

describe('scripts/check-workflows.mjs', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'programs-'));
    symlinkSync(process.execPath, join(folder, 'node'));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function program(name: string, status: number): void {
    writeFileSync(join(folder, name), `#!/bin/sh\necho "${name} $*"\nexit ${status}\n`, { mode: 0o755 });
  }

  const run = (...args: string[]) => runProgram(['scripts/check-workflows.mjs', ...args], { PATH: folder });

  it('says in a line which programs are missing, and fails only where they are required', async () => {
    const stderr =
      'Workflows not checked with actionlint and zizmor: not on PATH (CONTRIBUTING, "Workflows").\n';

    expect(await run()).toEqual({ code: 0, stdout: '', stderr });
    expect(await run('--required')).toEqual({ code: 1, stdout: '', stderr });
    program('zizmor', 0);
    expect(await run('--required')).toMatchObject({ code: 1, stderr: stderr.replace(' and zizmor', '') });
  });

  it('runs what is there, zizmor without the network', async () => {
    program('actionlint', 0);
    program('zizmor', 0);

    expect(await run('--required')).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^actionlint \nzizmor --offline .*\.github\n$/),
      stderr: '',
    });
  });

  it.each(['actionlint', 'zizmor'])('fails where %s finds something', async (name) => {
    program('actionlint', 0);
    program('zizmor', 0);
    program(name, 1);

    expect((await run()).code).toBe(1);
  });
});
