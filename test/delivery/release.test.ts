import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { describeWith, serverBinary } from '../support/servers';

const ROOT = join(__dirname, '../..');
const CHART = 'helm/order-service';
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };

/** The files of a release, in a folder that may be changed. */
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'release-'));
  const paths = ['package.json', 'package-lock.json', 'CHANGELOG.md', 'Dockerfile', 'scripts', 'docs', CHART];
  for (const path of paths) {
    cpSync(join(ROOT, path), join(folder, path), { recursive: true });
  }
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const read = (path: string) => readFileSync(join(folder, path), 'utf8');
const write = (path: string, text: string) => writeFileSync(join(folder, path), text);

function run(program: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: folder,
    encoding: 'utf8',
    env: {
      PATH: process.env['PATH'],
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_AUTHOR_NAME: 'a',
      GIT_AUTHOR_EMAIL: 'a@example.com',
      GIT_COMMITTER_NAME: 'a',
      GIT_COMMITTER_EMAIL: 'a@example.com',
    },
  });
  return { status, stdout, stderr };
}

const script = (name: string, ...args: string[]) => run(process.execPath, join('scripts', name), ...args);

describe('the version', () => {
  it('is the same wherever it is repeated', () => {
    expect(script('version.mjs', 'check', `v${version}`)).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  it.each([
    [`${CHART}/Chart.yaml`, /^version: .*$/m, 'version: 9.9.9', '9.9.9'],
    [`${CHART}/Chart.yaml`, /^appVersion: .*$/m, 'appVersion: 9.9.9', '9.9.9'],
    [`${CHART}/Chart.yaml`, /^(version|appVersion): .*$/gm, '', 'none'],
    [`${CHART}/README.md`, /order-service:[\d.]+ /, 'order-service:9.9.9 ', '9.9.9'],
    ['Dockerfile', /^ARG VERSION=.*$/m, 'ARG VERSION=9.9.9', '9.9.9'],
    ['docs/openapi.yaml', /^ {2}version: .*$/m, '  version: 9.9.9', '9.9.9'],
    ['docs/asyncapi.yaml', /^ {2}version: .*$/m, '  version: 9.9.9', '9.9.9'],
    ['package-lock.json', /"version": ".*"/, '"version": "9.9.9"', '9.9.9'],
  ])('is refused where %s has another (%s)', (path, pattern, instead, found) => {
    write(path, read(path).replace(pattern, instead));

    expect(script('version.mjs', 'check')).toMatchObject({
      status: 1,
      stderr: `package.json has the version ${version}, ${path} ${found}.\n`,
    });
  });

  it.each(['v9.9.9', version, `v${version}-rc.1`])('is not the one of the tag %s', (tag) => {
    expect(script('version.mjs', 'check', tag)).toMatchObject({
      status: 1,
      stderr: `The tag of ${version} is v${version}, not ${tag}.\n`,
    });
  });

  it('is written everywhere, committed and tagged by npm version, with what was unreleased as its section', () => {
    write('CHANGELOG.md', read('CHANGELOG.md').replace('\n## ', '\n## Unreleased\n\n- New.\n\n## '));
    run('git', 'init', '--quiet');
    run('git', 'add', '.');
    run('git', 'commit', '--quiet', '--message', 'before');

    expect(run('npm', 'version', '9.8.7-rc.1')).toMatchObject({ status: 0 });

    expect(run('git', 'status', '--porcelain')).toMatchObject({ status: 0, stdout: '' });
    expect(run('git', 'tag', '--points-at', 'HEAD').stdout).toBe('v9.8.7-rc.1\n');
    expect(script('version.mjs', 'check', 'v9.8.7-rc.1')).toMatchObject({ status: 0 });
    expect(parse(read(`${CHART}/Chart.yaml`))).toMatchObject({
      version: '9.8.7-rc.1',
      appVersion: '9.8.7-rc.1',
    });
    expect(script('release-notes.mjs', '9.8.7-rc.1').stdout).toBe('- New.\n');
  });

  it('is not written where there is nothing to say of it', () => {
    write('CHANGELOG.md', '# Changes\n\n## 0.0.1\n\n- Old.\n');
    const before = read('Dockerfile').replace(/^ARG VERSION=.*$/m, 'ARG VERSION=9.9.9');
    write('Dockerfile', before);

    expect(script('version.mjs')).toMatchObject({
      status: 1,
      stderr: 'CHANGELOG.md has no section "## Unreleased".\n',
    });
    expect(read('Dockerfile')).toBe(before);
  });

  it('explains itself when it does not understand', () => {
    expect(script('version.mjs', 'nonsense')).toMatchObject({
      status: 1,
      stderr: 'usage: node scripts/version.mjs [check [TAG]]\n',
    });
  });
});

describe('the contracts of a release', () => {
  const compare = (tag: string) => script('compare-with-last-release.mjs', tag);
  const publish = (tag: string) => {
    run('git', 'add', '.');
    run('git', 'commit', '--quiet', '--allow-empty', '--message', tag);
    run('git', 'tag', tag);
  };
  const removeLimit = () => {
    const path = 'docs/openapi.yaml';
    const before = read(path);
    write(path, before.replaceAll(/^ +- \$ref: '#\/components\/parameters\/Limit'\n/gm, ''));
    expect(read(path)).not.toBe(before);
  };

  beforeEach(() => {
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, '.gitignore'), 'node_modules\n');
    run('git', 'init', '--quiet');
  });

  it('are those of the release before, or more', () => {
    publish('v1.0.0');

    expect(compare('v1.1.0')).toEqual({ status: 0, stdout: 'Compared with v1.0.0.\n', stderr: '' });
  });

  it('must not have less than the highest release below has, whatever pre-releases and later ones have', () => {
    publish('v1.9.0');
    publish('v1.10.0');
    removeLimit();
    publish('v1.11.0-rc.1');
    publish('v2.0.0');

    expect(compare('v1.11.0')).toEqual({
      status: 1,
      stdout: [
        'openapi.yaml: GET / query limit was removed',
        'openapi.yaml: HEAD / query limit was removed',
        'Compared with v1.10.0.\n',
      ].join('\n'),
      stderr: '',
    });
  });

  it('may have less in a new major version', () => {
    publish('v1.0.0');
    removeLimit();

    expect(compare('v2.0.0')).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/ was removed\nCompared with v1\.0\.0: a new major version may break/),
    });
  });

  it('are compared with nothing where nothing was released', () => {
    publish('v1.0.0');

    expect(compare('v1.0.0')).toEqual({
      status: 0,
      stdout: 'There is no release before v1.0.0.\n',
      stderr: '',
    });
  });

  it('are compared for a tag', () => {
    expect(compare('main')).toMatchObject({ status: 1, stderr: expect.stringMatching(/^usage: /) });
  });
});

