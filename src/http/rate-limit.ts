import type { RequestHandler } from 'express';
import { rateLimit } from 'express-rate-limit';
import { problem, sendProblem } from './problems';

const WINDOW_MS = 60_000;
const tooManyRequests = problem('too-many-requests');

/** Limits the requests of each user on this replica. Must come after sign-in. `perMinute` 0 switches it off. */
export function limitRate(perMinute: number): RequestHandler[] {
  if (perMinute === 0) return [];
  return [
    rateLimit({
      windowMs: WINDOW_MS,
      limit: perMinute,
      standardHeaders: 'draft-7',
      legacyHeaders: false,
      keyGenerator: (req) => req.session?.userId ?? '',
      handler: (_req, res) => sendProblem(res, tooManyRequests),
    }),
  ];
}
