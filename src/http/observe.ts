import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import { stdSerializers, type LevelWithSilent, type Logger } from 'pino';
import { pinoHttp } from 'pino-http';
import type { SignInRefusal } from './session';

export interface HttpMetrics {
  /** `route` is the template, never the path, so it has few values. */
  readonly observe: (method: string, route: string, status: number, seconds: number) => void;
  /** The metrics of the whole service as text. */
  readonly expose: () => Promise<{ contentType: string; body: string }>;
}

declare module 'express-serve-static-core' {
  interface Request {
    /** By performance.now(). */
    startedAt?: number;
    /** The template of the route that matched. */
    routeTemplate?: string;
    /** The order that the request is about, once it is known. */
    orderId?: string;
    /** Why sign-in was refused. */
    signInRefused?: SignInRefusal;
  }
}

const UNMATCHED = 'unmatched';
/** As proxies log it: the client disconnected before the answer was sent. */
const CLIENT_CLOSED_REQUEST = 499;
const LONGEST_PATH = 200;
const ACCEPTABLE_REQUEST_ID = /^[\w.:-]{1,100}$/;

/** The first handler: time before it is not measured. */
export function measureRequests({ observe }: HttpMetrics): RequestHandler {
  return (req, res, next) => {
    req.startedAt = performance.now();
    res.once('close', () => {
      observe(req.method, req.routeTemplate ?? UNMATCHED, finalStatus(res), millisecondsOf(req) / 1000);
    });
    next();
  };
}

/** Stores the template in the request: after an error nothing else identifies the route. */
export function nameRoute(template: string): RequestHandler {
  return (req, _res, next) => {
    req.routeTemplate = template;
    next();
  };
}

/**
 * One flat log line per request, with the fields named below only: never a header or a body. Requests of the `quiet`
 * routes are logged at debug level, unless an error was thrown. Uses the caller's request id if it is acceptable, and
 * answers with the id used.
 */
export function logRequests(logger: Logger, quiet: readonly string[]): RequestHandler {
  const levelFor = ({ routeTemplate = '' }: Request, { err, statusCode }: Response): LevelWithSilent => {
    if (err) return statusCode === 503 ? 'warn' : 'error';
    return quiet.includes(routeTemplate) ? 'debug' : 'info';
  };

  return pinoHttp<Request, Response>({
    logger,
    genReqId(req, res) {
      const id = requestIdOf(req);
      res.setHeader('X-Request-Id', id);
      return id;
    },
    wrapSerializers: false,
    serializers: { req: () => undefined, err: stdSerializers.err },
    customLogLevel: levelFor,
    customSuccessObject: line,
    customErrorObject: (req, res) => ({ ...line(req, res), err: res.err }),
    customSuccessMessage: (_req, res) =>
      res.writableFinished ? 'request answered' : 'client closed the connection',
    customErrorMessage: () => 'request failed',
  });
}

export function exposeMetrics({ expose }: HttpMetrics): RequestHandler {
  return async (_req, res) => {
    const { contentType, body } = await expose();
    res.set({ 'Content-Type': contentType, 'Cache-Control': 'no-store' }).send(body);
  };
}

function line(req: Request, res: Response): object {
  return {
    requestId: req.id,
    userId: req.session?.userId,
    signInRefused: req.signInRefused,
    orderId: req.orderId,
    method: req.method,
    route: req.routeTemplate ?? UNMATCHED,
    path: req.routeTemplate === undefined ? req.path.slice(0, LONGEST_PATH) : undefined,
    status: finalStatus(res),
    durationMs: Math.round(millisecondsOf(req) * 10) / 10,
  };
}

function requestIdOf({ headers }: IncomingMessage): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && ACCEPTABLE_REQUEST_ID.test(given) ? given : randomUUID();
}

function finalStatus(res: ServerResponse): number {
  return res.writableFinished ? res.statusCode : CLIENT_CLOSED_REQUEST;
}

function millisecondsOf({ startedAt }: Request): number {
  return startedAt === undefined ? 0 : performance.now() - startedAt;
}
