/** `release-notes.mjs VERSION` prints the section of a version in the CHANGELOG, and fails if there is none. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const version = process.argv[2];
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8');
const [, ...sections] = changelog.split(/^## /m);
const [, ...lines] =
  sections.map((section) => section.split('\n')).find(([title]) => title === version) ?? [];
const notes = lines.join('\n').trim();

if (notes) process.stdout.write(`${notes}\n`);
else {
  process.stderr.write(
    version
      ? `CHANGELOG.md says nothing under "## ${version}".\n`
      : 'usage: node scripts/release-notes.mjs VERSION\n',
  );
  process.exitCode = 1;
}
