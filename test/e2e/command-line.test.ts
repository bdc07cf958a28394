import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { allCommands } from '../support/all-commands';
import { ORDER_SERVICE, runProgram, startProgram } from '../support/run-program';

const run = (args: readonly string[], env: Record<string, string> = {}) =>
  runProgram([ORDER_SERVICE, ...args], env);
const read = (file: string) => readFileSync(join(__dirname, '../..', file), 'utf8');

describe('the help', () => {
  const groups = new Set(allCommands().flatMap((command) => command.split(' ').slice(0, -1)));

  it.each(['', ...groups, ...allCommands()])(
    'of order-service %s has an example and exits with 0',
    async (command) => {
      const { code, stdout, stderr } = await run([...command.split(' ').filter(Boolean), '--help']);

      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain(`Usage: ${`order-service ${command}`.trim()}`);
      expect(stdout).toMatch(/Examples:\n {2}\$ order-service \w/);
    },
  );

  it('of the whole lists the exit codes, as docs/operations.md does', async () => {
    const { stdout } = await run(['--help']);
    const listed = [...stdout.matchAll(/^ {2}(\d+) {2,}\w/gm)].map(([, code]) => code);
    const documented = [...read('docs/operations.md').matchAll(/^\| `(\d+)` \|/gm)].map(([, code]) => code);

    expect(listed).toEqual(['0', '1', '2', '3', '4', '130', '143']);
    expect(documented).toEqual(listed);
  });
});

describe('the documents', () => {
  const commandsOf = (document: string, line: RegExp) =>
    [...new Set([...read(document).matchAll(line)].map(([, command = '']) => command))].sort();

  it.each([
    ['docs/operations.md', /^\| `([a-z-]+(?: [a-z]+)?)[^|]*` \|/gm],
    ['helm/order-service/README.md', /^kubectl exec .*-- order-service ([a-z-]+(?: (?!me\b)[a-z]+)?)/gm],
  ])('%s has every command, and no other', (document, line) => {
    const inPod = document.startsWith('helm')
      ? allCommands().filter((command) => command !== 'serve')
      : allCommands();

    expect(
      commandsOf(document, line).filter((command) =>
        inPod.some((one) => one.split(' ')[0] === command.split(' ')[0]),
      ),
    ).toEqual([...inPod].sort());
  });
});

