import { STATUS_CODES } from 'node:http';
import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import { Unavailable } from '../application/ports';

/** One error of the request. `field`: the part of the request that is wrong. */
export interface ProblemError {
  readonly message: string;
  readonly field?: string;
}

/** An RFC 9457 problem. Holds only what a client may see. */
export interface Problem {
  readonly type: string;
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

/** A problem that needs no more than a title. */
export function problem(status: number, name: string, title: string, field?: string): Problem {
  return {
    type: `urn:order-service:problem:${name}`,
    status,
    title,
    errors: [field === undefined ? { message: title } : { message: title, field }],
  };
}

const malformedPath = problem(400, 'malformed-path', 'The path is not properly percent-encoded');
const malformedJson = problem(400, 'malformed-json', 'The body is not valid JSON', 'body');
const incompleteBody = problem(400, 'incomplete-body', 'The body is not as long as announced', 'body');
const notFound = problem(404, 'no-such-route', 'Not found');
const bodyTooLarge = problem(413, 'body-too-large', 'The body is larger than 10 kB', 'body');
const unsupportedCharset = problem(415, 'unsupported-charset', 'The body must be UTF-8', 'Content-Type');
const unsupportedEncoding = problem(
  415,
  'unsupported-encoding',
  'The body must not be compressed',
  'Content-Encoding',
);
const internalError = problem(500, 'internal-error', 'Something went wrong on our side');
const unavailable: Problem = {
  ...problem(503, 'unavailable', 'The service cannot answer right now; trying again is safe'),
  headers: { 'Retry-After': RETRY_AFTER_SECONDS },
};

/** By the error types of express.json(). */
const bodyProblems = new Map<unknown, Problem>([
  ['entity.parse.failed', malformedJson],
  ['entity.too.large', bodyTooLarge],
  ['encoding.unsupported', unsupportedEncoding],
  ['charset.unsupported', unsupportedCharset],
  ['request.aborted', incompleteBody],
]);

/** Answers with the problem. All errors of this service are sent here, or with {@link problemAnswer}. */
export function sendProblem(res: Response, problem: Problem): void {
  res
    .status(problem.status)
    .set({ ...problem.headers, 'Content-Type': PROBLEM_JSON, 'Cache-Control': 'no-store' })
    .json(documentOf(problem, res.get('X-Request-Id')));
}

/** The complete answer as text, the last one of its connection: used where there is no response object. */
export function problemAnswer(problem: Problem, requestId: string): string {
  const { status, headers } = problem;
  const body = JSON.stringify(documentOf(problem, requestId));
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

function documentOf({ errors, extensions, headers: _, ...rest }: Problem, requestId?: string): object {
  return {
    ...rest,
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
    ...problem(405, 'method-not-allowed', 'This method is not allowed here'),
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
