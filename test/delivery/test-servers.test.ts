import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findMongod } from '../support/find-servers';
import { runProgram } from '../support/run-program';

const VARIABLES = [
  'PATH',
  'MONGOMS_SYSTEM_BINARY',
  'MONGOMS_DOWNLOAD_MIRROR',
  'MONGOMS_DOWNLOAD_DIR',
] as const;

let folder: string;
const before = Object.fromEntries(VARIABLES.map((name) => [name, process.env[name]]));

/** A machine with nothing but Node on PATH, and no network. */
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'machine-'));
  mkdirSync(join(folder, 'bin'));
  symlinkSync(process.execPath, join(folder, 'bin', 'node'));
  delete process.env['MONGOMS_SYSTEM_BINARY'];
  process.env['PATH'] = join(folder, 'bin');
  process.env['MONGOMS_DOWNLOAD_MIRROR'] = 'https://127.0.0.1:1';
  process.env['MONGOMS_DOWNLOAD_DIR'] = join(folder, 'downloads');
});

afterEach(() => {
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  rmSync(folder, { recursive: true, force: true });
});

function program(name: string, body = 'exit 0'): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return path;
}

describe('the mongod of the tests', () => {
  it('is the one of MONGOMS_SYSTEM_BINARY before the one on PATH', async () => {
    program('bin/mongod');
    const named = (process.env['MONGOMS_SYSTEM_BINARY'] = program('another-mongod'));

    expect(await findMongod()).toEqual({ path: named });
  });

  it('is the one on PATH before one that is downloaded', async () => {
    const path = program('bin/mongod');

    expect(await findMongod()).toEqual({ path });
  });

  it.each([
    ['bin/mongod', 'on PATH'],
    ['another-mongod', 'of MONGOMS_SYSTEM_BINARY'],
  ])('is missing, with the reason, where the one %s does not run (%s)', async (name) => {
    const path = program(name, 'echo "no such library" >&2; exit 127');
    if (name === 'another-mongod') process.env['MONGOMS_SYSTEM_BINARY'] = path;

    expect(await findMongod()).toEqual({ missing: `${path} does not run: no such library` });
  });

  it('is missing where MONGOMS_SYSTEM_BINARY leads to nothing', async () => {
    process.env['MONGOMS_SYSTEM_BINARY'] = join(folder, 'nothing');

    expect(await findMongod()).toEqual({
      missing: expect.stringMatching(/^MONGOMS_SYSTEM_BINARY=.* is no program$/),
    });
  });

  it('is missing, with what to do, where its download fails', async () => {
    expect(await findMongod()).toEqual({
      missing: expect.stringMatching(
        /^no mongod: .*ECONNREFUSED.* \(put one on PATH, or its path into MONGOMS_SYSTEM_BINARY\)$/,
      ),
    });
  });

  it('is missing where its download stalls, which is said', async () => {
    // Takes every connection and says nothing.
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket.on('error', () => {}))).listen(
      0,
      '127.0.0.1',
    );
    await once(server, 'listening');
    process.env['MONGOMS_DOWNLOAD_MIRROR'] = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const said: string[] = [];

    const finding = await findMongod({ stallsAfterMs: 3_000, say: (line) => said.push(line) });
    for (const socket of sockets) socket.destroy();
    server.close();

    expect(finding).toEqual({
      missing:
        'no mongod: its download stalled (put a mongod on PATH, or its path into MONGOMS_SYSTEM_BINARY)',
    });
    expect(said).toEqual([
      'No mongod here: downloading one, once. To do without, put a mongod on PATH, or its path into MONGOMS_SYSTEM_BINARY.\n',
      'The download of mongod stalled: nothing came for 3 seconds. Its tests are skipped.\n',
    ]);
  });
});

describe('npm test without any server', () => {
  it('passes, and names what it skipped and why in its last lines', async () => {
    const { PATH, MONGOMS_DOWNLOAD_MIRROR, MONGOMS_DOWNLOAD_DIR } = process.env;
    const jest = ['node_modules/jest/bin/jest.js', 'test/e2e/smoke.test.ts'];
    const env = { PATH, MONGOMS_DOWNLOAD_MIRROR, MONGOMS_DOWNLOAD_DIR };
    const { code, stdout } = await runProgram(jest, env);

    expect(stdout.trimEnd().split('\n').slice(-3)).toEqual([
      expect.stringMatching(
        /^skipped, 7 tests: no mongod: .*ECONNREFUSED.* \(put one on PATH.*\); no nats-streaming-server on PATH \(set NATS_STREAMING_SERVER\)$/,
      ),
      '  test/e2e/smoke.test.ts: the smoke test (7 tests)',
      '1 passed, 0 failed, 7 skipped',
    ]);
    expect(code).toBe(0);
  }, 60_000);
});