describe('wrong usage', () => {
  const ID = '65a1c0ffee00000000000001';

  it.each([
    [[], /Usage: order-service/],
    [['dead-letters'], /Usage: order-service dead-letters/],
    [['nonsense'], /unknown command 'nonsense'/],
    [['orders', 'nonsense'], /Usage: order-service orders|unknown command/],
    [['--nonsense'], /unknown option '--nonsense'/],
    [['orders', 'show'], /missing required argument 'ID'/],
    [['orders', 'show', ''], /argument 'ID'.* 24 hexadecimal/],
    [['orders', 'show', 'x'], /argument 'ID'.* 24 hexadecimal/],
    [['orders', 'show', ID, ''], /too many arguments/],
    [['orders', 'cancel', ID], /--reason <TEXT>/],
    [['orders', 'cancel', ID, '--reason', ''], /--reason <TEXT>.* must not be empty/],
    [['orders', 'cancel', 'x', '--reason', 'y'], /argument 'ID'/],
    [['orders', 'stuck', '--overdue', '-1'], /--overdue <SECONDS>/],
    [['orders', 'stuck', '--attempts', ''], /--attempts <N>/],
    [['parked', 'list', '--limit', '0'], /--limit <N>/],
    [['dead-letters', 'list', '--limit', 'many'], /--limit <N>.* whole number/],
    [['dead-letters', 'show', ' '], /argument 'ID'.* empty/],
    [['dead-letters', 'replay'], /an ID or --all/],
    [['dead-letters', 'replay', ''], /argument 'ID'.* empty/],
    [['dead-letters', 'replay', 'x', '--all'], /not both/],
    [['dead-letters', 'replay', '--all', ''], /argument 'ID'.* empty/],
    [['dead-letters', 'discard', 'x'], /--reason <TEXT>/],
    [['dead-letters', 'discard', '', '--reason', 'x'], /argument 'ID'.* empty/],
    [['dead-letters', 'discard', 'x', '--reason', ' '], /--reason <TEXT>.* empty/],
    [['refunds', 'resolve', '', '--ref', 'x'], /argument 'PAYMENT'.* empty/],
    [['refunds', 'resolve', 'x'], /--ref <TEXT>/],
    [['refunds', 'resolve', 'x', '--ref', ''], /--ref <TEXT>.* empty/],
    [['refunds', 'resolve', 'x', '--ref', 'y', '--order', ''], /--order <ID>/],
    [['outbox', 'republish'], /--ticket ID, --since TIME or --all/],
    [['outbox', 'republish', '--ticket', ''], /--ticket <ID>/],
    [['outbox', 'republish', '--ticket', 'x'], /--ticket <ID>/],
    [['outbox', 'republish', '--since', ''], /--since <TIME>/],
    [['outbox', 'republish', '--since', '2026-01-31T15:00:00'], /--since <TIME>/],
    [['outbox', 'republish', '--since', 'yesterday'], /--since <TIME>.* time such as/],
    [['outbox', 'republish', '--since', '2026-02-30T00:00:00Z'], /--since <TIME>/],
    [['outbox', 'republish', '--all', '--ticket', ID], /exclude each other/],
    [['outbox', 'republish', '--all', ''], /too many arguments/],
    [['events', 'inject', 'order:created', '-'], /argument 'SUBJECT'.* payment:created/],
    [['events', 'inject', 'payment:created', ''], /argument 'FILE'.* empty/],
    [['events', 'inject', 'payment:created', '/missing'], /FILE cannot be read: ENOENT/],
    [['token'], /--user <ID>/],
    [['token', '--user', ''], /--user <ID>.* empty/],
    [['token', '--user', 'u', '--expires-in', '0'], /--expires-in <SECONDS>/],
  ])('%j: exit code 2, and what is wrong', async (args, message) => {
    const { code, stdout, stderr } = await run(args, {
      MONGO_URL: 'mongodb://unused/orders',
      NATS_URL: 'nats://unused',
    });

    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });

  it.each([
    ['orders show', [ID]],
    ['orders stuck', []],
    ['orders cancel', [ID, '--reason', 'x']],
    ['parked list', []],
    ['dead-letters list', []],
    ['dead-letters show', ['x']],
    ['dead-letters replay', ['--all']],
    ['dead-letters discard', ['x', '--reason', 'y']],
    ['refunds list', []],
    ['refunds resolve', ['x', '--ref', 'y']],
    ['outbox republish', ['--all', '--dry-run']],
    ['events inject', ['payment:created', '-']],
  ])('%s without its settings: exit code 2, and only those are named', async (command, args) => {
    const others = { NODE_ENV: 'production', JWT_KEY: 'x', PORT: 'wrong', NATS_URL: 'wrong' };
    const { code, stdout, stderr } = await run([...command.split(' '), ...args], others);

    expect({ code, stdout, stderr }).toEqual({
      code: 2,
      stdout: '',
      stderr: '1 setting is wrong\nMONGO_URL: is required (or MONGO_URL_FILE)\n',
    });
  });

  it('outbox republish names the problems of database and broker together', async () => {
    const { code, stderr } = await run(['outbox', 'republish', '--all'], { NATS_URL: 'wrong' });

    expect(code).toBe(2);
    expect(stderr.split('\n').slice(0, 3)).toEqual([
      '2 settings are wrong',
      expect.stringMatching(/^MONGO_URL: /),
      expect.stringMatching(/^NATS_URL: /),
    ]);
  });
});

describe('check-config', () => {
  it('names all problems and exits with 2, with --json as JSON too', async () => {
    const env = { PORT: 'x', NATS_URL: 'nats://u:Qz7@nats:x', JWT_KEY: 'Qz7' };
    const { code, stdout, stderr } = await run(['check-config', '--json'], env);

    expect(code).toBe(2);
    expect((JSON.parse(stdout) as { problems: string[] }).problems.map((one) => one.split(':')[0])).toEqual(
      expect.arrayContaining(['PORT', 'NATS_URL']),
    );
    expect(stderr).toMatch(/^PORT: /m);
    expect(stdout + stderr).not.toContain('Qz7');
  });

  it('shows the settings and the warnings', async () => {
    const { code, stdout, stderr } = await run(['check-config'], { JWT_KEY: 'Qz7', PORT: '81' });

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^PORT +81 +environment$/m);
    expect(stdout).toMatch(/^JWT_KEY +set +environment$/m);
    expect(stdout).toMatch(/\nWarnings:\nJWT_KEY is shorter/);
    expect(stdout).not.toContain('Qz7');
  });
});

it('ends quietly when nobody reads its output', async () => {
  const child = startProgram([ORDER_SERVICE, 'check-config'], {});
  child.stdout.destroy();
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);

  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
});

it('is in the package under its name, and on PATH in the image', () => {
  const { bin } = JSON.parse(read('package.json')) as { bin: Record<string, string> };
  expect(read(bin['order-service']!)).toMatch(/^#!\/usr\/bin\/env node\n[^]*dist\/bin\/order-service\.js/);
  expect(read('Dockerfile')).toContain('COPY --from=build /app/order-service /usr/local/bin/order-service');
});

it('makes the start of the service no slower: that loads no command', () => {
  const script =
    "require('./dist/wiring/process'); process.stdout.write(Object.keys(require.cache).join('\\n'))";
  return runProgram(['-e', script], {}).then(({ stdout }) => {
    expect(stdout).toContain('/dist/wiring/service.js');
    expect(stdout).not.toMatch(/commander|\/dist\/commands\//);
  });
});
