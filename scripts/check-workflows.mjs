/**
 * Checks .github with those of the programs below that are on PATH, and reports the missing ones. Downloads nothing.
 * `--required` fails if one is missing, as in CI.
 */
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const CHECKS = [['actionlint'], ['zizmor', '--offline', '--pedantic', '--no-progress', '--quiet', '.github']];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const required = process.argv.includes('--required');
const missing = [];
let failed = false;

for (const [program, ...args] of CHECKS) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error?.code === 'ENOENT') missing.push(program);
  else if (status !== 0) failed = true;
}

if (missing.length > 0) {
  process.stderr.write(
    `Workflows not checked with ${missing.join(' and ')}: not on PATH (CONTRIBUTING, "Workflows").\n`,
  );
}
process.exitCode = failed || (required && missing.length > 0) ? 1 : 0;
