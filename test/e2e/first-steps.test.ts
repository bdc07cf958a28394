import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { eventually } from '../support/eventually';
import { startMongod } from '../support/mongod';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import { freePort } from '../support/server-process';
import { describeWith } from '../support/servers';
import { inProcessGroup, type Terminal } from '../support/terminal';

const ROOT = join(__dirname, '../..');
const PATIENCE_MS = 60_000;
/** The shortest that keep the rule between them. */
const SOON = { CATCH_UP_SECONDS: '2', REDELIVERY_WAIT_SECONDS: '1', LOG_LEVEL: 'warn' };
const COMMAND = /^(TOKEN|ORDER|PORT|HOST|MONGO_URL|curl|npm|docker)\b/;

jest.setTimeout(3 * PATIENCE_MS);

let terminal: Terminal | undefined;

afterEach(async () => {
  await terminal?.close();
  terminal = undefined;
});

/** Starts it and resolves to what it prints, once that is all there. */
async function start(env: Record<string, string> = {}): Promise<string> {
  const port = await freePort();
  const started = (terminal = inProcessGroup(['npm', 'start'], { ...SOON, PORT: String(port), ...env }));
  await eventually(
    () => expect(started.output()).toMatch(/npm start\n$|docker compose up.*\n$/),
    PATIENCE_MS,
  );
  return started.output();
}

/** Every line that can be copied, with the one that continues it. */
function commandsIn(printed: string): string[] {
  return printed
    .replaceAll(/\\\n\s+/g, '\\\n')
    .split(/(?<!\\)\n/)
    .map((line) => line.trim())
    .filter((line) => COMMAND.test(line));
}

/** A terminal that stays open: what one command sets, the next can use. */
function shell() {
  const before: string[] = [];
  return (command: string) => {
    const script = [...before, command].join('\n');
    if (/^(TOKEN|ORDER)=/.test(command)) before.push(command);
    const { status, stdout, stderr } = spawnSync('sh', ['-c', script], { cwd: ROOT, encoding: 'utf8' });
    const http = /^HTTP\/1\.1 (\d+)/m.exec(stdout)?.[1];
    return { status, http: http === undefined ? undefined : Number(http), stdout, stderr };
  };
}

/** The one that has all of these in it. */
function find(commands: readonly string[], ...parts: string[]): string {
  const found = commands.find((command) => parts.every((part) => command.includes(part)));
  if (found === undefined)
    throw new Error(`no command with ${parts.join(' and ')} in ${commands.join('\n')}`);
  return found;
}

