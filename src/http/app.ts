import type { RequestListener } from 'node:http';
import express, { type IRoute, type RequestHandler } from 'express';
import helmet from 'helmet';
import type { Logger } from 'pino';
import { shareWith } from './cors';
import { exposeMetrics, logRequests, measureRequests, nameRoute, type HttpMetrics } from './observe';
import { serveOpenApi } from './openapi';
import { createOrderHandlers, type OrderUseCases } from './orders';
import { closeWhenDraining, livez, readyz, type Probes } from './probes';
import { listProblemTypes, showProblemType } from './problem-pages';
import {
  allowOnly,
  handleError,
  problem,
  problemsPath,
  refuseUnknownRoute,
  sayAllowed,
  sendProblem,
  setBasePath,
} from './problems';
import { limitRate } from './rate-limit';
import { refuseUnanswerable } from './refusals';
import { refuseCrossSite, signIn } from './session';
import { switchOffFreshness } from './tagged';
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

const READING = 'GET, HEAD, OPTIONS';
type AddReadOnly = (path: string, handler: RequestHandler) => void;

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
  setBasePath(app, basePath);
  switchOffFreshness(app);

  app.use(
    measureRequests(metrics),
    logRequests(deps.logger, ['/livez', '/readyz', '/metrics']),
    closeWhenDraining(probes),
    securityHeaders,
    ...shareWith(corsOrigins),
    refuseUnanswerable,
  );

  const readOnly: AddReadOnly = (path, handler) => route(path, READING).get(handler).all(allowOnly(READING));
  readOnly('/livez', livez);
  readOnly('/readyz', readyz(probes));
  readOnly('/metrics', exposeMetrics(metrics));
  addDocuments(readOnly, basePath);

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

/** What describes the API; without sign-in. */
function addDocuments(add: AddReadOnly, basePath: string): void {
  const openApi = serveOpenApi(basePath);
  // A proxy often forwards only the base path.
  for (const path of new Set(['/openapi.json', `${basePath}/openapi.json`])) add(path, openApi);
  add(problemsPath(basePath), listProblemTypes(basePath));
  add(`${problemsPath(basePath)}/:code`, showProblemType(basePath));
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

const notJson = problem('not-json', 'Content-Type');

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
