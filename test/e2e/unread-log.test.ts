import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { startService } from '../support/service-process';
import type { ServiceProcess } from '../support/service-process';

/** More than enough to fill the pipe and what may wait behind it: each of them makes a line of some 350 characters. */
const MOST_REQUESTS = 60_000;
const AT_ONCE = 100;

describe('a service whose log is not read', () => {
  let service: ServiceProcess;

  beforeAll(async () => {
    service = await startService({ NODE_ENV: 'development', LOG_LEVEL: 'debug', LOG_FORMAT: 'json' });
  });

  afterAll(async () => {
    // What is not written would keep it from ending.
    service.process.stdout?.resume();
    expect(await service.kill('SIGTERM')).toBe(0);
  });

  it('answers on, loses lines rather than memory, and counts them', async () => {
    service.process.stdout?.pause();
    let requests = 0;
    while ((await linesLost()) === 0 && requests < MOST_REQUESTS) {
      expect(await answersToMany()).toBe(AT_ONCE);
      requests += AT_ONCE;
    }
    expect(await linesLost()).toBeGreaterThan(0);
  }, 120_000);

  /** On one connection, without waiting between them. */
  async function answersToMany(): Promise<number> {
    const { hostname, port } = new URL(service.url);
    const socket = connect(Number(port), hostname);
    const request = (more = '') => `GET /livez HTTP/1.1\r\nHost: orders\r\n${more}\r\n`;
    socket.write(request().repeat(AT_ONCE - 1) + request('Connection: close\r\n'));
    return (await text(socket)).match(/HTTP\/1\.1 200/g)?.length ?? 0;
  }

  async function linesLost(): Promise<number> {
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    return Number(/^order_service_log_lines_lost_total (\d+)$/m.exec(metrics)?.[1]);
  }
});
