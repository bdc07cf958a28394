import { utimesSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { eventually } from '../support/eventually';
import { freePort } from '../support/server-process';
import { describeWith } from '../support/servers';
import { inProcessGroup, inTerminal, type Terminal } from '../support/terminal';

const DEV = ['npm', 'run', 'dev'];
const COMMANDS: [string, string[]][] = [
  ['npm start', ['npm', 'start']],
  ['npm run dev', DEV],
];
const READY = 'The Order Service is ready at';
const PATIENCE_MS = 60_000;

jest.setTimeout(3 * PATIENCE_MS);

describeWith(['python3'], 'Ctrl-C in a terminal', () => tests(inTerminal));

describe('Ctrl-C for a process group', () => tests(inProcessGroup));

function tests(open: typeof inTerminal): void {
  let terminal: Terminal | undefined;
  let port: number;

  async function run(command: readonly string[], env: Record<string, string> = {}): Promise<Terminal> {
    port = await freePort();
    terminal = open(command, { PORT: String(port), ...env });
    await isReadyTimes(1);
    return terminal;
  }

  const isReadyTimes = (times: number) => eventually(() => expect(count(READY)).toBe(times), PATIENCE_MS);
  const count = (text: string) => (terminal?.output() ?? '').split(text).length - 1;
  const hasEnded = () => eventually(() => expect(terminal?.ended()).toBeDefined(), PATIENCE_MS);

  afterEach(async () => {
    await terminal?.close();
    terminal = undefined;
  }, PATIENCE_MS);

  it.each(COMMANDS)('ends %s in order', async (_, command) => {
    const { pressCtrlC, output, ended } = await run(command);
    // The connection that stays open makes the stop take its time.
    await (await fetch(`http://127.0.0.1:${port}/livez`)).text();

    pressCtrlC();
    await hasEnded();

    expect(count('stopping')).toBe(1);
    expect(count('stopped')).toBe(1);
    expect(output()).not.toMatch(/npm error|at once|Force killing/i);
    expect(ended()).toBe(0);
  });

  it.each(COMMANDS)('pressed again, ends %s at once, whatever it waits for', async (_, command) => {
    const { pressCtrlC, output } = await run(command, { SHUTDOWN_SECONDS: '3600' });
    const request = await beginRequest(port);

    pressCtrlC();
    await eventually(() => expect(count('stopping')).toBe(1));
    await eventually(() => {
      pressCtrlC();
      expect(terminal?.ended()).toBeDefined();
    });

    expect(output()).not.toContain('stopped');
    request.destroy();
  });

  it('ends npm run dev in order after a restart that was in order too', async () => {
    const { pressCtrlC, output, ended } = await run(DEV);

    const now = new Date();
    utimesSync(join(__dirname, '../../src/main.ts'), now, now);
    await isReadyTimes(2);
    expect(count('stopped')).toBe(1);

    pressCtrlC();
    await hasEnded();

    expect(count('stopping')).toBe(2);
    expect(count('stopped')).toBe(2);
    expect(output()).not.toMatch(/npm error|at once|killing/i);
    expect(ended()).toBe(0);
  });
}

/** A request whose end does not come: an orderly stop waits for it. */
async function beginRequest(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(
    'POST /api/v1/orders HTTP/1.1\r\nHost: orders\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n{',
  );
  await new Promise((resolve) => socket.once('data', resolve));
  return socket;
}
