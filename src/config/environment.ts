import { readFileSync } from 'node:fs';
import { z } from 'zod';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Each may also be read from a file, named in `NAME_FILE`. */
const SECRETS = [
  'JWT_KEY',
  'JWT_KEY_PREVIOUS',
  'MONGO_URL',
  'MONGO_PASSWORD',
  'OLD_MONGO_URL',
  'OLD_MONGO_PASSWORD',
  'NATS_URL',
  'NATS_PASSWORD',
];

/** Names that other services of such systems use for the same settings. */
const OLD_NAMES: Readonly<Record<string, readonly string[]>> = {
  MONGO_URL: ['MONGO_URI', 'MONGODB_URI'],
  NATS_CLUSTER_ID: ['CLUSTER_ID'],
  NATS_CLIENT_ID: ['CLIENT_ID'],
};
/** Other programs use these too: one is ignored if it is no plain id, or differs from the current name's value. */
const COMMON_NAMES = ['CLUSTER_ID', 'CLIENT_ID'];
const PLAIN_ID = /^[\w-]+$/;

/** A setting that was read, as it takes effect. A value of a secret is only `set`. */
export interface EffectiveSetting {
  readonly name: string;
  readonly value: string | number | readonly string[] | undefined;
  /** Another name than the setting's: an old name, or `NAME_FILE` for the content of a file. */
  readonly from: 'default' | 'environment' | `environment, as ${string}`;
}

/** The given settings, under their current names. Only those that are read are checked. */
export interface Given {
  /** Undefined: not set, or not readable. */
  get(name: string): string | undefined;
  /** Whether it was given, even if it could not be read. */
  has(name: string): boolean;
  /** The fields of a schema. Undefined: at least one was refused. */
  read<S extends z.ZodRawShape>(shape: S): z.output<z.ZodObject<S>> | undefined;
  /** `why` never contains a part of a secret. Undefined, so that a caller can return it. */
  refuse(name: string, why: string): undefined;
  warn(text: string): void;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
  /** All settings that were read so far. */
  effective(): readonly EffectiveSetting[];
}

interface Found {
  /** The name under which it was given. */
  readonly name: string;
  /** The environment variable: with the suffix `_FILE` for the content of a file. */
  readonly variable: string;
  /** Undefined: it could not be read. */
  readonly value: string | undefined;
}

export function readEnvironment(env: Environment): Given {
  const problems: string[] = [];
  const warnings: string[] = [];
  const looked = new Map<string, Found | undefined>();
  const parsed = new Map<string, EffectiveSetting['value']>();

  /** An empty value, as in some manifests, counts as not set. */
  function plain(name: string): string | undefined {
    return env[name]?.trim() ? env[name] : undefined;
  }

  function find(name: string): Found | undefined {
    if (!looked.has(name)) looked.set(name, look(name));
    return looked.get(name);
  }

  function look(name: string): Found | undefined {
    const isSecret = SECRETS.includes(name);
    const names = [name, ...(OLD_NAMES[name] ?? []).filter((old) => !isOfOthers(old, name))];
    const [first, ...others] = names.flatMap((one) => readOne(one, isSecret) ?? []);
    for (const old of names.slice(1)) {
      if ([first, ...others].some((found) => found?.name === old)) {
        warnings.push(`${old} is an old name: set ${name} instead`);
      }
    }
    for (const other of others) {
      if (first?.value !== undefined && other.value !== undefined && first.value !== other.value) {
        problems.push(`${other.name}: has another value than ${first.name}; set only ${name}`);
      }
    }
    return first;
  }

  function isOfOthers(old: string, name: string): boolean {
    const value = plain(old);
    if (value === undefined || !COMMON_NAMES.includes(old)) return false;
    const today = plain(name);
    if (PLAIN_ID.test(value) && (today === undefined || today === value)) return false;
    warnings.push(`${old} is ignored: the setting is ${name}`);
    return true;
  }

  function readOne(name: string, isSecret: boolean): Found | undefined {
    const value = plain(name);
    const path = isSecret ? plain(`${name}_FILE`) : undefined;
    if (path === undefined) return value === undefined ? undefined : { name, variable: name, value };
    if (value !== undefined) {
      problems.push(`${name}_FILE: ${name} is set as well; set one of them`);
      return { name, variable: name, value };
    }
    const variable = `${name}_FILE`;
    const file = readText(path);
    if ('text' in file && file.text.trim() !== '') {
      // Removes only the line end that editors add: a password may begin or end with a space.
      return { name, variable, value: file.text.replace(/[\r\n]+$/, '') };
    }
    problems.push(`${name}_FILE: the file that it names ${'problem' in file ? file.problem : 'is empty'}`);
    return { name, variable, value: undefined };
  }

  function toEffective([name, found]: [string, Found | undefined]): EffectiveSetting {
    const isHidden = SECRETS.includes(name) || name.endsWith('_USERNAME');
    const value = parsed.has(name) ? parsed.get(name) : found?.value;
    const as = found?.variable;
    return {
      name,
      value: isHidden ? (found ? 'set' : 'not set') : value,
      from: as === undefined ? 'default' : as === name ? 'environment' : `environment, as ${as}`,
    };
  }

  function refuse(name: string, why: string): undefined {
    const as = find(name)?.name ?? name;
    problems.push(`${name}${as === name ? '' : ` (given as ${as})`}: ${why}`);
  }

  return {
    problems,
    warnings,
    get: (name) => find(name)?.value,
    has: (name) => find(name) !== undefined,
    read(shape) {
      const values = Object.keys(shape).map((name) => [name, find(name)?.value] as const);
      const result = z.object(shape).safeParse(Object.fromEntries(values));
      if (result.success) {
        for (const [name, value] of Object.entries(result.data)) parsed.set(name, value as never);
        return result.data;
      }
      for (const { path, message } of result.error.issues) refuse(path.join('.'), message);
      return undefined;
    },
    refuse,
    warn: (text) => void warnings.push(text),
    effective: () => [...looked].map(toEffective).sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

/**
 * The text of a file, or why it cannot be read, as the end of a sentence about the file. The path is never quoted: it
 * may be a secret that was set in the wrong place.
 */
export function readText(path: string): { readonly text: string } | { readonly problem: string } {
  try {
    return { text: readFileSync(path, 'utf8') };
  } catch (error) {
    return { problem: `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})` };
  }
}

export const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .refine((n) => n >= least && n <= most, `must be between ${least} and ${most}`);

export function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535;
}