describeWith(['helm'], 'the chart', () => {
  it('takes the image of its version where no tag is given', () => {
    const rendered = execFileSync(serverBinary('helm'), ['template', 'orders', join(ROOT, CHART)], {
      encoding: 'utf8',
    });

    expect(rendered).toMatch(new RegExp(`image: "?order-service:${version}"?\n`));
  });
});

describe('the notes of a release', () => {
  it('are there for the version of the package', () => {
    expect(script('release-notes.mjs', version)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^- /),
    });
  });

  it('are the section of the version, without its title and without those of others', () => {
    write(
      'CHANGELOG.md',
      '# Changes\n\n## 1.10.0\n\n- Ten.\n\n## 1.1.0-rc.1\n\n- First try.\n\n## 1.1.0\n\n- One\n  more.\n\n### Chart\n\n- Two.\n\n## 1.0.0\n\n- Old.\n',
    );

    expect(script('release-notes.mjs', '1.1.0')).toEqual({
      status: 0,
      stdout: '- One\n  more.\n\n### Chart\n\n- Two.\n',
      stderr: '',
    });
  });

  it.each(['9.9.9', '1.0', '1.1.0', 'v1.0.0'])('fail for %s, of which nothing is said', (unknown) => {
    write('CHANGELOG.md', '# Changes\n\n## 1.1.0\n\n## 1.0.0\n\n- Old.\n');

    expect(script('release-notes.mjs', unknown)).toEqual({
      status: 1,
      stdout: '',
      stderr: `CHANGELOG.md says nothing under "## ${unknown}".\n`,
    });
  });

  it('fail without a version', () => {
    expect(script('release-notes.mjs')).toMatchObject({
      status: 1,
      stdout: '',
      stderr: 'usage: node scripts/release-notes.mjs VERSION\n',
    });
  });
});
