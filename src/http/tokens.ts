import type { KeyObject } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { LRUCache } from 'lru-cache';
import { whyNoUserId } from '../domain/user-id';

/**
 * How tokens are checked. `keys`: HS256 secrets, the current one first, then previous ones. They are made once with
 * `crypto.createSecretKey`: from text, every verification would parse it again, first as a public key.
 */
export interface TokenSettings {
  readonly keys: readonly KeyObject[];
  readonly now: () => Date;
}

/** `not-ours`: every reason but time, such as a wrong signature. */
export type TokenRefusal = 'expired' | 'not-yet-valid' | 'not-ours';

/** The user of the token, or why it is refused. */
export type VerifyToken = (token: string) => { readonly userId: string } | { readonly refused: TokenRefusal };

interface Verified {
  readonly userId: string;
  /** Seconds since 1970, as in the token. */
  readonly notBefore: number;
  readonly expires: number;
}

const LONGEST_TOKEN = 8 * 1024;
/** The signer's clock may differ from ours by this much. */
const CLOCK_TOLERANCE_SECONDS = 5;
/** With the next limit: some megabytes at most. Longer tokens are verified every time. */
const CACHED_TOKENS = 10_000;
const LONGEST_CACHED_TOKEN = 1024;

/**
 * Caches verified tokens by their whole text. That changes no verdict: the keys are fixed, the same text always has the
 * same signature and claims, and the time, the only part that changes, is checked on every use. Tokens cannot be
 * revoked here, cached or not: they are valid until they expire. Only tokens that our key signed are cached, so nobody
 * else can fill the cache.
 */
export function createTokenVerifier({ keys, now }: TokenSettings): VerifyToken {
  const cache = new LRUCache<string, Verified>({ max: CACHED_TOKENS });

  return function verifyToken(token) {
    if (token.length > LONGEST_TOKEN) return { refused: 'not-ours' };
    const seconds = Math.floor(now().getTime() / 1000);

    const cached = cache.get(token);
    if (cached) return judge(cached, seconds);

    const verified = verify(token, keys);
    if (!verified) return { refused: 'not-ours' };
    const verdict = judge(verified, seconds);
    if ('userId' in verdict && token.length <= LONGEST_CACHED_TOKEN) cache.set(token, verified);
    return verdict;
  };
}

function judge({ userId, notBefore, expires }: Verified, seconds: number): ReturnType<VerifyToken> {
  if (seconds + CLOCK_TOLERANCE_SECONDS < notBefore) return { refused: 'not-yet-valid' };
  if (seconds - CLOCK_TOLERANCE_SECONDS >= expires) return { refused: 'expired' };
  return { userId };
}

/** Checks all but the time, which {@link judge} checks. */
function verify(token: string, keys: readonly KeyObject[]): Verified | undefined {
  for (const key of keys) {
    try {
      const untimed = { ignoreExpiration: true, ignoreNotBefore: true };
      return toVerified(jwt.verify(token, key, { algorithms: ['HS256'], ...untimed }));
    } catch {
      // Whatever the error, this key does not verify this token.
    }
  }
  return undefined;
}

/** A signature proves who wrote the claims, not that they have the right shape. */
function toVerified(claims: unknown): Verified | undefined {
  if (typeof claims !== 'object' || claims === null) return undefined;
  const { id, email, iat, nbf = -Infinity, exp = Infinity } = claims as Record<string, unknown>;
  if (typeof id !== 'string' || whyNoUserId(id) !== undefined) return undefined;
  if (typeof email !== 'string' || typeof iat !== 'number') return undefined;
  if (typeof nbf !== 'number' || typeof exp !== 'number') return undefined;
  return { userId: id, notBefore: nbf, expires: exp };
}

/** A token like those of the sign-in service for this user. */
export function signToken(
  key: string,
  { userId, email, expiresInSeconds }: { userId: string; email: string; expiresInSeconds: number },
): string {
  return jwt.sign({ id: userId, email }, key, { algorithm: 'HS256', expiresIn: expiresInSeconds });
}