describe('what the service prints when it starts without any settings', () => {
  it('is short, with the token once', async () => {
    const printed = await start();

    const [, token] = /TOKEN=(\S+)\n/.exec(printed) ?? [];
    expect(token).toMatch(/^eyJ/);
    expect(printed.split(token ?? '')).toHaveLength(2);
    const lines = printed.slice(printed.indexOf('is ready at')).split('\n');
    expect(lines.filter((line) => !line.includes('TOKEN=') && line.length > 110)).toEqual([]);
  });

  it('works as it stands, line by line', async () => {
    const commands = commandsIn(await start());
    const run = shell();
    const answers = commands
      .filter((command) => !/^(docker|MONGO_URL)/.test(command))
      .map((command) => ({ command, ...run(command) }));

    const isHttp = ({ command }: { command: string }) => command.startsWith('curl');
    expect(answers.map(({ status, stderr }) => ({ status, stderr: status === 0 ? '' : stderr }))).toEqual(
      answers.map(() => ({ status: 0, stderr: '' })),
    );
    expect(answers.filter(isHttp).map(({ http }) => http)).toEqual([201, 200, 200, 204]);
    expect(answers.filter(({ command }) => command.includes('npm run peer'))).toHaveLength(3);
  });

  it('works in another order too', async () => {
    const commands = commandsIn(await start());
    const run = shell();
    const first = [find(commands, 'TOKEN='), find(commands, 'ticketId'), find(commands, 'ORDER=')];
    for (const command of first) expect(run(command).status).toBe(0);

    const others = commands.filter((command) => !/^(docker|MONGO_URL)/.test(command)).reverse();
    for (const command of others) {
      const { status, http } = run(command);
      expect({ command, status }).toEqual({ command, status: 0 });
      // The ticket may be ordered still, or the order be paid already.
      if (command.startsWith('curl')) expect([200, 201, 204, 409]).toContain(http);
    }
  });

  it('lets a ticket be sold, paid and expired by hand', async () => {
    const commands = commandsIn(await start());
    const run = shell();
    run(find(commands, 'TOKEN='));
    const place = (ticketId: string) => {
      const answer = run(find(commands, 'ticketId').replace(/[0-9a-f]{24}/, ticketId));
      expect(run(find(commands, 'ORDER=')).status).toBe(0);
      return answer.http;
    };
    const orderIs = (expected: object) =>
      eventually(() => {
        const { stdout } = run(commands.find((command) => /^curl -i -H.*\$ORDER$/.test(command)) ?? '');
        expect(JSON.parse(stdout.split('\r\n\r\n')[1] ?? '')).toMatchObject(expected);
      });
    const sell = () => {
      const { stdout } = run(find(commands, 'peer -- ticket').replace('npm run', 'npm run --silent'));
      expect(stdout).toMatch(/^[0-9a-f]{24}\n$/);
      return stdout.trim();
    };

    expect(place(sell())).toBe(201);
    await orderIs({ status: 'created', ticket: { title: 'Jazz night', price: 30 } });
    expect(run(find(commands, 'peer -- pay')).status).toBe(0);
    await orderIs({ status: 'complete' });

    expect(place(sell())).toBe(201);
    expect(run(find(commands, 'peer -- expire')).status).toBe(0);
    await orderIs({ status: 'cancelled', reason: 'expired' });
  });

  it('says docker compose up where that works', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'docker-'));
    writeFileSync(join(folder, 'docker'), '#!/bin/sh\n[ "$1 $2" = "compose ls" ]\n', { mode: 0o755 });
    const printed = await start({ PATH: folder + delimiter + process.env['PATH'] });
    rmSync(folder, { recursive: true });

    expect(commandsIn(printed).at(-1)).toBe('docker compose up --build');
  });

  it.each([
    ['::1', '[::1]', 'HOST=::1 '],
    ['0.0.0.0', '127.0.0.1', ''],
  ])('leads to where it listens: %s', async (HOST, host, setting) => {
    const PORT = String(await freePort());
    const commands = commandsIn(
      await start({ HOST, PORT, JWT_KEY: 'a key for tests, long enough for HS256 to be safe' }),
    );
    const run = shell();
    run(find(commands, 'TOKEN='));

    expect(run(find(commands, 'curl', `http://${host}:${PORT}/api/v1/orders`)).status).toBe(0);
    const sell = find(commands, 'peer -- ticket');
    expect(sell).toBe(`${setting}PORT=${PORT} npm run peer -- ticket --title 'Jazz night' --price 30`);
    expect(run(sell).status).toBe(0);
  });
});

describeWith(['mongod', 'nats-streaming-server'], 'what the service prints for keeping data', () => {
  let mongod: Awaited<ReturnType<typeof startMongod>>;
  let nats: Awaited<ReturnType<typeof startNatsStreamingServer>>;

  beforeAll(async () => {
    [mongod, nats] = await Promise.all([startMongod(), startNatsStreamingServer()]);
  });
  afterAll(() => Promise.all([nats?.stop(), mongod?.stop()]));

  it('runs it with both servers', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'no-docker-'));
    writeFileSync(join(folder, 'docker'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    const command = commandsIn(await start({ PATH: folder + delimiter + process.env['PATH'] })).at(-1) ?? '';
    rmSync(folder, { recursive: true });
    expect(command).toContain('mongodb://127.0.0.1:27017/');
    expect(command).toContain('nats://127.0.0.1:4222 ');
    await terminal?.close();

    // The servers of the test have ports of their own.
    const here = command
      .replace('127.0.0.1:27017', new URL(mongod.url).host)
      .replace('127.0.0.1:4222', new URL(nats.url).host);
    const PORT = String(await freePort());
    terminal = inProcessGroup(['sh', '-c', here], { PORT });

    await eventually(async () => {
      const response = await fetch(`http://127.0.0.1:${PORT}/readyz`);
      expect(await response.json()).toMatchObject({ status: 'ready', database: 'up', broker: 'up' });
    }, PATIENCE_MS);
    expect(terminal.output()).not.toContain('MEMORY');
  });
});
