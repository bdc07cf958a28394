import cors from 'cors';
import type { RequestHandler } from 'express';

/** Response headers that a page may read. */
const EXPOSED = [
  'ETag',
  'Link',
  'Location',
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'WWW-Authenticate',
  'X-Request-Id',
  'X-Total-Count',
];
const ACCEPTED = [
  'Authorization',
  'Content-Type',
  'Idempotency-Key',
  'If-Match',
  'If-None-Match',
  'X-Request-Id',
];
/** Browsers repeat a preflight after two hours at the latest. */
const PREFLIGHT_SECONDS = 7_200;

/**
 * Adds CORS headers to every answer, also to refusals: pages of `origins` may read it, with cookies; all others may
 * not. Answers nothing itself: a preflight gets the answer of OPTIONS. Without `origins` it does nothing.
 */
export function shareWith(origins: readonly string[]): RequestHandler[] {
  if (origins.length === 0) return [];
  const share = cors({
    origin: [...origins],
    credentials: true,
    methods: ['GET', 'HEAD', 'POST', 'DELETE'],
    allowedHeaders: ACCEPTED,
    exposedHeaders: EXPOSED,
    maxAge: PREFLIGHT_SECONDS,
    preflightContinue: true,
  });
  return [
    (req, res, next) => {
      res.vary('Origin');
      if (origins.includes(req.headers.origin ?? '')) share(req, res, next);
      else next();
    },
  ];
}
