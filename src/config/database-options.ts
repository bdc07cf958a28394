import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { readText } from './environment';

/** The options that a URL may set. */
const OPTIONS = words(`
  appName authMechanism authMechanismProperties authSource compressors directConnection loadBalanced localThresholdMS
  maxConnecting maxIdleTimeMS replicaSet retryReads retryWrites srvMaxHosts srvServiceName ssl tls
  tlsAllowInvalidCertificates tlsAllowInvalidHostnames tlsCAFile tlsCertificateKeyFile tlsCertificateKeyFilePassword
  tlsCRLFile tlsInsecure zlibCompressionLevel
`);

/**
 * URLs often set these, but the service sets them itself because its guarantees depend on them: they are removed from
 * the URL, with a warning unless the value is the one used anyway.
 */
const DONE_ANYWAY: Readonly<Record<string, string>> = {
  w: 'majority',
  j: 'true',
  journal: 'true',
  readPreference: 'primary',
  useNewUrlParser: 'true',
  useUnifiedTopology: 'true',
};
const DECIDED_HERE = [
  ...Object.keys(DONE_ANYWAY),
  ...words(`
    readPreferenceTags maxStalenessSeconds readConcernLevel wtimeout wtimeoutMS maxPoolSize minPoolSize connectTimeoutMS
    serverSelectionTimeoutMS socketTimeoutMS timeoutMS waitQueueTimeoutMS heartbeatFrequencyMS serverMonitoringMode
  `),
];

const KNOWN = new Map([...OPTIONS, ...DECIDED_HERE].map((name) => [name.toLowerCase(), name]));

/** Options with secret values: an unescaped `&` in one turns the rest of the secret into an option name. */
const SECRET_OPTIONS = ['tlsCertificateKeyFilePassword', 'authMechanismProperties'];

/** By option: values that need a module which the driver does not include. */
const NEEDS_A_MODULE: Readonly<Record<string, RegExp>> = {
  authMechanism: /^(gssapi|mongodb-aws)$/i,
  compressors: /snappy|zstd/i,
};

export interface Option {
  /** In the spelling of the driver. */
  readonly name: string;
  /** As given. */
  readonly value: string;
}

export function isDecidedHere({ name }: Option): boolean {
  return DECIDED_HERE.includes(name);
}

/** Whether it is ignored and differs from the value used anyway. */
export function isWithoutEffect(option: Option): boolean {
  return isDecidedHere(option) && DONE_ANYWAY[option.name] !== option.value;
}

export function readOptions(query: string, refuse: (why: string) => void): Option[] {
  const options: Option[] = [];
  let secretCame = false;
  for (const [at, part] of query === '' ? [] : query.split('&').entries()) {
    const equals = part.indexOf('=');
    const written = equals < 0 ? part : part.slice(0, equals);
    const value = equals < 0 ? '' : part.slice(equals + 1);
    const name = KNOWN.get(written.toLowerCase());
    if (name === undefined) {
      const isSafe = !secretCame && /^[a-z]{1,40}$/i.test(written) && value !== '';
      refuse(
        isSafe
          ? `has an option that is not known or not supported: ${written}`
          : `has an option that is not known or not supported: number ${at + 1} after the ?`,
      );
      continue;
    }
    if (SECRET_OPTIONS.includes(name)) secretCame = true;
    if (value === '') refuse(`has the option ${name} without a value`);
    else if (name !== 'readPreferenceTags' && options.some((other) => other.name === name)) {
      refuse(`has the option ${name} more than once`);
    } else if (NEEDS_A_MODULE[name]?.test(decodeLoosely(value))) {
      refuse(`has a value of ${name} that is not supported here`);
    }
    options.push({ name, value });
  }
  return options;
}

/** Checks the files that the driver reads when it connects: it would not recover from a bad one. */
export function checkFiles(options: readonly Option[], srv: boolean, refuse: (why: string) => void): void {
  const value = (name: string) => {
    const found = options.find((option) => option.name === name);
    return found && decodeLoosely(found.value);
  };
  const encrypted = value('tls') ?? value('ssl') ?? (srv ? 'true' : 'false');
  const tlsOptions = options.filter(({ name }) => /^tls./.test(name)).map(({ name }) => name);
  if (encrypted !== 'true' && tlsOptions.length > 0) {
    refuse(`has ${tlsOptions.join(', ')} without tls=true: the connection would not be encrypted`);
  }
  const readers: Readonly<Record<string, (text: string) => unknown>> = {
    tlsCAFile: (text) => new X509Certificate(text),
    tlsCRLFile: (text) => createSecureContext({ crl: text }),
    tlsCertificateKeyFile: (text) =>
      createSecureContext({ cert: text, key: text, passphrase: value('tlsCertificateKeyFilePassword') }),
  };
  for (const [name, read] of Object.entries(readers)) {
    const path = value(name);
    if (path === undefined) continue;
    const file = readText(path);
    if ('problem' in file) {
      refuse(`names a ${name} that ${file.problem}`);
      continue;
    }
    try {
      read(file.text);
    } catch {
      refuse(`names a ${name} that does not hold the right content in PEM, or has another password`);
    }
  }
}

/** The driver decides what is valid. Its messages may contain parts of the URL: only option names are reported. */
export function checkWithDriver(
  options: readonly Option[],
  url: (options: readonly Option[]) => string,
  refuse: (why: string) => void,
): void {
  if (driverTakes(url(options))) return;
  if (!driverTakes(url([]))) {
    refuse('is not accepted by the driver');
    return;
  }
  const withoutIt = (one: Option) => options.filter((option) => option !== one);
  const culprits = options.filter((one) => driverTakes(url(withoutIt(one))));
  const byThemselves = options.filter((one) => !driverTakes(url([one])));
  const named = [culprits, byThemselves, options].find((found) => found.length > 0) ?? [];
  const names = named.map(({ name }) => name).join(', ');
  refuse(`has options that the driver does not accept, because of their values or in combination: ${names}`);
}

/** The driver is loaded only with a database: the embedded default starts without parsing Mongoose. */
function driverTakes(url: string): boolean {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const driver = require('../adapters/mongo/driver') as typeof import('../adapters/mongo/driver');
  return driver.takesUrl(url);
}

/** Decodes the value of an option as the driver does. */
function decodeLoosely(value: string): string {
  return new URLSearchParams(`value=${value}`).get('value') ?? '';
}

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
