import { randomUUID } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestHandler } from 'express';
import { methodNotAllowed, problem, problemAnswer, sendProblem, type Problem } from './problems';

/** A request that was refused before it reached a handler. */
export interface Refusal {
  readonly requestId: string;
  readonly status: number;
  /** Node's error code. */
  readonly code: string | undefined;
}

const malformed = problem('malformed-request');
const tooSlow = problem('request-timeout');
const headersTooLarge = problem('headers-too-large');
const extensionsTooLarge = problem('chunk-extensions-too-large');
const noProxy = methodNotAllowed('GET, HEAD, POST, DELETE, OPTIONS');
const missingHost: Problem = {
  ...problem('missing-host', 'Host'),
  headers: { Connection: 'close' },
};
const unknownExpectation = problem('unknown-expectation', 'Expect');

/** By Node's error code. */
const problems = new Map<string | undefined, Problem>([
  ['HPE_HEADER_OVERFLOW', headersTooLarge],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', extensionsTooLarge],
  ['ERR_HTTP_REQUEST_TIMEOUT', tooSlow],
]);

/** The same pattern as in Node. */
const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i;

/** A request and its answer. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/**
 * Requests that Node itself refuses, with a bare status line, get a problem document like any other. It comes after the
 * answers to earlier requests of the connection, never into the middle of one, and never as a second one.
 */
export function refuseAsProblems(
  server: Server,
  deps: {
    basePath: string;
    /** The exchanges of the connection whose body or answer is incomplete, oldest first. */
    inFlight: (socket: Socket) => Iterable<Exchange>;
    onRefused: (refusal: Refusal) => void;
  },
): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const { code } = error;
    // Node starts the first request's timeout at the connection, and again at the first byte: the former is ignored.
    if (code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0) return;

    const all = [...deps.inFlight(socket)];
    const isAnswered = ({ req, res }: Exchange) => !req.complete && res.headersSent;
    const end = () => {
      if (all.some(isAnswered)) socket.destroy();
      else refuse(socket, problems.get(code) ?? malformed, code);
    };
    const before = all.filter(({ req, res }) => (req.complete || res.headersSent) && !res.closed).at(-1);
    if (!before) {
      end();
      return;
    }
    // Further data is not read: it must not keep the connection alive.
    socket.pause();
    before.res.once('close', end);
  });

  server.on('connect', ({ socket }: IncomingMessage) => {
    socket.on('error', () => {});
    const [first] = deps.inFlight(socket);
    if (first) socket.destroy();
    else refuse(socket, noProxy, 'CONNECT');
  });

  function refuse(socket: Socket, problem: Problem, code: string | undefined): void {
    if (socket.writable) {
      const requestId = randomUUID();
      socket.write(problemAnswer(problem, deps.basePath, requestId));
      deps.onRefused({ requestId, status: problem.status, code });
    }
    socket.destroy();
  }
}

/** The checks that Node leaves to the handler, as `createHttpServer` asks it to. */
export const refuseUnanswerable: RequestHandler = ({ httpVersion, headers }, res, next) => {
  const { host, expect } = headers;
  if (httpVersion !== '1.1') next();
  else if (host === undefined) sendProblem(res, missingHost);
  else if (expect !== undefined && !CONTINUE.test(expect)) sendProblem(res, unknownExpectation);
  else next();
};
