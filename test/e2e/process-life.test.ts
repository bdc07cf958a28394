import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { eventually } from '../support/eventually';
import { JWT_KEY, ordersClient } from '../support/service-process';

const ROOT = join(__dirname, '../..');

/** The service as it is, and with something done where its core subscribes, which is one of the last parts to start. */
const AS_IT_IS = `require('./dist/main.js')`;
const whereItSubscribes = (body: string) => `
  const subscribe = (bus) => (...args) => { ${body}; return bus.subscribe(...args); };
  require('./dist/wiring/process.js').run(process.env, {
    orders: (orders) => orders,
    bus: (bus) => ({ ...bus, subscribe: subscribe(bus) }),
  });`;

type Line = Record<string, unknown> & { msg: string };

interface Life {
  readonly process: ChildProcess;
  lines(): Line[];
  texts(): string[];
  stderr(): string;
  port(): number;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

describe('the life of the process', () => {
  const lives: ChildProcess[] = [];
  afterEach(() => {
    for (const child of lives.splice(0)) child.kill('SIGKILL');
  });

  function begin(program: string, env: Record<string, string> = {}): Life {
    const child = spawn(process.execPath, ['-e', program], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'debug', ...env },
    });
    lives.push(child);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
    child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
    // What embedded services greet with is no JSON.
    const lines = () =>
      stdout
        .split('\n')
        .filter((line) => line.startsWith('{') && line.endsWith('}'))
        .map((line) => JSON.parse(line) as Line);
    return {
      process: child,
      lines,
      texts: () => lines().map(({ msg }) => msg),
      stderr: () => stderr,
      port: () => lines().find(({ msg }) => msg === 'listening')?.['port'] as number,
      ended: once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals),
    };
  }

  async function isListening(life: Life): Promise<void> {
    await eventually(() => expect(life.texts()).toContain('listening'), 20_000);
  }

  it.each(['SIGTERM', 'SIGINT'] as const)('ends with 0 when %s asks it to', async (signal) => {
    const life = begin(AS_IT_IS);
    await isListening(life);

    life.process.kill(signal);

    expect(await life.ended).toBe(0);
    expect(life.lines().filter(({ msg }) => msg === 'stopping')).toEqual([
      expect.objectContaining({ signal }),
    ]);
    expect(life.texts()).toContain('stopped');
  });

  it.each([
    ['SIGINT', 'SIGINT'],
    ['SIGINT', 'SIGTERM'],
    ['SIGTERM', 'SIGINT'],
  ] as const)('takes %s and %s that come together for one', async (first, second) => {
    const life = begin(AS_IT_IS);
    await isListening(life);
    const request = await beginRequest(life.port());

    life.process.kill(first);
    await eventually(() => expect(life.texts()).toContain('stopping'));
    life.process.kill(second);
    request.end('23456789}');

    expect(await life.ended).toBe(0);
    expect(life.texts().filter((text) => text === 'stopping')).toHaveLength(1);
    expect(life.texts()).toContain('stopped');
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('ends at once when %s comes again later', async (signal) => {
    const life = begin(AS_IT_IS, { SHUTDOWN_SECONDS: '3600' });
    await isListening(life);
    const request = await beginRequest(life.port());

    life.process.kill('SIGTERM');
    await eventually(() => expect(life.texts()).toContain('stopping'));
    await eventually(() => {
      life.process.kill(signal);
      expect(life.process.exitCode).toBe(1);
    });

    await life.ended;
    expect(life.texts()).toContain('second signal, exiting at once');
    request.destroy();
  });

  it('ends with 1 when something is still going on at the deadline', async () => {
    const life = begin(AS_IT_IS, { SHUTDOWN_SECONDS: '1' });
    await isListening(life);
    const request = await beginRequest(life.port());

    life.process.kill('SIGTERM');

    expect(await life.ended).toBe(1);
    expect(life.texts()).toContain('not everything ended within the deadline, exiting anyway');
    request.destroy();
  });

  it.each([
    ['an uncaught exception', `setImmediate(() => { throw new Error('a mistake'); })`],
    ['an unhandled rejection', `Promise.reject(new Error('a mistake'))`],
  ])('ends with 1 after %s, and says which', async (_, mistake) => {
    const life = begin(whereItSubscribes(mistake));

    expect(await life.ended).toBe(1);
    expect(life.lines()).toContainEqual(
      expect.objectContaining({
        level: 'fatal',
        msg: 'uncaught exception, exiting',
        err: expect.objectContaining({ message: 'a mistake' }),
      }),
    );
  });

  it('ends with 1 when a part cannot start, after it has stopped those that did', async () => {
    const life = begin(whereItSubscribes(`throw new Error('no subscription today')`));

    expect(await life.ended).toBe(1);
    expect(life.stderr()).toMatch(/^The Order Service cannot start: Error: no subscription today\n/);
    expect(life.texts()).not.toContain('listening');
    const stopped = life.lines().filter(({ msg }) => msg === 'stopped');
    expect(stopped.map(({ part }) => part)).toEqual(
      expect.arrayContaining(['store', 'broker connection', 'relay']),
    );
  });

  it('ends with 1 when its port is taken, and says what to do', async () => {
    const first = begin(AS_IT_IS);
    await isListening(first);

    const second = begin(AS_IT_IS, { PORT: String(first.port()) });

    expect(await second.ended).toBe(1);
    expect(second.stderr()).toBe(
      `The Order Service cannot start: listen EADDRINUSE: address already in use 127.0.0.1:${first.port()} (set PORT to another one)\n`,
    );
  });

  it('ends with 1 when settings are wrong, and says which', async () => {
    const life = begin(AS_IT_IS, { PORT: 'x', LOG_LEVEL: 'loud' });

    expect(await life.ended).toBe(1);
    expect(life.stderr()).toMatch(
      /^The Order Service cannot start: 2 settings are wrong\n {2}PORT: .*\n {2}LOG_LEVEL: .*\n$/,
    );
    expect(life.lines()).toEqual([]);
  });

  it('ends with 0 when it is asked to while it starts', async () => {
    const life = begin(whereItSubscribes(`process.emit('SIGTERM', 'SIGTERM')`));

    expect(await life.ended).toBe(0);
    expect(life.texts()).toContain('stopping');
    expect(life.texts()).not.toContain('listening');
    expect(life.texts()).toContain('stopped');
    expect(life.stderr()).toBe('');
  });

  it('tells its version first, and as a metric', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const node = process.versions.node;
    const life = begin(AS_IT_IS);
    await isListening(life);

    expect(life.lines()[0]).toMatchObject({ msg: 'starting', version, node });
    const metrics = await (await fetch(`http://127.0.0.1:${life.port()}/metrics`)).text();
    expect(metrics).toContain(`\norder_service_build_info{version="${version}",node="${node}"} 1\n`);
  });

  it('logs each event that is published, for those who debug', async () => {
    const life = begin(AS_IT_IS, { JWT_KEY });
    await isListening(life);
    const buyer = ordersClient(`http://127.0.0.1:${life.port()}`, 'buyer');
    const placed = await eventually(async () => {
      const { status, body } = await buyer.place('5f0000000000000000000001');
      expect(status).toBe(201);
      return body;
    });
    expect((await buyer.cancel(placed.id)).status).toBe(204);

    await eventually(() => {
      const published = life.lines().filter(({ msg }) => msg === 'event published');
      expect(published).toMatchObject([
        { level: 'debug', orderId: placed.id, seq: 0, subject: 'order:created' },
        { level: 'debug', orderId: placed.id, seq: 1, subject: 'order:cancelled' },
      ]);
    });
  });
});

/** A request of which the last nine bytes are missing: an orderly stop waits for them. */
async function beginRequest(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(
    'POST /api/v1/orders HTTP/1.1\r\nHost: orders\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n{',
  );
  await once(socket, 'data');
  return socket;
}
