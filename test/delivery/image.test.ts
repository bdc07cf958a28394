import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

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

  it('is built from images that are pinned by digest', () => {
    const text = read('Dockerfile');
    const pinned = [...text.matchAll(/^ARG (\w+_IMAGE)=\S+:\S+@sha256:[0-9a-f]{64}$/gm)].map(
      ([, name]) => name,
    );
    const stages = [...text.matchAll(/^FROM .* AS (\S+)$/gm)].map(([, name]) => name);
    const bases = [...text.matchAll(/^FROM (?:\$\{(\w+)\}|(\S+)) /gm)].map(
      ([, image, stage]) => image ?? stage,
    );

    expect(pinned).toEqual(['NODE_IMAGE', 'RUNTIME_IMAGE']);
    expect([...pinned, ...stages]).toEqual(expect.arrayContaining(bases));
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

  it('carries the package.json that the log and the metrics have the version from', () => {
    expect(production).toMatch(/^COPY .*\/app\/package\.json \.\/$/m);
  });
});
