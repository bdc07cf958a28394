import { mustBeEncoded, readCredentials, splitCredentials } from './credentials';
import { isPort, type Given } from './environment';
import {
  checkFiles,
  checkWithDriver,
  isDecidedHere,
  isWithoutEffect,
  readOptions,
  type Option,
} from './database-options';

const RIGHT_FORM = 'mongodb://HOST:27017/orders';
/** MongoDB's own databases: `local` is not replicated, the others hold its metadata. */
const NOT_OURS = ['admin', 'config', 'local'];

/** A name, an address, an IPv6 address in brackets or the percent-encoded path of a socket, and perhaps a port. */
const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\]|%2f[\w%.~-]+)(?::(\d{1,5}))?$/i;

const DOES_NOT_VERIFY = /^tls(Insecure|AllowInvalid)/;

/** The complete database URL for the driver. Undefined: none was given, or it was refused. */
export function readDatabase(given: Given, prefix: 'MONGO' | 'OLD_MONGO' = 'MONGO'): string | undefined {
  const setting = `${prefix}_URL`;
  const refuse = (why: string) => given.refuse(setting, why);
  const text = given.get(setting);
  const problemsBefore = given.problems.length;
  const parts = text === undefined ? undefined : split(text, prefix, refuse);
  const own = readCredentials(given, prefix, {
    urlHasUser: parts?.credentials !== '' && parts !== undefined,
  });
  if (!parts) return undefined;

  const { srv, hosts, database } = parts;
  checkHosts(hosts, srv, refuse);
  checkDatabaseName(database, refuse);
  const options = readOptions(parts.query, refuse);
  checkFiles(options, srv, refuse);
  if (given.problems.length > problemsBefore) return undefined;

  const credentials = own
    ? `${encodeURIComponent(own.username)}:${encodeURIComponent(own.password)}@`
    : parts.credentials;
  const url = (chosen: readonly Option[]) =>
    `mongodb${srv ? '+srv' : ''}://${credentials}${hosts}/${database}` +
    (chosen.length === 0 ? '' : `?${chosen.map(({ name, value }) => `${name}=${value}`).join('&')}`);
  checkWithDriver(options, url, refuse);
  if (
    credentials !== '' &&
    !/:[^@]+@/.test(credentials) &&
    !options.some(({ name }) => name === 'authMechanism')
  ) {
    refuse('holds a user without a password');
  }
  if (given.problems.length > problemsBefore) return undefined;

  const unverified = options.filter(({ name, value }) => DOES_NOT_VERIFY.test(name) && value === 'true');
  if (unverified.length > 0) {
    given.warn(`${setting}: ${unverified.map(({ name }) => name).join(', ')}: server identity not verified`);
  }
  const ignored = options.filter(isWithoutEffect).map(({ name }) => name);
  if (ignored.length > 0) {
    given.warn(`${setting}: ignored, because the service sets them itself: ${ignored.join(', ')}`);
  }
  return url(options.filter((option) => !isDecidedHere(option)));
}

function split(
  text: string,
  prefix: Parameters<typeof mustBeEncoded>[0],
  refuse: (why: string) => undefined,
) {
  const [, srv, afterScheme] = /^mongodb(\+srv)?:\/\/(.+)$/s.exec(text) ?? [];
  if (/\s/.test(text)) return refuse('holds a space or a line break');
  if (afterScheme === undefined)
    return refuse(
      `must be a URL that begins with mongodb:// or mongodb+srv:// and has a host, as in ${RIGHT_FORM}`,
    );
  const user = splitCredentials(afterScheme);
  if (!user) return refuse(mustBeEncoded(prefix));
  const [, hosts = '', database = '', query = ''] = /^([^/?#]*)\/?([^?#]*)\??([^#]*)/.exec(user.rest) ?? [];
  if (hosts === '')
    return refuse(
      `must be a URL that begins with mongodb:// or mongodb+srv:// and has a host, as in ${RIGHT_FORM}`,
    );
  if (afterScheme.includes('#')) return refuse('holds a #, which must be percent-encoded');
  if (/%(?![\da-f]{2})/i.test(user.rest)) return refuse('holds a % that begins no percent-encoded character');
  const credentials = afterScheme.slice(0, afterScheme.length - user.rest.length);
  return { srv: srv !== undefined, credentials, hosts, database, query };
}

function checkHosts(hosts: string, srv: boolean, refuse: (why: string) => undefined): void {
  const all = hosts.split(',').map((host) => HOST.exec(host));
  if (srv) {
    if (all.length > 1 || all[0]?.[1] !== undefined) {
      refuse('takes one host name without a port after mongodb+srv://');
    } else if (!all[0] || !/^[a-z]/i.test(all[0][0])) {
      refuse('must have a host name after mongodb+srv://');
    }
    return;
  }
  if (all.some((found) => !found)) {
    refuse(`has an invalid host: use HOST or HOST:PORT, several with commas between, as in ${RIGHT_FORM}`);
  } else if (all.some((found) => found?.[1] !== undefined && !isPort(found[1]))) {
    refuse('has a port that is not between 1 and 65535');
  }
}

function checkDatabaseName(encoded: string, refuse: (why: string) => undefined): void {
  let name;
  try {
    name = decodeURIComponent(encoded);
  } catch {
    name = '/';
  }
  if (name === '') {
    refuse(
      `must name the database, as in ${RIGHT_FORM} ` +
        '(and end with ?authSource=admin if the user is defined in the database admin)',
    );
  } else if (/[/\\. "$*<>:|?@\0]/.test(name) || Buffer.byteLength(name) > 63) {
    refuse(`must have a valid database name and nothing else after the hosts, as in ${RIGHT_FORM}`);
  } else if (NOT_OURS.includes(name.toLowerCase())) {
    refuse(
      `must name a database only for this service, as in ${RIGHT_FORM}?authSource=admin: ` +
        `${NOT_OURS.join(', ')} belong to MongoDB`,
    );
  }
}
