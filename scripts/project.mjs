/**
 * Makes what must exist before this project can run, if it is missing or out of date. Uses only Node, because it runs
 * before the dependencies are installed, and old syntax, so that an old Node can report that it is too old. All output
 * goes to stderr.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const WRITE_OPENAPI = 'scripts/write-openapi.mjs';

/** Exits if this Node is older than package.json requires. */
export function requireNode() {
  const wanted = /[\d.]+/.exec(readJson('package.json').engines.node)[0];
  const [major, minor] = wanted.split('.').map(Number);
  const [haveMajor, haveMinor] = process.versions.node.split('.').map(Number);
  if (haveMajor > major || (haveMajor === major && haveMinor >= minor)) return;
  fail(`This needs Node ${wanted} or newer; ${process.execPath} is ${process.versions.node}.`);
}

/** Installs the packages of package-lock.json, if others are installed. Runs no install script of a package. */
export function install() {
  if (isInstalled()) return;
  say('Installing dependencies (npm ci) ...');
  // NODE_ENV=production would leave the compiler out.
  run('npm', ['ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund'], 'npm ci failed.');
}

/** Compiles src/ to dist/, with the OpenAPI document, if dist/ was not made from exactly these sources, or `always`. */
export function build(always) {
  const sources = hashOfSources();
  if (!always && isBuiltFrom(sources)) return;
  say('Building dist/ (tsc) ...');
  // Into another directory first: a failed or parallel build never leaves an incomplete dist/.
  const fresh = join(root, 'dist.' + process.pid);
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const options = ['-p', root, '--outDir', fresh, '--noEmitOnError', '--pretty'];
  const program = (path, ...args) =>
    run(process.execPath, [path, ...args], 'The build failed.', () => remove(fresh));
  program(tsc, ...options);
  program(join(root, WRITE_OPENAPI), fresh);
  writeFileSync(join(fresh, '.sources'), sources);
  if (always || !isBuiltFrom(sources)) {
    remove(join(root, 'dist'));
    renameSync(fresh, join(root, 'dist'));
  } else {
    remove(fresh);
  }
}

function isInstalled() {
  if (!existsSync(join(root, 'node_modules', '.package-lock.json'))) return false;
  const present = readJson('node_modules/.package-lock.json').packages;
  // Optional packages are for one platform each.
  return Object.entries(readJson('package-lock.json').packages).every(
    ([path, { version, optional }]) =>
      path === '' || optional || (present[path] !== undefined && present[path].version === version),
  );
}

function isBuiltFrom(sources) {
  const mark = join(root, 'dist', '.sources');
  return existsSync(mark) && readFileSync(mark, 'utf8') === sources;
}

function hashOfSources() {
  const hash = createHash('sha256');
  const others = ['tsconfig.json', 'package-lock.json', 'docs/openapi.yaml', WRITE_OPENAPI];
  for (const path of [...others, ...filesUnder('src')]) {
    hash.update(path + '\0').update(readFileSync(join(root, path)));
  }
  return hash.digest('hex');
}

function filesUnder(directory) {
  return readdirSync(join(root, directory), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = directory + '/' + entry.name;
      return entry.isDirectory() ? filesUnder(path) : [path];
    });
}

function run(program, args, failure, cleanUp = () => {}) {
  const { status, error } = spawnSync(program, args, {
    cwd: root,
    stdio: ['ignore', process.stderr, process.stderr],
    shell: program === 'npm' && process.platform === 'win32',
  });
  if (status === 0) return;
  cleanUp();
  fail(error ? failure + ' ' + error.message : failure);
}

function readJson(path) {
  return JSON.parse(readFileSync(join(root, path), 'utf8'));
}

function remove(path) {
  rmSync(path, { recursive: true, force: true });
}

function say(text) {
  process.stderr.write(text + '\n');
}

function fail(text) {
  say(text);
  process.exit(1);
}
