import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeWith, serverBinary } from '../support/servers';

const ROOT = join(__dirname, '../..');
const SEED = process.env['CHAOS_SEED'] ?? '7';
const MINUTES = process.env['CHAOS_MINUTES'] ?? '5';
/** Everything around the faults: starting, coming to rest, checking. */
const ALLOWANCE_MS = 5 * 60_000;

describeWith(['mongod', 'nats-streaming-server'], 'a campaign of real processes', () => {
  let folder: string;
  let child: ChildProcess | undefined;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'chaos-'));
  });

  afterEach(async () => {
    await stopChild();
    rmSync(folder, { recursive: true, force: true });
  });

  it(
    'breaks no promise, whatever is killed, frozen, cut, filled or said twice',
    async () => {
      const { code, output } = await campaign('--minutes', MINUTES, '--seed', SEED);
      process.stdout.write(output);

      expect(code).toBe(0);
    },
    Number(MINUTES) * 60_000 + ALLOWANCE_MS,
  );

  it.each([
    ['an event is published before its order is stored', 'I4'],
    ['a message is acknowledged before its change is stored', 'I7'],
  ])(
    'finds a mistake: %s',
    async (bug, invariant) => {
      const { code, output } = await campaign('--minutes', '0.7', '--seed', SEED, '--bug', bug);

      expect(code).toBe(1);
      expect(
        output
          .split('\n')
          .filter((line) => line.includes('BROKEN'))
          .join('\n'),
      ).toContain(invariant);
    },
    ALLOWANCE_MS,
  );

  async function campaign(...args: string[]): Promise<{ code: unknown; output: string }> {
    const started = spawn(
      process.execPath,
      ['--require', 'tsx/cjs', join(__dirname, 'chaos.ts'), '--folder', join(folder, 'report'), ...args],
      {
        cwd: ROOT,
        env: {
          ...process.env,
          MONGOMS_SYSTEM_BINARY: serverBinary('mongod'),
          NATS_STREAMING_SERVER: serverBinary('nats-streaming-server'),
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    child = started;
    let output = '';
    for (const stream of [started.stdout, started.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    const [code] = (await once(started, 'exit')) as unknown[];
    return { code, output };
  }

  /** One that has outlived its test: asked to end it goes on to its report, asked again later it ends. */
  async function stopChild(): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    const asking = setInterval((outlived) => outlived.kill('SIGINT'), 100, child);
    await exited;
    clearInterval(asking);
  }
});
