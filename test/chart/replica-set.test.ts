import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { runInNewContext } from 'node:vm';
import { eventually } from '../support/eventually';
import { CHART } from './helm';

const run = promisify(execFile);
const script = (name: string) => join(CHART, 'files', name);

/** What a member answers to `hello`; undefined: it does not answer. */
type Hello = { isreplicaset?: boolean; setName?: string } | undefined;

describe('the script that initiates the replica set', () => {
  const MEMBERS = ['m-0.members:27017', 'm-1.members:27017', 'm-2.members:27017'];
  const started: Hello = { isreplicaset: true };
  const member: Hello = { setName: 'rs0' };

  /** Runs it as mongosh would, with members that answer so. */
  function runScript(hellos: Hello[]) {
    const initiated: { uri: string; command: unknown }[] = [];
    const said: string[] = [];
    let exitCode: number | undefined;
    runInNewContext(readFileSync(script('replica-set.js'), 'utf8'), {
      process: {
        env: {
          MEMBERS: MEMBERS.join(','),
          MONGO_INITDB_ROOT_USERNAME: 'root',
          MONGO_INITDB_ROOT_PASSWORD: 'p@ss/word',
        },
      },
      connect(uri: string) {
        const hello = hellos[MEMBERS.findIndex((host) => uri.includes(host))];
        if (!hello) throw new Error('ECONNREFUSED');
        return { hello: () => hello, adminCommand: (command: unknown) => initiated.push({ uri, command }) };
      },
      print: (line: string) => said.push(line),
      quit: (code: number) => (exitCode = code),
      encodeURIComponent,
    });
    return { initiated, said, exitCode };
  }

  it('initiates a set of all members, as root, when all have started', () => {
    const { initiated, exitCode } = runScript([started, started, started]);
    expect(JSON.parse(JSON.stringify(initiated))).toEqual([
      {
        uri: 'mongodb://root:p%40ss%2Fword@m-0.members:27017/admin?directConnection=true',
        command: { replSetInitiate: { _id: 'rs0', members: MEMBERS.map((host, _id) => ({ _id, host })) } },
      },
    ]);
    // It comes again, and ends only when it finds the set initiated.
    expect(exitCode).toBe(1);
  });

  it.each<[string, Hello[], number]>([
    ['has nothing to do where the set is initiated', [member, member, member], 0],
    ['never makes a second set when the first member lost its disk', [started, member, member], 0],
    ['nor while only one other member answers', [started, undefined, member], 0],
    ['waits for members that do not answer', [started, started, undefined], 1],
    ['waits for the image to be done with making users', [{}, started, started], 1],
  ])('%s', (_, hellos, code) => {
    const { initiated, said, exitCode } = runScript(hellos);
    expect({ initiated, exitCode }).toEqual({ initiated: [], exitCode: code });
    expect(said).toHaveLength(1);
  });
});

describe('the scripts of a member', () => {
  let folder: string;
  const program = (name: string, body: string) => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`);
    chmodSync(join(folder, name), 0o755);
  };
  const environment = (hostname: string) => ({
    HOSTNAME: hostname,
    FOLDER: folder,
    PATH: `${folder}${delimiter}${process.env['PATH']}`,
  });

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'member-'));
    program('docker-entrypoint.sh', 'echo entrypoint "$@"');
    program('mongod', 'echo mongod "$@"');
    program('mongosh', 'echo tried >> "$FOLDER/tries"; [ "$(wc -l < "$FOLDER/tries")" -gt 1 ]');
    program('sleep', '[ "$1" = 5 ] || { echo asleep >> "$FOLDER/tries"; exec /bin/sleep 1000; }');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    ['m-0', 'entrypoint mongod --replSet=rs0 --x y\n'],
    ['m-1', 'mongod --replSet=rs0 --x y\n'],
  ])('make users on the first one only: %s', async (hostname, said) => {
    const { stdout } = await run('bash', [script('member.sh'), '--replSet=rs0', '--x', 'y'], {
      env: environment(hostname),
    });
    expect(stdout).toBe(said);
  });

  it('try until the set is initiated, and end when they are told to', async () => {
    const child = spawn('bash', [script('replica-set.sh')], {
      env: environment('m-0'),
      stdio: 'ignore',
      detached: true,
    });
    await eventually(() =>
      expect(readFileSync(join(folder, 'tries'), 'utf8')).toBe('tried\ntried\nasleep\n'),
    );
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
    // A container's other processes end with its first one; here its sleep is left over.
    process.kill(-child.pid!, 'SIGKILL');
  });
});
