import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { build, type Histogram } from 'hdr-histogram-js';
import { Client } from 'undici';

/** Timers of Node are late by a millisecond or two: the rest is waited for without one. */
const TIMER_IS_LATE_MS = 2;
const LONGEST_MICROSECONDS = 60_000_000;

export interface Call {
  readonly method: 'GET' | 'POST';
  /** Path and query, from the root of the server. */
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
}

export interface LoadResult {
  readonly requests: number;
  /** From the first request to the last answer. */
  readonly seconds: number;
}

/** What is asked, and the only status that is expected: any other one ends the load with an error. */
export interface Asked {
  readonly origin: string;
  readonly status: number;
  /** The next request, or undefined when there are no more. */
  readonly next: () => Call | undefined;
}

/**
 * Closed loop: each connection sends its next request when the last one was answered, for so many seconds or until there
 * are no more requests.
 */
export async function closedLoop(
  { origin, status, next }: Asked,
  { connections, seconds }: { connections: number; seconds: number },
): Promise<LoadResult> {
  const clients = Array.from({ length: connections }, () => new Client(origin, { pipelining: 1 }));
  const startedAt = performance.now();
  const deadline = startedAt + seconds * 1000;
  let requests = 0;
  try {
    await Promise.all(
      clients.map(async (client) => {
        for (let call = next(); call !== undefined && performance.now() < deadline; call = next()) {
          await send(client, call, status);
          requests += 1;
        }
      }),
    );
    return { requests, seconds: (performance.now() - startedAt) / 1000 };
  } finally {
    await Promise.all(clients.map((client) => client.destroy()));
  }
}

/**
 * Open loop on one connection: a request is intended every `everyMs` milliseconds, whether or not the last one was
 * answered, and its latency counts from that moment. Resolves to the latencies in microseconds.
 */
export async function openLoop(
  { origin, status, next }: Asked,
  { everyMs, seconds }: { everyMs: number; seconds: number },
): Promise<Histogram> {
  const latencies = build({ highestTrackableValue: LONGEST_MICROSECONDS, numberOfSignificantValueDigits: 3 });
  const client = new Client(origin, { pipelining: 1 });
  const startedAt = performance.now();
  const count = Math.floor((seconds * 1000) / everyMs);
  const answers: Promise<void>[] = [];
  try {
    for (let i = 0; i < count; i += 1) {
      const intendedAt = startedAt + i * everyMs;
      await until(intendedAt);
      const call = next();
      if (call === undefined) break;
      const answer = send(client, call, status).then(() =>
        latencies.recordValue(Math.round((performance.now() - intendedAt) * 1000)),
      );
      answer.catch(() => {});
      answers.push(answer);
    }
    await Promise.all(answers);
    return latencies;
  } finally {
    await client.destroy();
  }
}

async function until(moment: number): Promise<void> {
  const left = moment - performance.now() - TIMER_IS_LATE_MS;
  if (left >= 1) await sleep(Math.floor(left));
  while (performance.now() < moment) await turn();
}

/** Resolves when the whole answer is there. */
function send(client: Client, { method, path, headers, body }: Call, expected: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let status = 0;
    client.dispatch(
      { method, path, headers, body: body ?? null },
      {
        onRequestStart() {},
        onResponseStart(_controller, statusCode) {
          status = statusCode;
        },
        onResponseData() {},
        onResponseEnd() {
          if (status === expected) resolve();
          else reject(new Error(`${method} ${path} answered ${status}, not ${expected}`));
        },
        onResponseError(_controller, error) {
          reject(error);
        },
      },
    );
  });
}
