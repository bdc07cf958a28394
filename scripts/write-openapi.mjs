/**
 * `write-openapi.mjs FOLDER` writes docs/openapi.yaml as JSON to FOLDER/openapi.json. The built service answers with that:
 * to parse YAML would block it for half a second.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [folder] = process.argv.slice(2);
if (folder === undefined) {
  process.stderr.write('usage: node scripts/write-openapi.mjs FOLDER\n');
  process.exitCode = 1;
} else {
  const document = parse(readFileSync(join(root, 'docs', 'openapi.yaml'), 'utf8'));
  writeFileSync(join(folder, 'openapi.json'), JSON.stringify(document));
}
