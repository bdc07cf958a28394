import type { RequestListener } from 'node:http';
import express, { type IRoute, type RequestHandler } from 'express';
import helmet from 'helmet';
import type { Logger } from 'pino';
import { shareWith } from './cors';
import { exposeMetrics, logRequests, measureRequests, nameRoute, type HttpMetrics } from './observe';
import { createOrderHandlers, type OrderUseCases } from './orders';
import { closeWhenDraining, livez, readyz, type Probes } from './probes';
import { allowOnly, handleError, problem, refuseUnknownRoute, sayAllowed, sendProblem } from './problems';
import { limitRate } from './rate-limit';
import { refuseUnanswerable } from './refusals';
import { refuseCrossSite, signIn } from './session';
import { createTokenVerifier, type TokenSettings } from './tokens';
import { validateCancelling, validateListing, validatePlacing, validateShowing } from './validation';

export interface AppDeps {
  /** The path of the orders, without a slash at the end: empty for the root. */
  readonly basePath: string;
  readonly useCases: OrderUseCases;
  readonly session: TokenSettings;
  /** The origins whose pages may use this API with their users' cookies; browsers block all others. */
  readonly corsOrigins: readonly string[];
  /** Per user; 0 switches the limit off. */
  readonly rateLimitPerMinute: number;
  readonly probes: Probes;
  readonly metrics: HttpMetrics;
  readonly logger: Logger;
}

/** The HTTP API: the whole route table. */
export function createApp(deps: AppDeps): RequestListener {
  const { basePath, corsOrigins, probes, metrics } = deps;
  const orders = createOrderHandlers(deps.useCases, basePath);
  const signedIn = [
    signIn(createTokenVerifier(deps.session)),
    refuseCrossSite(corsOrigins),
    ...limitRate(deps.rateLimitPerMinute),
  ];

  const app = express();
  const route = (path: string, methods: string): IRoute =>
    app.route(path).all(nameRoute(path)).options(sayAllowed(methods));
  app.set('etag', false).disable('x-powered-by');

  app.use(
    measureRequests(metrics),
    logRequests(deps.logger, ['/livez', '/readyz', '/metrics']),
    closeWhenDraining(probes),
    securityHeaders,
    ...shareWith(corsOrigins),
    refuseUnanswerable,
  );

  const reading = 'GET, HEAD, OPTIONS';
  route('/livez', reading).get(livez).all(allowOnly(reading));
  route('/readyz', reading).get(readyz(probes)).all(allowOnly(reading));
  route('/metrics', reading).get(exposeMetrics(metrics)).all(allowOnly(reading));

  const ofAll = 'GET, HEAD, POST, OPTIONS';
  route(basePath || '/', ofAll)
    .all(signedIn)
    .get(validateListing, orders.list)
    .post(requireJson, parseJson, validatePlacing, orders.place)
    .all(allowOnly(ofAll));
  const ofOne = 'GET, HEAD, DELETE, OPTIONS';
  route(`${basePath}/:orderId`, ofOne)
    .all(signedIn)
    .get(validateShowing, orders.show)
    .delete(validateCancelling, orders.cancel)
    .all(allowOnly(ofOne));

  app.use(refuseUnknownRoute);
  app.use(handleError);

  return function listener(req, res) {
    req.url = toPath(req.url ?? '/');
    app(req, res);
  };
}

/** The security headers of an API: browsers must not render, frame or sniff anything. */
const securityHeaders: RequestHandler = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
  },
  // The TLS proxy decides this: it knows whether the whole host is reachable over TLS only.
  strictTransportSecurity: false,
  referrerPolicy: { policy: 'no-referrer' },
  crossOriginOpenerPolicy: false,
  originAgentCluster: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xPoweredBy: false,
  xXssProtection: false,
});

const notJson = problem(415, 'not-json', 'Content-Type must be application/json', 'Content-Type');

/** A body of another type is refused unread; a request without a body is left to the validation. */
const requireJson: RequestHandler = (req, res, next) => {
  const isOther = req.is('application/json') === false && req.headers['content-length'] !== '0';
  if (isOther) sendProblem(res, notJson);
  else next();
};

// A body has about 50 bytes: there is no reason to compress it.
const parseJson = express.json({ limit: '10kb', inflate: false, type: () => true });

/**
 * If the request target is not a path, Express skips every handler, even the last, and answers the request itself,
 * unlogged.
 */
function toPath(target: string): string {
  if (target.startsWith('/')) return target;
  const path = target.replace(/^https?:\/\/[^/?]+/i, '');
  return path.startsWith('/') ? path : '/';
}
