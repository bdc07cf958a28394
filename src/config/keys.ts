import { BlockList, isIP } from 'node:net';
import type { Given } from './environment';

/**
 * Signs tokens of the embedded default. It is public: refused in production, with a real database or broker, and with a
 * `HOST` that others can reach.
 */
export const DEVELOPMENT_JWT_KEY = 'development only: everyone knows this key';

/** Also public, of development set-ups with a real database and broker: refused in production. */
const PUBLIC_KEYS = [
  // helm/values-development.yaml
  'for development only, this key is known to everyone',
  // compose.yaml
  'compose-development-key',
];

const SHORTEST_GOOD_KEY_BYTES = 32;

export interface JwtKeys {
  readonly key: string;
  readonly previousKey: string | undefined;
}

/** `real`: reasons to refuse the public key, each as the end of "because"; empty if it is allowed. */
export function readKeys(given: Given, real: readonly string[]): JwtKeys {
  const because = `because ${real.join(', ')}`;
  if (real.length > 0 && !given.has('JWT_KEY')) {
    given.refuse('JWT_KEY', `is required ${because} (or JWT_KEY_FILE)`);
  }
  for (const name of ['JWT_KEY', 'JWT_KEY_PREVIOUS'])
    checkKey(given, name, real.length > 0 ? because : undefined);
  return { key: given.get('JWT_KEY') ?? DEVELOPMENT_JWT_KEY, previousKey: given.get('JWT_KEY_PREVIOUS') };
}

function checkKey(given: Given, name: string, because: string | undefined): void {
  const key = given.get(name);
  if (key === undefined) return;
  const bare = key.trim();
  if (bare === DEVELOPMENT_JWT_KEY) {
    if (because !== undefined) {
      given.refuse(name, `is the public development key, which is refused ${because}; set one of your own`);
    }
  } else if (PUBLIC_KEYS.includes(bare)) {
    const isProduction = given.get('NODE_ENV') === 'production';
    if (isProduction) given.refuse(name, 'is a public key of a development set-up; set one of your own');
    else given.warn(`${name} is a public key of a development set-up: everyone knows it`);
  } else if (Buffer.byteLength(key) < SHORTEST_GOOD_KEY_BYTES) {
    given.warn(`${name} is shorter than ${SHORTEST_GOOD_KEY_BYTES} bytes: it could be guessed from a token`);
  }
}

/** An address of any kind, or a name. */
export function isHost(text: string): boolean {
  return isIP(text) !== 0 || /^[\w.-]+$/.test(text);
}

/** Whether only this machine can connect to a server that listens there. */
export function isLoopback(host: string): boolean {
  const version = isIP(host);
  if (version === 0) return host.toLowerCase() === 'localhost';
  const loopback = new BlockList();
  loopback.addSubnet('127.0.0.0', 8, 'ipv4');
  loopback.addAddress('::1', 'ipv6');
  // Removes the zone that a link-local address may have.
  return loopback.check(host.replace(/%.*/, ''), version === 4 ? 'ipv4' : 'ipv6');
}
