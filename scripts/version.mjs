/**
 * package.json holds the version. `version.mjs` writes it to the files that repeat it, and names the unreleased section
 * of the CHANGELOG after it: `npm version` runs this before it commits. `version.mjs check [TAG]` fails if a file or
 * the tag has another version.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const file = (path) => join(root, path);
const read = (path) => readFileSync(file(path), 'utf8');
const { version } = JSON.parse(read('package.json'));

/** The second group matches the version. */
const REPEATED = {
  'helm/order-service/Chart.yaml': /^((?:version|appVersion): )(.+)$/gm,
  'helm/order-service/README.md': /(docker build -t REGISTRY\/order-service:)([\w.-]+)/g,
  Dockerfile: /^(ARG VERSION=)(.+)$/gm,
  'docs/openapi.yaml': /^( {2}version: )(.+)$/gm,
  'docs/asyncapi.yaml': /^( {2}version: )(.+)$/gm,
};

const [command, tag] = process.argv.slice(2);
if (command === 'check') check();
else if (command === undefined) write();
else fail('usage: node scripts/version.mjs [check [TAG]]');

function write() {
  const changelog = read('CHANGELOG.md');
  const titled = changelog.replace(/^## Unreleased$/m, `## ${version}`);
  if (titled === changelog) return fail('CHANGELOG.md has no section "## Unreleased".');
  writeFileSync(file('CHANGELOG.md'), titled);
  for (const [path, pattern] of Object.entries(REPEATED)) {
    const text = read(path).replace(pattern, (_, before) => before + version);
    writeFileSync(file(path), text);
  }
}

function check() {
  const found = Object.entries(REPEATED).flatMap(([path, pattern]) => {
    const versions = [...read(path).matchAll(pattern)].map((match) => match[2]);
    return versions.length > 0 ? versions.map((have) => [path, have]) : [[path, 'none']];
  });
  found.push(['package-lock.json', JSON.parse(read('package-lock.json')).version]);
  for (const [where, have] of found) {
    if (have !== version) fail(`package.json has the version ${version}, ${where} ${have}.`);
  }
  if (tag !== undefined && tag !== `v${version}`) fail(`The tag of ${version} is v${version}, not ${tag}.`);
}

function fail(text) {
  process.stderr.write(`${text}\n`);
  process.exitCode = 1;
}
