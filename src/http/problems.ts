import { STATUS_CODES } from 'node:http';
import type { Application, ErrorRequestHandler, RequestHandler, Response } from 'express';
import { Unavailable } from '../application/ports';
import { PROBLEM_TYPES, type ProblemCode } from './problem-types';

/** One error of the request. `field`: the part of the request that is wrong. */
export interface ProblemError {
  readonly message: string;
  readonly field?: string;
}

/** An RFC 9457 problem. Holds only what a client may see. */
export interface Problem {
  readonly code: ProblemCode;
  readonly status: number;
  readonly title: string;
  /** More details than the title. */
  readonly detail?: string;
  readonly errors: readonly ProblemError[];
  readonly extensions?: { readonly orderId?: string; readonly price?: number };
  readonly headers?: Readonly<Record<string, string>>;
}

const PROBLEM_JSON = 'application/problem+json';
const RETRY_AFTER_SECONDS = '2';

/** A problem of this type, without details. `field`: the part of the request that is wrong. */
export function problem(code: ProblemCode, field?: string): Problem {
  const { status, title } = PROBLEM_TYPES[code];
  return {
    code,
    status,
    title,
    errors: [field === undefined ? { message: title } : { message: title, field }],
  };
}

const malformedPath = problem('malformed-path');
const notFound = problem('no-such-route');
const internalError = problem('internal-error');
const unavailable: Problem = {
  ...problem('unavailable'),
  headers: { 'Retry-After': RETRY_AFTER_SECONDS },
};

/** By the error types of express.json(). */
const bodyProblems = new Map<unknown, Problem>([
  ['entity.parse.failed', problem('malformed-json', 'body')],
  ['entity.too.large', problem('body-too-large', 'body')],
  ['encoding.unsupported', problem('unsupported-encoding', 'Content-Encoding')],
  ['charset.unsupported', problem('unsupported-charset', 'Content-Type')],
  // Nobody reads it: the connection was refused with the same problem, or is gone.
  ['request.aborted', problem('malformed-request')],
]);

/** The path of the pages of problem types: what the `type` of a problem begins with. */
export function problemsPath(basePath: string): string {
  return `${basePath}/problems`;
}

/** Must be called for each app that answers with problems. */
export function setBasePath(app: Application, basePath: string): void {
  app.locals['basePath'] = basePath;
}

/** Answers with the problem. All errors of this service are sent here, or with {@link problemAnswer}. */
export function sendProblem(res: Response, problem: Problem): void {
  res
    .status(problem.status)
    .set({ ...problem.headers, 'Content-Type': PROBLEM_JSON, 'Cache-Control': 'no-store' })
    .json(documentOf(problem, res.app.locals['basePath'] as string, res.get('X-Request-Id')));
}

/** The complete answer as text, the last one of its connection: used where there is no response object. */
export function problemAnswer(problem: Problem, basePath: string, requestId: string): string {
  const { status, headers } = problem;
  const body = JSON.stringify(documentOf(problem, basePath, requestId));
  const fields = {
    ...headers,
    'Content-Type': `${PROBLEM_JSON}; charset=utf-8`,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'X-Request-Id': requestId,
    Connection: 'close',
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`;
}

function documentOf(problem: Problem, basePath: string, requestId?: string): object {
  const { errors, extensions, headers: _, ...members } = problem;
  return {
    type: `${problemsPath(basePath)}/${problem.code}`,
    ...members,
    ...(requestId === undefined ? {} : { instance: `urn:request:${requestId}` }),
    ...extensions,
    errors,
  };
}

/** The last route: no other matched the request. */
export const refuseUnknownRoute: RequestHandler = (_req, res) => sendProblem(res, notFound);

/** The route exists, but only for `methods`. */
export function methodNotAllowed(methods: string): Problem {
  return {
    ...problem('method-not-allowed'),
    headers: { Allow: methods },
  };
}

/** The answer to OPTIONS. */
export function sayAllowed(methods: string): RequestHandler {
  return (_req, res) => void res.status(204).set('Allow', methods).end();
}

/** The last handler of a route: it exists, but not for this method. */
export function allowOnly(methods: string): RequestHandler {
  const refusal = methodNotAllowed(methods);
  return (_req, res) => sendProblem(res, refusal);
}

/**
 * Turns any thrown error into a problem. The client gets no details of an unexpected error; `res.err` adds it to the
 * log line of the request.
 */
export const handleError: ErrorRequestHandler = (error: unknown, _req, res, _next) => {
  const known = toProblem(error);
  if (known.status >= 500) res.err = error instanceof Error ? error : new Error(String(error));
  // An answer that has begun can only be aborted.
  if (res.headersSent) res.destroy();
  else sendProblem(res, known);
};

function toProblem(error: unknown): Problem {
  if (error instanceof Unavailable) return unavailable;
  if (error instanceof URIError) return malformedPath;
  if (error instanceof Error && 'type' in error) return bodyProblems.get(error.type) ?? internalError;
  return internalError;
}
