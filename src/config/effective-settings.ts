import type { EffectiveSetting, Environment } from './environment';
import { load, readConfig, type Config } from './load-config';

/**
 * All settings of the service as they take effect, and the warnings. No part of a secret: of a URL only the servers, and
 * the name of the database. Throws `InvalidSettings` with all problems.
 */
export function loadEffectiveSettings(env: Environment) {
  return load(env, (given) => {
    const config = readConfig(given, false);
    if (!config || given.problems.length > 0) return undefined;
    const settings = given.effective().map((setting) => ({ ...setting, ...decidedLater(setting, config) }));
    return { settings, warnings: given.warnings };
  });
}

/** What depends on other settings, or is better said in another way. */
function decidedLater(
  { name }: EffectiveSetting,
  { http, log, mongoUrl, nats }: Pick<Config, 'http' | 'log' | 'mongoUrl' | 'nats'>,
): { value?: string; server?: string } {
  if (name === 'HOST') return { value: http.host ?? 'all addresses' };
  if (name === 'LOG_FORMAT') return { value: log.format };
  if (name === 'MONGO_URL' && mongoUrl !== undefined) return { server: withoutSecrets(mongoUrl) };
  if (name === 'NATS_URL' && nats.url !== undefined) return { server: nats.url };
  return {};
}

/** A URL that was checked holds credentials only before its `@`, and other secrets only in its options. */
function withoutSecrets(checkedUrl: string): string {
  return checkedUrl.replace(/\/\/[^@/]*@/, '//').replace(/\?.*$/s, '');
}
