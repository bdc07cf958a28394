import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SCRIPT = join(__dirname, '../../scripts/dev-cluster.sh');

/** What the programs on PATH would say; one that is undefined is not there. */
interface Machine {
  /** Names of the kind clusters. */
  kind?: string[] | undefined;
  /** The current context and its server. */
  kubectl?: { context: string; server: string } | undefined;
  others?: string[];
}

const LOCAL = { context: 'kind-order-service', server: 'https://127.0.0.1:40123' };

describe('scripts/dev-cluster.sh', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'programs-'));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function program(name: string, body: string): void {
    writeFileSync(join(folder, name), `#!/bin/sh\necho "${name} $*" >>${folder}/calls\n${body}\n`, {
      mode: 0o755,
    });
  }

  function run(args: string[], { kind, kubectl, others = ['docker', 'helm', 'skaffold'] }: Machine) {
    for (const name of others) program(name, '');
    if (kind) program('kind', `[ "$1 $2" != 'get clusters' ] || printf '%s\\n' ${kind.join(' ')}`);
    if (kubectl) {
      const answers = `case $2 in current-context) echo '${kubectl.context}' ;; view) echo '${kubectl.server}' ;; esac`;
      program('kubectl', answers);
    }
    writeFileSync(join(folder, 'calls'), '');
    const { status, stdout, stderr } = spawnSync('/bin/bash', [SCRIPT, ...args], {
      env: { PATH: folder },
      encoding: 'utf8',
    });
    const made = readFileSync(join(folder, 'calls'), 'utf8').match(/^kind create.*$/gm);
    return { status, stdout, stderr, made };
  }

  it('makes the cluster where there is none, and says what comes next', () => {
    const { status, stdout, made } = run([], { kind: ['another', 'order-service-2'], kubectl: LOCAL });

    expect(made).toEqual(['kind create cluster --name order-service --wait 3m']);
    expect(stdout).toContain('skaffold dev --keep-running-on-failure');
    expect(status).toBe(0);
  });

  it('takes the cluster that is there', () => {
    const { status, stdout, made } = run([], { kind: ['another', 'order-service'], kubectl: LOCAL });

    expect(made).toBeNull();
    expect(stdout).toContain('skaffold dev --keep-running-on-failure');
    expect(status).toBe(0);
  });

  it('names every program that is missing, and makes nothing', () => {
    expect(run([], { kind: [], others: ['docker'] })).toMatchObject({
      status: 1,
      stderr: 'Not on PATH: kubectl helm skaffold\n',
      made: null,
    });
  });

  it('says that Docker lacks buildx, and makes nothing', () => {
    program('docker', '[ "$1" != buildx ]');
    const others = ['helm', 'skaffold'];

    expect(run([], { kind: [], kubectl: LOCAL, others })).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^Docker has no buildx/),
      made: null,
    });
  });

  it.each([
    ...['https://127.0.0.1:40123', 'https://localhost:6443', 'https://[::1]:40123'],
    ...['https://0.0.0.0:40123', 'https://127.0.0.1'],
  ])('takes the server %s for this machine', (server) => {
    expect(run(['--check'], { kubectl: { ...LOCAL, server }, others: [] })).toMatchObject({
      status: 0,
      made: null,
    });
  });

  it.each([
    ...['https://10.0.0.1:6443', 'https://prod.example.com', 'https://127.0.0.1.example.com:6443'],
    ...['https://localhost.example.com', 'https://127.0.0.1@prod.example.com'],
    ...['https://127.0.0.1:1/https://prod.example.com', 'https://prod.example.com/#https://127.0.0.1', ''],
  ])('refuses the server %j, whatever its context is called', (server) => {
    for (const args of [['--check'], []]) {
      const { status, stdout, stderr } = run(args, {
        kind: ['order-service'],
        kubectl: { ...LOCAL, server },
      });

      expect(stderr).toMatch(/which is not this machine/);
      expect(stdout).not.toContain('skaffold');
      expect(status).toBe(1);
    }
  });

  it.each(['production', 'kind-order-service-2', 'kind-another', ''])('refuses the context %j', (context) => {
    const { status, stderr } = run([], { kind: ['order-service'], kubectl: { ...LOCAL, context } });

    expect(stderr).toContain('kind export kubeconfig --name order-service');
    expect(status).toBe(1);
  });

  it('explains itself when it does not understand', () => {
    expect(run(['--nonsense'], { kubectl: LOCAL })).toMatchObject({
      status: 2,
      stderr: 'usage: scripts/dev-cluster.sh [--check]\n',
      made: null,
    });
  });
});
