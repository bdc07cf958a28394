/**
 * Runs Schemathesis against the built service on its embedded store: signed in, not signed in, and the probes. It is
 * installed into node_modules/.cache once. Without Python 3.10, or if the installation fails, this says so and exits
 * with 0, or with 1 if `--required` is given.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const VERSION = '4.32.5';
/** Enough to find what was ever found here, in about two minutes for all runs. */
const EXAMPLES = '25';
const TICKETS = 40;
const KEY = 'a key of these runs only, long enough for HS256';
const BASE_PATH = '/api/v1/orders';
/** It expects 404 after DELETE. Here DELETE cancels an order, which is still shown, as cancelled. */
const SWITCHED_OFF = 'use_after_free';
const PROBES = '^/(livez|readyz|metrics)$';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const environment = join(root, 'node_modules', '.cache', `schemathesis-${VERSION}`);
const program = join(environment, 'bin', 'schemathesis');
const config = join(root, 'test', 'contracts', 'schemathesis');
const { signToken } = createRequire(import.meta.url)('../dist/http/tokens.js');

const missing = install();
if (missing) {
  process.stderr.write(`Schemathesis not run: ${missing}.\n`);
  if (process.argv.includes('--required')) process.exitCode = 1;
} else {
  process.exitCode = await runAll();
}

/** What is missing, if anything. */
function install() {
  if (existsSync(program)) return undefined;
  const isNewEnough = 'import sys, venv; sys.exit(sys.version_info < (3, 10))';
  if (spawnSync('python3', ['-c', isNewEnough]).status !== 0) return 'Python 3.10 is not on PATH';
  process.stderr.write(`Installing Schemathesis ${VERSION} ...\n`);
  const options = { stdio: ['ignore', 'inherit', 'inherit'] };
  const isInstalled =
    spawnSync('python3', ['-m', 'venv', environment], options).status === 0 &&
    spawnSync(
      join(environment, 'bin', 'python'),
      ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `schemathesis==${VERSION}`],
      options,
    ).status === 0;
  return isInstalled ? undefined : 'it cannot be installed';
}

async function runAll() {
  const { service, url } = await startService();
  try {
    const tickets = await announceTickets(url);
    const token = signToken(KEY, { userId: 'fuzzer', email: 'fuzzer@example.com', expiresInSeconds: 3600 });
    const env = { ...process.env, PYTHONPATH: config, TICKETS: tickets.join() };
    const orders = ['--url', url + BASE_PATH, '--exclude-path-regex', PROBES];
    const runs = [
      ['signed in', [...orders, '--header', `Authorization: Bearer ${token}`]],
      ['not signed in', orders],
      // No link leads to a probe.
      ['probes', ['--url', url, '--include-path-regex', PROBES, '--phases', 'examples,coverage,fuzzing']],
    ];
    let failed = 0;
    for (const [name, args] of runs) {
      process.stdout.write(`\nSchemathesis, ${name}:\n`);
      failed += (await run(url, args, env)) === 0 ? 0 : 1;
    }
    const answered = await statusesOf(url);
    if (!['201', '204', '409'].every((status) => answered.has(status))) {
      process.stderr.write(`Not tested: only ${[...answered].join(', ')} were answered.\n`);
      failed += 1;
    }
    return failed === 0 ? 0 : 1;
  } finally {
    service.kill();
  }
}

async function startService() {
  const service = spawn(process.execPath, [join(root, 'dist', 'main.js')], {
    env: {
      PATH: process.env.PATH,
      HOST: '127.0.0.1',
      PORT: '0',
      JWT_KEY: KEY,
      RATE_LIMIT_PER_MINUTE: '0',
      LOG_FORMAT: 'json',
      LOG_LEVEL: 'info',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const port = await new Promise((resolve, reject) => {
    service.once('exit', (code) => reject(new Error(`the service exited with ${code}`)));
    createInterface({ input: service.stdout }).on('line', (line) => {
      const { msg, port } = line.startsWith('{') ? JSON.parse(line) : {};
      if (msg === 'listening') resolve(port);
    });
  });
  return { service, url: `http://127.0.0.1:${port}` };
}

async function announceTickets(url) {
  const ids = Array.from({ length: TICKETS }, (_, i) => i.toString(16).padStart(24, '5f'));
  for (const id of ids) {
    const answer = await fetch(`${url}/development/events/ticket:created`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ id, version: 0, title: `Seat ${id}`, price: 20, userId: 'seller' }),
    });
    if (answer.status !== 202) throw new Error(`a ticket was not announced: ${answer.status}`);
  }
  return ids;
}

/** Resolves to the exit code. */
function run(url, args, env) {
  const always = [
    ...['--checks', 'all', '--exclude-checks', SWITCHED_OFF],
    ...['--max-examples', EXAMPLES, '--workers', '1', '--continue-on-failure'],
  ];
  const child = spawn(
    program,
    ['--config-file', join(config, 'schemathesis.toml'), 'run', `${url}/openapi.json`, ...always, ...args],
    // It keeps what it found in its working directory.
    { cwd: environment, env, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  return new Promise((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
}

/** Every status that the service, which must still run, has answered with. */
async function statusesOf(url) {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const counts = metrics.matchAll(/^http_request_duration_seconds_count\{.*status="(\d+)"/gm);
  return new Set([...counts].map(([, status]) => status));
}
