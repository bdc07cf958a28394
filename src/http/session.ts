import type { IncomingHttpHeaders } from 'node:http';
import { parseCookie } from 'cookie';
import type { RequestHandler } from 'express';
import { problem, sendProblem, type Problem } from './problems';
import type { TokenRefusal, VerifyToken } from './tokens';

/** The signed-in user, and how the token was sent. */
export interface Session {
  readonly userId: string;
  readonly signedInBy: 'bearer' | 'cookie';
}

/** Why sign-in was refused. */
export type SignInRefusal = TokenRefusal | 'missing';

interface PresentedToken {
  readonly token: string;
  readonly signedInBy: Session['signedInBy'];
}

declare module 'express-serve-static-core' {
  interface Request {
    /** Set on every route after {@link signIn}. */
    session?: Session;
  }
}

const BEARER = /^bearer(?:[\t ]+(.*))?$/i;
/** `express:sess` is the default name of cookie-session. */
const COOKIE_NAMES = ['session', 'express:sess'];
/** The longest token in base64, and a margin. */
const LONGEST_COOKIE = 12 * 1024;
/** No client needs as many, and each that is not ours is verified with every key. */
const MOST_TOKENS = 20;
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/** Of several tokens, the most helpful reason is reported: a user with an expired token needs a new one. */
const MOST_HELPFUL_FIRST: readonly TokenRefusal[] = ['expired', 'not-yet-valid', 'not-ours'];
const DESCRIPTIONS = {
  expired: 'has expired',
  'not-yet-valid': 'is not valid yet',
  'not-ours': 'is not one that this service accepts',
};
const notSignedIn = notAuthorized(
  'Sign in first: there is neither a Bearer token nor a session cookie',
  'Bearer',
);
const crossSite = problem('cross-site', 'Sec-Fetch-Site');

/** Accepts only requests with a valid token; all others get 401 and the reason. */
export function signIn(verifyToken: VerifyToken): RequestHandler {
  return function signInHandler(req, res, next) {
    const presented = presentedTokens(req.headers);
    const refused = new Set<TokenRefusal>();
    for (const { token, signedInBy } of presented) {
      const verdict = verifyToken(token);
      if ('userId' in verdict) {
        req.session = { userId: verdict.userId, signedInBy };
        next();
        return;
      }
      refused.add(verdict.refused);
    }
    const why = MOST_HELPFUL_FIRST.find((reason) => refused.has(reason));
    req.signInRefused = why ?? 'missing';
    sendProblem(res, why === undefined ? notSignedIn : refusal(why, presented[0]?.signedInBy));
  };
}

function refusal(why: TokenRefusal, signedInBy?: Session['signedInBy']): Problem {
  const token = signedInBy === 'cookie' ? 'The token in the session cookie' : 'The token';
  const description = `${token} ${DESCRIPTIONS[why]}`;
  return notAuthorized(description, `Bearer error="invalid_token", error_description="${description}"`);
}

function notAuthorized(detail: string, challenge: string): Problem {
  return {
    ...problem('not-authorized'),
    detail,
    errors: [{ message: detail }],
    headers: { 'WWW-Authenticate': challenge },
  };
}

/**
 * Refuses changes that another site makes with a cookie: browsers add cookies to any request, but a Bearer token is
 * sent by a script only. The sites of `allowedOrigins` are accepted.
 */
export function refuseCrossSite(allowedOrigins: readonly string[]): RequestHandler {
  return (req, res, next) => {
    const byCookie = req.session?.signedInBy === 'cookie';
    const isCrossSite = req.headers['sec-fetch-site'] === 'cross-site';
    const isAllowed = allowedOrigins.includes(req.headers.origin ?? '');
    if (byCookie && isCrossSite && !isAllowed && !SAFE_METHODS.has(req.method)) sendProblem(res, crossSite);
    else next();
  };
}

/**
 * If there is a Bearer token, even a bad one, cookies are ignored. Other schemes, and other content in cookies of these
 * names, belong to other software and are ignored too.
 */
function presentedTokens({ authorization = '', cookie = '' }: IncomingHttpHeaders): PresentedToken[] {
  const bearer = BEARER.exec(authorization);
  if (bearer) return [{ token: bearer[1]?.trim() ?? '', signedInBy: 'bearer' }];
  // The library returns only the first of several values of a name, so each pair is parsed alone.
  const cookies = cookie.split(';').map((pair) => parseCookie(pair));
  return COOKIE_NAMES.flatMap((name) => cookies.map((one) => tokenInCookie(one[name])))
    .filter((token) => token !== undefined)
    .slice(0, MOST_TOKENS)
    .map((token) => ({ token, signedInBy: 'cookie' }));
}

/** The cookie is base64 of `{"jwt": "…"}`; it is unsigned, so its content is untrusted. */
function tokenInCookie(value: string | undefined): string | undefined {
  if (!value || value.length > LONGEST_COOKIE) return undefined;
  let content: unknown;
  try {
    // Decodes the URL-safe alphabet too.
    content = JSON.parse(Buffer.from(value, 'base64').toString());
  } catch {
    return undefined;
  }
  if (typeof content !== 'object' || content === null || !('jwt' in content)) return undefined;
  return typeof content.jwt === 'string' ? content.jwt : undefined;
}
