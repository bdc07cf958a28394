import { X509Certificate, createPrivateKey } from 'node:crypto';
import { isIP } from 'node:net';
import { z } from 'zod';
import { mustBeEncoded, readCredentials, splitCredentials } from './credentials';
import { isPort, readText, type Given } from './environment';

const RIGHT_FORM = 'nats://nats:4222';
const DEFAULT_PORT = '4222';

export const CLUSTER_ID = z
  .string()
  .regex(
    /^(?![*>](\.|$))[^\s.\0]+(\.(?![*>](\.|$))[^\s.\0]+)*$/,
    'must be the id of a cluster, such as ticketing',
  )
  .default('ticketing');

export const CLIENT_ID = z
  .string()
  .regex(/^[\w-]+$/, 'may contain letters, digits, - and _ only')
  .default('order-service');

/**
 * The servers of `NATS_URL`, with login and TLS options as the client names them. With `tls`, no connection is made
 * unencrypted. Undefined: none was given, or it was refused.
 */
export function readBroker(given: Given) {
  const problemsBefore = given.problems.length;
  const text = given.get('NATS_URL');
  const addresses =
    text === undefined ? undefined : readAddresses(text, (why) => given.refuse('NATS_URL', why));
  const own = readCredentials(given, 'NATS', { urlHasUser: addresses?.login !== undefined });
  const certificates = readCertificates(given);
  if (given.problems.length > problemsBefore || !addresses) return undefined;

  const login = own ? { user: own.username, pass: own.password } : addresses.login;
  const isEncrypted = addresses.encrypted || certificates !== undefined;
  return addresses.hosts.map(({ host, port }) => ({
    /** Without credentials. */
    url: `${isEncrypted ? 'tls' : 'nats'}://${host}:${port}`,
    ...(login && { login }),
    ...(isEncrypted && { tls: { host, ...(isIP(host) === 0 && { servername: host }), ...certificates } }),
  }));
}

function readAddresses(text: string, refuse: (why: string) => undefined) {
  const parts = text.split(',').map((part) => /^(nats|http|tls):\/\/(\S+)$/.exec(part.trim()));
  const urls = parts.flatMap((part) => (part ? [{ scheme: part[1], afterScheme: part[2] ?? '' }] : []));
  if (urls.length < parts.length) {
    const hasScheme = /^(nats|http|tls):\/\//.test(text.trim());
    refuse(hasScheme && text.includes('@') ? mustBeEncoded('NATS') : `must be a URL such as ${RIGHT_FORM}`);
    return undefined;
  }
  const servers = urls.map(({ afterScheme }) => splitCredentials(afterScheme));
  if (servers.some((server) => !server)) return refuse(mustBeEncoded('NATS'));
  const hosts = servers.map((server) => readHost(server?.rest ?? '', refuse));
  const logins = servers.map((server) => server && toLogin(server));
  const login = logins[0];
  if (logins.some((other) => JSON.stringify(other) !== JSON.stringify(login))) {
    refuse(
      'has servers with different credentials: all must have the same, in each of them or outside the URL',
    );
  }
  const schemes = urls.map(({ scheme }) => scheme);
  const encrypted = schemes.includes('tls');
  if (encrypted && schemes.some((scheme) => scheme !== 'tls')) {
    refuse('has servers with tls:// and others without: use it for all or for none');
  }
  return { hosts: hosts.flatMap((host) => (host ? [host] : [])), login, encrypted };
}

/** A user without a password is a token, as for every NATS client. */
function toLogin(server: NonNullable<ReturnType<typeof splitCredentials>>) {
  if (server.username === undefined) return undefined;
  if (server.password === undefined) return { token: server.username };
  return { user: server.username, pass: server.password };
}

function readHost(rest: string, refuse: (why: string) => undefined) {
  const [, host, port = DEFAULT_PORT, behind] = /^([^/?#:[\]]+)(?::([^/?#:]*))?\/?(.*)$/s.exec(rest) ?? [];
  if (rest.startsWith('['))
    return refuse('has an IPv6 address, which the NATS client does not support: use a host name');
  if (host === undefined || !/^[\w.-]+$/.test(host))
    return refuse(`has no valid host: must be a URL such as ${RIGHT_FORM}`);
  if (!isPort(port)) return refuse('has a port that is not between 1 and 65535');
  if (behind !== '') return refuse(`must end after the port, as in ${RIGHT_FORM}`);
  return { host, port };
}

const CERTIFICATES = { ca: 'NATS_CA_FILE', cert: 'NATS_CERT_FILE', key: 'NATS_KEY_FILE' };

function readCertificates(given: Given) {
  const names = Object.values(CERTIFICATES).filter((name) => given.has(name));
  if (names.length === 0) return undefined;
  if (!given.has('NATS_URL')) given.refuse('NATS_URL', `is required with ${names.join(', ')}`);
  const ca = readPem(given, CERTIFICATES.ca, (text) => new X509Certificate(text));
  const cert = readPem(given, CERTIFICATES.cert, (text) => new X509Certificate(text));
  const key = readPem(given, CERTIFICATES.key, createPrivateKey);
  for (const [one, other] of [
    [CERTIFICATES.cert, CERTIFICATES.key],
    [CERTIFICATES.key, CERTIFICATES.cert],
  ] as const) {
    if (!given.has(one) && given.has(other)) given.refuse(one, `is required with ${other}`);
  }
  if (cert && key && !cert.parsed.checkPrivateKey(key.parsed)) {
    given.refuse(CERTIFICATES.key, `is not the key of the certificate in ${CERTIFICATES.cert}`);
  }
  return { ...(ca && { ca: ca.text }), ...(cert && { cert: cert.text }), ...(key && { key: key.text }) };
}

function readPem<T>(given: Given, name: string, parse: (text: string) => T) {
  const path = given.get(name);
  if (path === undefined) return undefined;
  const file = readText(path);
  if ('problem' in file) return given.refuse(name, `the file that it names ${file.problem}`);
  try {
    return { text: file.text, parsed: parse(file.text) };
  } catch {
    const what = name === CERTIFICATES.key ? 'a private key without a password' : 'a certificate';
    given.refuse(name, `the file that it names does not hold ${what} in PEM`);
    return undefined;
  }
}
