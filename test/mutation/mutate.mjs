/** `npm run mutate -- domain http`: changes the code of these areas, or of all, and sees whether their tests notice. */
import { spawnSync } from 'node:child_process';
import areas from './areas.js';

const known = Object.keys(areas);
const asked = process.argv.slice(2);
const unknown = asked.filter((area) => !known.includes(area));
if (unknown.length > 0) {
  process.stderr.write(`no such area: ${unknown.join(', ')}; there are ${known.join(', ')}\n`);
  process.exit(2);
}

/** Each area has a score of its own: a good one does not make up for another. */
const failed = (asked.length > 0 ? asked : known).filter((area) => {
  const { status } = spawnSync('stryker', ['run', 'test/mutation/stryker.config.mjs'], {
    stdio: 'inherit',
    env: { ...process.env, MUTATE_AREA: area },
  });
  return status !== 0;
});
if (failed.length > 0) {
  process.stderr.write(`too few mutants were found in ${failed.join(', ')}: see mutation-report/\n`);
  process.exit(1);
}
