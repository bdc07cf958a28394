import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';

const READY_WITHIN_MS = 60_000;
const ASK_EVERY_MS = 5;
const LOG_SHOWN = 2_000;

/** Something that runs until it is stopped. */
export interface Running {
  /** Ends it and removes what it left; may be called again. */
  stop(): Promise<void>;
  /** Sends the signal before it returns. */
  kill(signal: 'SIGKILL'): unknown;
}

/** Everything that the bench has started. */
export type Processes = ReturnType<typeof createProcesses>;

export function createProcesses() {
  const all: Promise<Running>[] = [];
  const running: Running[] = [];
  let closed = false;

  return {
    /** Remembers what is being started. */
    async add<T extends Running>(starting: Promise<T>): Promise<T> {
      all.push(starting);
      const started = await starting;
      running.push(started);
      if (!closed) return started;
      await started.stop();
      throw new Error('interrupted');
    },
    /** Stops all of it, also what is just starting. What is added later is stopped at once. */
    async stopAll(): Promise<void> {
      closed = true;
      await Promise.allSettled(all);
      await Promise.allSettled([...running].reverse().map((each) => each.stop()));
    },
    killAll: () => running.forEach((each) => each.kill('SIGKILL')),
  };
}

/** A contender's process. */
export interface Program extends Running {
  readonly pid: number;
  /** From the start of the process until it answered 200, in milliseconds. */
  readonly readyAfterMs: number;
}

/** Starts a program and resolves when `readyUrl` answers 200. Its output goes to the file `log`. */
export async function startProgram(options: {
  name: string;
  command: readonly [string, ...string[]];
  env: Record<string, string>;
  readyUrl: string;
  readyHeaders?: Record<string, string>;
  log: string;
}): Promise<Program> {
  const output = openSync(options.log, 'a');
  const [program, ...args] = options.command;
  const startedAt = performance.now();
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'], ...options.env },
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  const ended = once(child, 'exit').then(([code, signal]) => {
    const log = readFileSync(options.log, 'utf8').slice(-LOG_SHOWN);
    throw new Error(`${options.name} ended with ${code ?? signal}: ${log}`);
  });
  ended.catch(() => {});
  try {
    await Promise.race([untilReady(options.name, options.readyUrl, options.readyHeaders ?? {}), ended]);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  return {
    pid: child.pid!,
    readyAfterMs: performance.now() - startedAt,
    stop: () => end(child),
    kill: (signal) => child.kill(signal),
  };
}

async function untilReady(name: string, url: string, headers: Record<string, string>): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS;
  for (;;) {
    const answer = await request(url, { headers }).catch(() => undefined);
    await answer?.body.dump();
    if (answer?.statusCode === 200) return;
    if (performance.now() > deadline) throw new Error(`${name} was not ready in time: ${url}`);
    await sleep(ASK_EVERY_MS);
  }
}

/** By SIGKILL: an orderly end takes time, and nothing of it is measured. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
