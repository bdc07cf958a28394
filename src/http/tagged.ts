import type { Express, Request, Response } from 'express';
import { namesTag } from './entity-tags';

/**
 * Express would answer 304 by itself: to `If-None-Match: *` also where there is no tag, as for a probe; but not with
 * `Cache-Control: no-cache`, which the fetch() of browsers adds to If-None-Match. {@link sendTagged} replaces this.
 */
export function switchOffFreshness(app: Express): void {
  Object.defineProperty(app.request, 'fresh', { value: false });
}

/** Answers with the JSON text and its tag; with 304 if If-None-Match names the tag. */
export function sendTagged(
  req: Request,
  res: Response,
  { tag, body, cacheControl }: { tag: string; body: string; cacheControl: string },
): void {
  res.set({ ETag: tag, 'Cache-Control': cacheControl });
  if (namesTag(req.headers['if-none-match'], tag)) res.status(304).end();
  else res.type('json').send(body);
}
