import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { startService } from '../support/service-process';
import type { ServiceProcess } from '../support/service-process';

/** More than enough to fill the pipe and what may wait behind it: each of them makes a line of some 300 bytes. */
const MOST_REQUESTS = 80_000;
const AT_ONCE = 100;

describe('a service whose log is not read', () => {
  let service: ServiceProcess;

  beforeAll(async () => {
    service = await startService({ NODE_ENV: 'development', LOG_LEVEL: 'debug', LOG_FORMAT: 'json' });
    service.process.stdout?.pause();
  });

  afterAll(() => service.kill('SIGKILL'));

  it('answers on, drops lines in the end, and counts them', async () => {
    let requests = 0;
    while ((await linesDropped()) === 0 && requests < MOST_REQUESTS) {
      expect(await answersToMany()).toBe(AT_ONCE);
      requests += AT_ONCE;
    }
    expect(await linesDropped()).toBeGreaterThan(0);
  }, 180_000);

  it('ends when it is told to', async () => {
    expect(await service.kill('SIGTERM')).toBe(0);
  }, 60_000);

  /** On one connection, without waiting between them. */
  async function answersToMany(): Promise<number> {
    const { hostname, port } = new URL(service.url);
    const socket = connect(Number(port), hostname);
    const request = (connection: string) =>
      `GET /livez HTTP/1.1\r\nHost: orders\r\nX-Request-Id: ${'x'.repeat(100)}\r\nConnection: ${connection}\r\n\r\n`;
    socket.write(request('keep-alive').repeat(AT_ONCE - 1) + request('close'));
    return (await text(socket)).match(/HTTP\/1\.1 200/g)?.length ?? 0;
  }

  async function linesDropped(): Promise<number> {
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    return Number(/^order_service_log_lines_dropped_total (\d+)$/m.exec(metrics)?.[1]);
  }
});
