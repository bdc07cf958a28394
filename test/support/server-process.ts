import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually';

/** A real server with its data in a folder of its own, to be killed and started again. */
export interface ServerProcess {
  readonly url: string;
  readonly port: number;
  /** Any signal; resolves when the process is gone, or at once for SIGSTOP and SIGCONT. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again, on the same port and data. */
  restart(): Promise<void>;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

export async function startServer(server: {
  program: string;
  args: (port: number, folder: string) => string[];
  url: (port: number) => string;
  /** What it prints when it can be used, where that is later than when it listens. */
  readyText?: string;
}): Promise<ServerProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'server-'));
  const port = await freePort();
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    const log = openSync(`${folder}.log`, 'a');
    const printedBefore = fstatSync(log).size;
    child = spawn(server.program, server.args(port, folder), { stdio: ['ignore', log, log] });
    closeSync(log);
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`ended with ${code}: ${readFileSync(`${folder}.log`, 'utf8').slice(-2_000)}`);
    });
    ended.catch(() => {});
    const { readyText } = server;
    const isReady = async () => {
      await listens(port);
      const printed = readFileSync(`${folder}.log`, 'utf8').slice(printedBefore);
      if (readyText !== undefined && !printed.includes(readyText)) throw new Error(`not ready: ${printed}`);
    };
    await Promise.race([eventually(isReady, 20_000), ended]);
  }

  async function kill(signal: NodeJS.Signals): Promise<void> {
    const target = child;
    if (!target || target.exitCode !== null || target.signalCode !== null) return;
    const gone = once(target, 'exit');
    target.kill(signal);
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await gone;
  }

  await start();
  return {
    url: server.url(port),
    port,
    kill,
    restart: start,
    async stop() {
      await kill('SIGKILL');
      await Promise.all([folder, `${folder}.log`].map((path) => rm(path, { recursive: true, force: true })));
    },
  };
}

/** Below those that the system gives to connections, and to whoever listens anywhere: none of them takes it meanwhile. */
const PORTS = { first: 10_000, perProcess: 100, processes: 200 };
let portsGiven = 0;

/** A port that nobody listens on. Each process has its own hundred, and gives them in turn. */
export async function freePort(): Promise<number> {
  const first = PORTS.first + (process.pid % PORTS.processes) * PORTS.perProcess;
  for (let tries = 0; tries < PORTS.perProcess; tries += 1) {
    const port = first + (portsGiven++ % PORTS.perProcess);
    if (await isFree(port)) return port;
  }
  throw new Error(`no port is free from ${first} on`);
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer().listen(port, '127.0.0.1');
  try {
    await once(probe, 'listening');
  } catch {
    return false;
  }
  probe.close();
  await once(probe, 'close');
  return true;
}

export async function listens(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}
