import cors from 'cors';
import type { RequestHandler } from 'express';

/** What a page may read of an answer besides its body. */
const EXPOSED = [
  'ETag',
  'Link',
  'Location',
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'WWW-Authenticate',
  'X-Request-Id',
];
const ACCEPTED = [
  'Authorization',
  'Content-Type',
  'Idempotency-Key',
  'If-Match',
  'If-None-Match',
  'X-Request-Id',
];
/** Browsers ask again after two hours at the latest. */
const PREFLIGHT_SECONDS = 7_200;

/**
 * Says on every answer, also on refusals, whether the pages of its Origin may read it: those of `origins` may, with
 * cookies; all others may not. Answers nothing itself: a preflight gets the answer of OPTIONS. Without `origins` it says
 * nothing.
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
