/**
 * Writes the table of values in the chart's README, from values.yaml and its comments. With `--check` exits with 1 if
 * the table is out of date.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMap, parseDocument } from 'yaml';

const chart = join(dirname(dirname(fileURLToPath(import.meta.url))), 'helm', 'order-service');
const readmePath = join(chart, 'README.md');
const TABLE = /(<!-- values -->\n)[^]*(<!-- \/values -->)/;

/** Kubernetes objects: shown whole. */
const WHOLE = /(resources|[sS]ecurityContext|labels|limits)$/;

function rowsOf(map, prefix) {
  // The comment above the first key is stored with the map.
  return map.items.flatMap(({ key, value }, i) => {
    const path = prefix + key.value;
    const comment = textOf(key.commentBefore ?? (i === 0 ? map.commentBefore : undefined));
    if (!isMap(value) || value.items.length === 0 || (WHOLE.test(path) && path !== 'nats.limits')) {
      return [`| \`${path}\` | \`${JSON.stringify(value.toJSON())}\` | ${comment} |`];
    }
    const group = comment === '' ? [] : [`| **${path}** | | ${comment} |`];
    return [...group, ...rowsOf(value, path + '.')];
  });
}

function textOf(comment = '') {
  return comment.replaceAll(/^ /gm, '').replaceAll('\n', ' ').replaceAll('|', '\\|').trim();
}

const { contents } = parseDocument(readFileSync(join(chart, 'values.yaml'), 'utf8'));
const table = ['| value | default | meaning |', '| --- | --- | --- |', ...rowsOf(contents, ''), ''].join(
  '\n',
);
const before = readFileSync(readmePath, 'utf8');
const after = before.replace(TABLE, (_, begin, end) => begin + table + end);
if (process.argv[2] !== '--check') writeFileSync(readmePath, after);
else if (before !== after) {
  process.stderr.write(
    'The table of values in helm/order-service/README.md is out of date: npm run chart:values\n',
  );
  process.exitCode = 1;
}
