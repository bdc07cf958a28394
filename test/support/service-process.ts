import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import jwt from 'jsonwebtoken';

export const JWT_KEY = 'a key for tests, long enough for HS256 to be safe';

export type ServiceProcess = Awaited<ReturnType<typeof startService>>;

/** The built service as a process of its own, listening on a free port. */
export async function startService(
  env: Record<string, string>,
  program: readonly string[] = ['dist/main.js'],
) {
  const child = spawn(process.execPath, program, {
    cwd: join(__dirname, '../..'),
    env: {
      PATH: process.env['PATH'],
      NODE_ENV: 'production',
      HOST: '127.0.0.1',
      PORT: '0',
      JWT_KEY,
      // The shortest that keep the rule between them.
      REDELIVERY_WAIT_SECONDS: '1',
      CATCH_UP_SECONDS: '2',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const ended = once(child, 'exit').then(
    ([code, signal]) => (code ?? signal) as number | NodeJS.Signals | null,
  );
  const port = await new Promise<number>((resolve, reject) => {
    void ended.then((how) => reject(new Error(`the service ended with ${how}: ${lines.join('\n')}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      if (line.includes('"listening"')) resolve((JSON.parse(line) as { port: number }).port);
    });
  });
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    process: child,
    /** Every line it printed so far. */
    lines: lines as readonly string[],
    ready: async (): Promise<boolean> => {
      const response = await fetch(`${url}/readyz`).catch(() => undefined);
      const body = (await response?.json()) as { status?: string } | undefined;
      return body?.status === 'ready';
    },
    /** Resolves to the exit code, or the signal that ended it. */
    kill: async (signal: NodeJS.Signals) => {
      child.kill(signal);
      return ended;
    },
  };
}

/** As the auth service would sign it. */
export function tokenFor(userId: string): string {
  return jwt.sign({ id: userId, email: `${userId}@example.com` }, JWT_KEY);
}

export interface OrderBody {
  id: string;
  version: number;
  status: string;
  reason?: string;
  userId: string;
  ticket: { id: string; title: string; price: number };
}

export type OrdersClient = ReturnType<typeof ordersClient>;

/** The API as one user sees it. */
export function ordersClient(url: string, userId: string) {
  const token = tokenFor(userId);
  const call = async (method: string, path: string, body?: unknown, headers?: Record<string, string>) => {
    const response = await fetch(`${url}/api/v1/orders${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: (text ? JSON.parse(text) : undefined) as OrderBody };
  };
  return {
    place: (ticketId: string, headers?: Record<string, string>) => call('POST', '', { ticketId }, headers),
    show: (orderId: string, headers?: Record<string, string>) =>
      call('GET', `/${orderId}`, undefined, headers),
    cancel: (orderId: string) => call('DELETE', `/${orderId}`),
  };
}
