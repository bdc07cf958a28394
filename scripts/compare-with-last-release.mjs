/**
 * `compare-with-last-release.mjs TAG` compares the contracts in docs/ with those of the last release before TAG: the
 * highest version of the tags below it, without pre-releases. Fails if something breaks, unless TAG begins a new major
 * version.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSION = /^v(\d+)\.(\d+)\.(\d+)(-.+)?$/;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const git = (...args) =>
  execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

const tag = process.argv[2];
if (tag === undefined || !VERSION.test(tag)) {
  process.stderr.write('usage: node scripts/compare-with-last-release.mjs TAG\n');
  process.exitCode = 1;
} else {
  const last = lastBefore(tag, git('tag', '--list', 'v*').split('\n'));
  if (last === undefined) process.stdout.write(`There is no release before ${tag}.\n`);
  else process.exitCode = compareWith(last);
}

function lastBefore(tag, tags) {
  return tags
    .filter((other) => VERSION.test(other) && !VERSION.exec(other)[4] && compareVersions(other, tag) < 0)
    .sort(compareVersions)
    .at(-1);
}

/** A pre-release comes before its release. */
function compareVersions(one, other) {
  const [, ...a] = VERSION.exec(one);
  const [, ...b] = VERSION.exec(other);
  const differing = [0, 1, 2].find((part) => a[part] !== b[part]);
  if (differing !== undefined) return Number(a[differing]) - Number(b[differing]);
  return Number(a[3] === undefined) - Number(b[3] === undefined);
}

function compareWith(last) {
  const folder = mkdtempSync(join(tmpdir(), 'contracts-'));
  try {
    const documents = git('ls-tree', '--name-only', last, 'docs/').split('\n');
    for (const name of ['openapi.yaml', 'asyncapi.yaml'])
      if (documents.includes(`docs/${name}`))
        writeFileSync(join(folder, name), git('show', `${last}:docs/${name}`));
    const script = join(root, 'scripts', 'compare-contracts.mjs');
    const { status } = spawnSync(process.execPath, [script, folder, join(root, 'docs')], {
      stdio: 'inherit',
    });
    const isNewMajor = VERSION.exec(last)[1] !== VERSION.exec(tag)[1];
    process.stdout.write(
      `Compared with ${last}${isNewMajor ? ': a new major version may break contracts' : ''}.\n`,
    );
    return isNewMajor ? 0 : status;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
