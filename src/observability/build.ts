import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Build {
  /** The version in package.json, its only source. */
  readonly version: string;
  readonly node: string;
}

/** Which build this is, for the log and the metrics. */
export function readBuild(): Build {
  const { version } = JSON.parse(readFileSync(packageJson(__dirname), 'utf8')) as { version: string };
  return { version, node: process.versions.node };
}

/** The nearest one above: sources and builds have different depths. */
function packageJson(folder: string): string {
  const path = join(folder, 'package.json');
  return existsSync(path) || folder === dirname(folder) ? path : packageJson(dirname(folder));
}
