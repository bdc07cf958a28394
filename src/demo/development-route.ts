import type { RequestListener } from 'node:http';
import express, { type RequestHandler } from 'express';
import {
  allowOnly,
  handleError,
  problem,
  refuseUnknownRoute,
  sendProblem,
  setBasePath,
} from '../http/problems';

const ROUTE = '/development/events/:subject';
/** Subjects that the other services publish. */
const SUBJECTS = ['ticket:created', 'ticket:updated', 'payment:created', 'expiration:complete'];
const LOOPBACK = /^(::1|(::ffff:)?127\.[\d.]+)$/;
/** Only browsers and proxies send these: either may act for somebody on another machine. */
const SENT_FOR_OTHERS = ['origin', 'sec-fetch-site', 'forwarded', 'via', 'x-forwarded-for'];

const notFromHere = problem('not-from-here');
const notJson = problem('not-json', 'Content-Type');

/**
 * Adds a route to the app that plays the other services on the embedded broker: `POST
 * /development/events/ticket:created` publishes the body under this subject. It can sell, pay and expire anything
 * without sign-in, so it is for programs on this machine only, and is never mounted with a real store or broker.
 */
export function withDevelopmentRoute(
  app: RequestListener,
  publish: (subject: string, data: string) => Promise<void>,
  basePath: string,
): RequestListener {
  const development = express().disable('x-powered-by').set('etag', false);
  setBasePath(development, basePath);
  development
    .route(ROUTE)
    .all(refuseOthers)
    .post(requireJson, express.json({ limit: '100kb', inflate: false }), async (req, res, next) => {
      const { subject } = req.params;
      if (!SUBJECTS.includes(subject)) return next();
      await publish(subject, JSON.stringify(req.body));
      res.sendStatus(202);
    })
    .post(refuseUnknownRoute)
    .all(allowOnly('POST'));
  development.use(refuseUnknownRoute);
  development.use(handleError);

  return (req, res) => {
    if (req.url?.startsWith('/development/events/')) development(req, res);
    else app(req, res);
  };
}

const refuseOthers: RequestHandler = (req, res, next) => {
  const isFromHere =
    LOOPBACK.test(req.socket.remoteAddress ?? '') && !SENT_FOR_OTHERS.some((name) => name in req.headers);
  if (isFromHere) next();
  else sendProblem(res, notFromHere);
};

/** A page of another site could send any other type without a preflight. */
const requireJson: RequestHandler = (req, res, next) => {
  if (req.is('application/json') === false) sendProblem(res, notJson);
  else next();
};
