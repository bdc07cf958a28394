import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { serverBinary } from './servers';

/** A command of this project as somebody runs it by hand, and what that person sees of it. */
export type Terminal = ReturnType<typeof watched>;

const ROOT = join(__dirname, '../..');
const COLOURS = /\x1b\[[\d;]*[A-Za-z]/g; // eslint-disable-line no-control-regex

/** What is written to its standard input is typed in a pseudo-terminal; it ends as the command does. */
const TYPE_IN_TERMINAL = `
import os, pty, sys
status = pty.spawn(sys.argv[1:])
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
`;

/** In a pseudo-terminal. Call it under `describeWith(['python3'], …)`. */
export function inTerminal(command: readonly string[], env: Record<string, string>): Terminal {
  const child = spawn(serverBinary('python3'), ['-c', TYPE_IN_TERMINAL, ...command], options(env));
  return watched(
    child,
    () => child.stdin?.write('\x03'),
    // The terminal goes with it, and what runs in a terminal that is closed is told to end.
    () => child.kill('SIGKILL'),
  );
}

/** In a process group of its own, which gets what the group in the foreground of a terminal would. */
export function inProcessGroup(command: readonly string[], env: Record<string, string>): Terminal {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { ...options(env), detached: true });
  const toGroup = (signal: NodeJS.Signals) => {
    if (child.pid !== undefined && endOf(child) === undefined) process.kill(-child.pid, signal);
  };
  return watched(
    child,
    () => toGroup('SIGINT'),
    () => toGroup('SIGKILL'),
  );
}

function options(env: Record<string, string>) {
  const { PATH, HOME } = process.env;
  // npm asks for news otherwise.
  return { cwd: ROOT, env: { PATH, HOME, NO_UPDATE_NOTIFIER: '1', ...env }, stdio: 'pipe' as const };
}

function watched(child: ChildProcess, pressCtrlC: () => void, kill: () => void) {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data: Buffer) => (output += data.toString()));
  }
  child.stdin?.on('error', () => {});
  const closed = once(child, 'close');
  const ended = () => endOf(child);
  return {
    /** Everything that was printed so far, without colours. */
    output: () => output.replace(COLOURS, ''),
    pressCtrlC,
    /** Undefined while it runs; then its exit code, or the signal that ended it. */
    ended,
    /** Ends everything that was started in it. */
    async close(): Promise<void> {
      if (ended() === undefined) kill();
      await closed;
    },
  };
}

function endOf({ exitCode, signalCode }: ChildProcess): number | NodeJS.Signals | undefined {
  return exitCode ?? signalCode ?? undefined;
}
