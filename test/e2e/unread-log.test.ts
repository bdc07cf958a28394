import { sumOfSeries } from '../support/series';
import { open, pipeline, type Call } from '../hostile/wire';
import { startService, type ServiceProcess } from '../support/service-process';

/** More than enough to fill the pipe and what may wait behind it: each of them makes a line of some 300 bytes. */
const MOST_REQUESTS = 80_000;
const AT_ONCE = 100;
const ANSWER_WITHIN_MS = 30_000;
const CALL: Call = {
  method: 'GET',
  bytes: Buffer.from(`GET /livez HTTP/1.1\r\nHost: orders\r\nX-Request-Id: ${'x'.repeat(100)}\r\n\r\n`),
};

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
    const socket = await open(Number(new URL(service.url).port));
    const answers = await pipeline(socket, Array<Call>(AT_ONCE).fill(CALL), ANSWER_WITHIN_MS);
    socket.destroy();
    return answers.filter(({ status }) => status === 200).length;
  }

  async function linesDropped(): Promise<number> {
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    return sumOfSeries(metrics, 'order_service_log_lines_dropped_total');
  }
});
