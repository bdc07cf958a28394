import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** A path of the folder of tools that SHARED_DIR names; undefined where there is none. */
export function sharedPath(path: string): string | undefined {
  const folder = process.env['SHARED_DIR'];
  const found = folder && join(folder, path);
  return found && existsSync(found) ? found : undefined;
}
