import type { IncomingHttpHeaders } from 'node:http';
import { parseCookie } from 'cookie';
import type { RequestHandler } from 'express';
import { problem, sendProblem } from './problems';
import type { Problem } from './problems';
import type { VerifyToken } from './tokens';

/** Who is calling, and what told us so. */
export interface Session {
  readonly userId: string;
  readonly signedInBy: 'bearer' | 'cookie';
}

interface PresentedToken {
  readonly token: string;
  readonly signedInBy: Session['signedInBy'];
}

declare module 'express-serve-static-core' {
  interface Request {
    /** There on every route behind {@link signIn}. */
    session?: Session;
  }
}

const BEARER = 'bearer ';
/** `express:sess` is the name that cookie-session gives by default. */
const COOKIE_NAMES = ['session', 'express:sess'];
const LONGEST_COOKIE = 16 * 1024;
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

const notAuthorized: Problem = {
  ...problem(401, 'not-authorized', 'Not authorized'),
  headers: { 'WWW-Authenticate': 'Bearer' },
};
const crossSite = problem(403, 'cross-site', 'Another site may not change anything', 'Sec-Fetch-Site');

/** Lets in only whoever presents a token that can be trusted; everyone else gets 401. */
export function signIn(verifyToken: VerifyToken): RequestHandler {
  return function signInHandler(req, res, next) {
    for (const { token, signedInBy } of presentedTokens(req.headers)) {
      const userId = verifyToken(token);
      if (userId !== undefined) {
        req.session = { userId, signedInBy };
        next();
        return;
      }
    }
    sendProblem(res, notAuthorized);
  };
}

/** Browsers send cookies along with whatever another site makes them send; a Bearer token only a script can. */
export const refuseCrossSite: RequestHandler = (req, res, next) => {
  const byCookie = req.session?.signedInBy === 'cookie';
  if (byCookie && req.headers['sec-fetch-site'] === 'cross-site' && !SAFE_METHODS.has(req.method)) {
    sendProblem(res, crossSite);
  } else {
    next();
  }
};

/** An Authorization header, even a bad one, is what the caller wants to be known by: no cookie counts beside it. */
function presentedTokens(headers: IncomingHttpHeaders): PresentedToken[] {
  const { authorization, cookie } = headers;
  if (authorization !== undefined) {
    const token = bearerToken(authorization);
    return token === undefined ? [] : [{ token, signedInBy: 'bearer' }];
  }
  if (cookie === undefined) return [];
  const cookies = parseCookie(cookie);
  return COOKIE_NAMES.flatMap((name) => {
    const token = tokenInCookie(cookies[name]);
    return token === undefined ? [] : [{ token, signedInBy: 'cookie' }];
  });
}

function bearerToken(authorization: string): string | undefined {
  return authorization.slice(0, BEARER.length).toLowerCase() === BEARER
    ? authorization.slice(BEARER.length).trim()
    : undefined;
}

/** The cookie is base64 of `{"jwt": "…"}`; unsigned, so anybody could have written anything into it. */
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
