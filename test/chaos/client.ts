import { Agent, request } from 'node:http';
import { tokenFor } from '../support/service-process';
import { CLIENT_CONNECTIONS, type Invoke } from './history';
import type { Replica } from './marketplace';
import type { Recorder } from './recorder';

/** After this long nobody waits any more: the outcome is unknown then. */
const PATIENCE_MS = 5_000;

export interface Outcome {
  /** 0 where no answer came. */
  readonly status: number;
  readonly orderId?: string;
  readonly order?: { readonly id: string; readonly version: number; readonly status: string };
}

export type Operation = Omit<Invoke, 'kind' | 't' | 'call' | 'replica'>;

/** Calls the API and writes down what was asked and what was answered. Never rejects. */
export type Call = (replica: Replica, operation: Operation) => Promise<Outcome>;

export function createClient(recorder: Recorder): Call & { close(): void } {
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENT_CONNECTIONS });
  const tokens = new Map<string, string>();
  let calls = 0;

  async function call(replica: Replica, operation: Operation): Promise<Outcome> {
    const number = (calls += 1);
    recorder.record({ kind: 'invoke', call: number, replica: replica.name, ...operation });
    const { status, text } = await send(replica, operation);
    const outcome = { status, ...read(operation, status, text) };
    recorder.record({
      kind: 'answer',
      call: number,
      status,
      ...(outcome.orderId === undefined ? {} : { orderId: outcome.orderId }),
      ...(status === 201 ? { body: text } : {}),
      ...(outcome.order ? { order: { version: outcome.order.version, status: outcome.order.status } } : {}),
    });
    recorder.hit(`answer: ${operation.op} ${status === 0 ? 'none' : status}`);
    return outcome;
  }

  function send(replica: Replica, operation: Operation): Promise<{ status: number; text: string }> {
    const { method, path, body } = toRequest(operation);
    return new Promise((resolve) => {
      const unknown = (): void => resolve({ status: 0, text: '' });
      const sending = request(
        `${replica.url}/api/v1/orders${path}`,
        {
          method,
          agent,
          signal: AbortSignal.timeout(PATIENCE_MS),
          headers: {
            authorization: `Bearer ${tokenOf(operation.user)}`,
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
            ...(operation.key === undefined ? {} : { 'idempotency-key': operation.key }),
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', unknown);
          response.on('close', () => {
            if (!response.complete) unknown();
            else resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
          });
        },
      );
      sending.on('error', unknown);
      sending.end(body);
    });
  }

  function tokenOf(user: string): string {
    const token = tokens.get(user) ?? tokenFor(user);
    tokens.set(user, token);
    return token;
  }

  return Object.assign(call, { close: () => agent.destroy() });
}

function toRequest({ op, ticketId, orderId }: Operation): { method: string; path: string; body?: string } {
  switch (op) {
    case 'place':
      return { method: 'POST', path: '', body: JSON.stringify({ ticketId }) };
    case 'cancel':
      return { method: 'DELETE', path: `/${orderId}` };
    case 'show':
      return { method: 'GET', path: `/${orderId}` };
    case 'list':
      return { method: 'GET', path: '?limit=20' };
  }
}

function read({ op }: Operation, status: number, text: string): Omit<Outcome, 'status'> {
  if (status === 409) {
    const { orderId } = parse<{ orderId?: string }>(text);
    return orderId === undefined ? {} : { orderId };
  }
  if (status !== 201 && (status !== 200 || op === 'list')) return {};
  const { id, version, status: state } = parse<NonNullable<Outcome['order']>>(text);
  if (id === undefined || version === undefined || state === undefined) return {};
  return { orderId: id, order: { id, version, status: state } };
}

/** What cannot be read names nothing: the checker finds that no order is there. */
function parse<T extends object>(text: string): Partial<T> {
  try {
    return JSON.parse(text) as Partial<T>;
  } catch {
    return {};
  }
}
