import { textOf } from '../smoke/attempt';
import { readSettings } from '../smoke/settings';
import { smoke } from '../smoke/smoke';

const settings = readSettings();
if ('servers' in settings) {
  smoke(settings).then(
    () => process.exit(0),
    (error: unknown) => {
      process.stdout.write(`${textOf(error)}\n`);
      process.exit(1);
    },
  );
} else {
  for (const problem of settings) process.stdout.write(`${problem}\n`);
  process.exit(2);
}
