import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const read = (file: string) => readFileSync(join(__dirname, '../..', file), 'utf8');
const { version } = JSON.parse(read('package.json')) as { version: string };
/** The last stage is the image that is delivered. */
const production =
  read('Dockerfile')
    .split(/^FROM /m)
    .at(-1) ?? '';

describe('the image', () => {
  it('has the version of the package as its label, unless the build names another', () => {
    expect(production).toMatch(/ AS production\n/);
    expect(production).toContain(`\nARG VERSION=${version}\n`);
    expect(production).toContain('org.opencontainers.image.version="$VERSION"');
  });

  it('is built by CI and by a release from the same images, by digest', () => {
    const named = [...read('Dockerfile').matchAll(/^ARG (\w+_IMAGE=.+)$/gm)].map(([, one]) => one);
    const pinned = read('.github/base-images').trim().split('\n');

    expect(named).toHaveLength(2);
    expect(pinned.map((one) => one.replace(/@sha256:[0-9a-f]{64}$/, ''))).toEqual(named);
    expect(pinned.filter((one) => named.includes(one))).toEqual([]);
    expect(read('.github/workflows/ci.yml')).toContain("sed 's/^/--build-arg=/' .github/base-images");
    expect(read('.github/workflows/release.yml')).toContain('cat .github/base-images');
  });

  it('carries no package that nothing loads', () => {
    expect(read('Dockerfile')).toContain('rm -r node_modules/core-js');
    const script =
      "require('./dist/wiring/service'); import('./dist/adapters/mongo/store.js').then(() => " +
      "process.stdout.write(Object.keys(require.cache).join('\\n')))";
    const loaded = execFileSync(process.execPath, ['-e', script], {
      cwd: join(__dirname, '../..'),
    }).toString();
    expect(loaded).toContain('version-occ-plugin');
    expect(loaded).not.toContain('core-js');
  });

  it('carries the OpenAPI document: for development as it is, else as the build writes it', () => {
    const stage = (name: string) =>
      new RegExp(`^FROM dependencies AS ${name}\\n[^]*?\\n\\n\\n`, 'm').exec(read('Dockerfile'))?.[0];

    for (const name of ['dev', 'build']) {
      expect(stage(name)).toMatch(/^COPY (--chown=\S+ )?docs\/openapi\.yaml docs\/$/m);
    }
    expect(stage('build')).toContain('&& node scripts/write-openapi.mjs dist ');
    expect(production).toMatch(/^COPY --from=build \/app\/dist dist$/m);
    for (const file of ['docs/openapi.yaml', 'scripts/write-openapi.mjs']) {
      expect(read('.dockerignore').split('\n')).toContain(`!${file}`);
    }
  });

  it('answers with that document, and never parses YAML', () => {
    const script =
      "const handler = require('./dist/http/openapi').serveOpenApi('/shop');" +
      'const send = (body) => process.stdout.write(JSON.stringify([body, Object.keys(require.cache)]));' +
      'const res = { set: () => res, type: () => res, send };' +
      'void handler({ headers: {} }, res);';
    const printed = execFileSync(process.execPath, ['-e', script], { cwd: join(__dirname, '../..') });
    const [body, loaded] = JSON.parse(printed.toString()) as [string, string[]];

    const document = read('docs/openapi.yaml').replaceAll('/api/v1/orders', '/shop');
    expect(JSON.parse(body)).toEqual(parse(document));
    expect(loaded.filter((file) => /\byaml\b/.test(file))).toEqual([]);
  });

  it('carries the package.json that the log and the metrics have the version from', () => {
    expect(production).toMatch(/^COPY .*\/app\/package\.json \.\/$/m);
  });
});
