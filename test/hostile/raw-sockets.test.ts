import { once } from 'node:events';
import type { Socket } from 'node:net';
import { eventually } from '../support/eventually';
import { BASE_PATH, tokenOf } from '../support/http-app';
import { JWT_KEY, startService, type ServiceProcess } from '../support/service-process';
import { sumOfSeries } from '../support/series';
import { exchange, open } from './wire';

/** What the server allows, and a lot for a machine that is busy. */
const HEADERS_WITHIN_MS = 5_000 + 10_000;
const REQUEST_WITHIN_MS = 10_000 + 10_000;
const ANSWER_WITHIN_MS = 10_000;
const MEMORY_ALLOWANCE_BYTES = 200 * 1024 * 1024;

const ORDER = { ticketId: '5f5f5f5f5f5f5f5f5f5f5f5f' };
const token = tokenOf('user-1', { key: JWT_KEY });

describe('a client that does not speak HTTP as it should', () => {
  let service: ServiceProcess;
  let port: number;

  beforeAll(async () => {
    service = await startService({ NODE_ENV: 'test', RATE_LIMIT_PER_MINUTE: '0', LOG_FORMAT: 'json' });
    port = Number(new URL(service.url).port);
  });

  afterAll(async () => {
    await service.kill('SIGKILL');
  });

  /** However it was treated, the others are served, nothing is taken for a mistake of ours, and memory is bounded. */
  afterEach(async () => {
    expect(await othersAreServed()).toBe(200);
    expect(service.lines.filter((line) => /"level":"(error|fatal)"/.test(line))).toEqual([]);
    expect(await residentBytes()).toBeLessThan(residentAtFirst + MEMORY_ALLOWANCE_BYTES);
  });

  let residentAtFirst: number;
  beforeAll(async () => {
    residentAtFirst = await residentBytes();
  });

  async function residentBytes(): Promise<number> {
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    return sumOfSeries(metrics, 'process_resident_memory_bytes');
  }

  async function othersAreServed(): Promise<number> {
    const answer = await fetch(`${service.url}${BASE_PATH}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    await answer.text();
    return answer.status;
  }

  const openAll = (count: number): Promise<Socket[]> =>
    Promise.all(Array.from({ length: count }, () => open(port)));

  async function allEnd(sockets: readonly Socket[], withinMs: number): Promise<void> {
    await Promise.all(
      sockets.map(async (socket) => {
        const signal = AbortSignal.timeout(withinMs);
        socket.resume();
        // A reset is an end too.
        while (!socket.closed) await once(socket, 'close', { signal }).catch(() => signal.throwIfAborted());
      }),
    );
  }

  /** One byte after the other; the others are served meanwhile. */
  async function dripUntilCutOff(sockets: readonly Socket[], byte: string, withinMs: number): Promise<void> {
    const drip = setInterval(() => sockets.forEach((socket) => socket.writable && socket.write(byte)), 500);
    try {
      expect(await othersAreServed()).toBe(200);
      await allEnd(sockets, withinMs);
    } finally {
      clearInterval(drip);
    }
  }

  function headOf(method: string, headers: readonly string[], target = BASE_PATH): string {
    return [`${method} ${target} HTTP/1.1`, 'Host: orders', ...headers, '', ''].join('\r\n');
  }

  function headOfPlacing(bytes: number, ...more: readonly string[]): string {
    const type = 'Content-Type: application/json';
    return headOf('POST', [`Authorization: Bearer ${token}`, type, `Content-Length: ${bytes}`, ...more]);
  }

  /** The status of the first answer to these bytes; 0 where the connection was closed without one. */
  async function statusOf(bytes: string | Buffer, end = false): Promise<number> {
    const sent = { bytes: Buffer.from(bytes), end };
    const { answers } = await exchange(port, sent, REQUEST_WITHIN_MS);
    return answers[0]?.status ?? 0;
  }

  it('that drips its headers is cut off, however many of them there are', async () => {
    const sockets = await openAll(200);
    for (const socket of sockets) socket.write(`GET ${BASE_PATH} HTTP/1.1\r\nHost: orders\r\nX-Slow: `);
    await dripUntilCutOff(sockets, 'x', HEADERS_WITHIN_MS);
  }, 60_000);

  it('that connects and says nothing is cut off, however many of them there are', async () => {
    const sockets = await openAll(500);
    expect(await othersAreServed()).toBe(200);
    await allEnd(sockets, HEADERS_WITHIN_MS);
  }, 60_000);

  it('that drips its body is cut off', async () => {
    const sockets = await openAll(50);
    for (const socket of sockets) socket.write(`${headOfPlacing(1_000)}{"ticketId":"`);
    await dripUntilCutOff(sockets, '5', REQUEST_WITHIN_MS);
  }, 60_000);

  it.each([
    ['Host', ['Host: other', 'Connection: close'], [200, 400, 401]],
    ['Authorization', [`Authorization: Bearer ${token}`, 'Authorization: Bearer other'], [200, 401]],
    ['Content-Type', ['Content-Type: text/plain', 'Content-Type: application/json'], [200, 401]],
  ])('gets an ordinary answer to a repeated %s', async (_, headers, statuses) => {
    expect(statuses).toContain(await statusOf(headOf('GET', [...headers, 'Connection: close'])));
  });

  it('is refused a body that is too large, at the latest when it had its time to send it', async () => {
    const head = headOfPlacing(1_000_000_000, 'Connection: close');
    expect([408, 413]).toContain(await statusOf(`${head}{"ticketId":"`));
  }, 30_000);

  it('is told of no order when it hangs up in the middle of the body', async () => {
    const body = JSON.stringify(ORDER);
    const halfway = `${headOfPlacing(body.length)}${body.slice(0, 20)}`;
    expect([0, 400]).toContain(await statusOf(halfway, true));
    const reset = await open(port);
    reset.write(headOfPlacing(body.length, 'Expect: 100-continue', 'X-Request-Id: reset'));
    // The service has taken the request, and waits for its body.
    const [go] = (await once(reset, 'data')) as [Buffer];
    expect(go.toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    reset.write(body.slice(0, 20));
    reset.resetAndDestroy();
    const line = await eventually(() => {
      const found = service.lines.find((text) => text.includes('"requestId":"reset"'));
      expect(found).toBeDefined();
      return JSON.parse(found!) as object;
    });
    expect(line).not.toHaveProperty('orderId');
  });

  it('gets the answers to what it sends at once in the order of the questions', async () => {
    const socket = await open(port);
    const targets = Array.from({ length: 100 }, (_, i) => (i % 3 === 0 ? '/livez' : `/nowhere-${i}`));
    socket.write(targets.map((target) => headOf('GET', [], target)).join(''));
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
    const statuses = () => [...text.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status));
    await eventually(() => expect(statuses()).toHaveLength(targets.length), ANSWER_WITHIN_MS);
    expect(statuses()).toEqual(targets.map((target) => (target === '/livez' ? 200 : 404)));
    socket.destroy();
  }, 30_000);

  it('that asks and asks and never reads its answers is cut off', async () => {
    const sockets = await openAll(10);
    for (const socket of sockets) {
      socket.pause();
      socket.write(headOf('GET', [], '/metrics').repeat(5_000));
    }
    expect(await othersAreServed()).toBe(200);
    await allEnd(sockets, ANSWER_WITHIN_MS);
  }, 60_000);

  it.each([
    ['TLS', Buffer.from('16030100a5010000a10303', 'hex')],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['HTTP/0.9', 'GET /\r\n\r\n'],
    ['a tunnel', 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n'],
    ['nonsense', Buffer.from(Array.from({ length: 4_096 }, (_, i) => (i * 37) % 256))],
    ['chunks that are none', `${headOf('POST', ['Transfer-Encoding: chunked'])}zz\r\nx\r\n`],
  ])(
    'is refused or cut off when it speaks %s',
    async (_, bytes) => {
      expect([0, 400, 401, 404, 405]).toContain(await statusOf(bytes));
    },
    30_000,
  );

  it('that asks to upgrade gets an ordinary answer', async () => {
    const headers = ['Connection: Upgrade, close', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'];
    expect([200, 0]).toContain(await statusOf(headOf('GET', headers, '/livez'), true));
  });
});
