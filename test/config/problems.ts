import { InvalidSettings, loadConfig } from '../../src/config/load-config';

/** What the service finds wrong with these settings, or what `load` does. */
export function problemsOf(
  env: Record<string, string>,
  load: (env: Record<string, string>) => unknown = loadConfig,
): readonly string[] {
  try {
    load(env);
  } catch (error) {
    if (error instanceof InvalidSettings) return error.problems;
    throw error;
  }
  return [];
}
