import { isUnfinished, type HostileRequest } from './requests';
import type { Answer, Exchange } from './wire';

/** Anything of the inside that an answer could give away. */
const INTERNALS = /node_modules|node:internal|\bat \S+ \(|\.[jt]s:\d+|\/src\/|\/dist\//;
const PROBE = /^(?:http:\/\/[^/]+)?\/(livez|readyz|metrics)\b/i;

/** Throws unless it is an answer that this request may get. Not by expect(), which takes longer than a request. */
export function checkAnswer(request: HostileRequest, answer: Answer | undefined): void {
  const wrong = answer === undefined ? 'there is no answer' : whatIsWrong(request, answer);
  if (wrong !== undefined) throw failure(request, wrong, answer);
}

/** Like {@link checkAnswer}; who hangs up in the middle of a request gets no answer, but not half of one either. */
export function checkRefusal(request: HostileRequest, { answers, text }: Exchange): void {
  const [answer] = answers;
  if (text === '' && isUnfinished(request)) return;
  if (text !== '' && answer === undefined) throw failure(request, 'half an answer', text);
  checkAnswer(request, answer);
}

function whatIsWrong(request: HostileRequest, answer: Answer): string | undefined {
  const { status, headers, body } = answer;
  if (status < 200 || status >= 500) return 'the status is not one that a client can have caused';
  if (headers['x-request-id'] === undefined) return 'it is not ours';
  if (headers['x-injected'] !== undefined) return 'a header was injected';
  if (INTERNALS.test(body)) return 'it shows something of the inside';
  if (status >= 400) return whatIsWrongWithProblem(request, answer);
  if (body === '' || PROBE.test(request.target)) return undefined;
  return ordersIn(body).every(({ userId }) => request.users.includes(userId))
    ? undefined
    : 'it shows an order to somebody else';
}

function whatIsWrongWithProblem(
  { method }: HostileRequest,
  { status, headers, body }: Answer,
): string | undefined {
  if (headers['content-type'] !== 'application/problem+json; charset=utf-8') return 'it is no problem+json';
  if (method === 'HEAD') return undefined;
  const problem = JSON.parse(body) as { status?: unknown; errors?: { message?: unknown }[] };
  if (problem.status !== status) return 'the statuses differ';
  const { errors = [] } = problem;
  if (errors.length === 0 || !errors.every(({ message }) => typeof message === 'string'))
    return 'it has no errors';
  return undefined;
}

function ordersIn(body: string): { userId: string }[] {
  return [JSON.parse(body)].flat() as { userId: string }[];
}

function failure({ method, target, headers, body }: HostileRequest, wrong: string, answer: unknown): Error {
  const request = { method, target, headers, body: body.toString('latin1') };
  return new Error(`${wrong}: ${JSON.stringify({ request, answer }, undefined, 2)}`);
}
