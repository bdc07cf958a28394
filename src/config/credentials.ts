import type { Given } from './environment';

/** Of the settings of one server. */
type Prefix = 'MONGO' | 'OLD_MONGO' | 'NATS';

/** The problem of a URL whose user or password cannot be separated from the rest. */
export const mustBeEncoded = (prefix: Prefix) =>
  'holds a character in the user name or the password that must be percent-encoded there; ' +
  `${prefix}_USERNAME and ${prefix}_PASSWORD take any character as it is`;

/** Must be percent-encoded in the user name and the password of a URL. */
const RESERVED = /[:/?#[\]@\s]/;

/**
 * Decodes user and password before the host of a URL; `rest` begins with the host. Without a colon there is no
 * password. Undefined: a character that must be percent-encoded is not.
 */
export function splitCredentials(
  afterScheme: string,
): { username?: string; password?: string | undefined; rest: string } | undefined {
  const [before, after, ...more] = afterScheme.split('@');
  if (before === undefined || more.length > 0) return undefined;
  if (after === undefined) return { rest: before };
  const colon = before.indexOf(':');
  const username = decoded(colon < 0 ? before : before.slice(0, colon));
  const password = colon < 0 ? undefined : decoded(before.slice(colon + 1));
  if (username === undefined || username === '' || (colon >= 0 && password === undefined)) return undefined;
  return { username, password, rest: after };
}

function decoded(text: string): string | undefined {
  if (RESERVED.test(text)) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** `PREFIX_USERNAME` and `PREFIX_PASSWORD`: both or neither, and only if the URL holds no user. */
export function readCredentials(
  given: Given,
  prefix: Prefix,
  { urlHasUser }: { urlHasUser: boolean },
): { readonly username: string; readonly password: string } | undefined {
  const names = { url: `${prefix}_URL`, username: `${prefix}_USERNAME`, password: `${prefix}_PASSWORD` };
  if (!given.has(names.username) && !given.has(names.password)) return undefined;
  if (!given.has(names.username)) given.refuse(names.username, `is required with ${names.password}`);
  if (!given.has(names.password)) {
    given.refuse(names.password, `is required with ${names.username} (or ${names.password}_FILE)`);
  }
  if (!given.has(names.url)) {
    given.refuse(names.url, `is required with ${names.username} and ${names.password}`);
  }
  if (urlHasUser) given.refuse(names.username, `${names.url} holds a user as well; set one of them`);
  const username = given.get(names.username);
  const password = given.get(names.password);
  return username === undefined || password === undefined ? undefined : { username, password };
}
