import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** One process of the campaign, to be killed, frozen and started again. */
export type Child = ReturnType<typeof createChild>;

export function createChild(options: {
  name: string;
  spawn: () => ChildProcess;
  /** Resolves when what was spawned can be used. */
  ready: (child: ChildProcess) => Promise<unknown>;
  /** Every end of it. */
  onExit: (code: number | null, signal: NodeJS.Signals | null) => void;
}) {
  let current: ChildProcess | undefined;

  const isRunning = () => current !== undefined && current.exitCode === null && current.signalCode === null;

  return {
    name: options.name,
    /** Of the process that runs now. */
    process: () => current,
    isRunning,
    /** Resolves when it listens. Rejects when it ends before that. */
    async start(): Promise<void> {
      const child = options.spawn();
      current = child;
      const ended = once(child, 'exit').then(([code, signal]) => {
        options.onExit(code as number | null, signal as NodeJS.Signals | null);
        throw new Error(`${options.name} ended while it was starting: its log tells why`);
      });
      // Its end is reported by `onExit`; here it only interrupts the start.
      ended.catch(() => {});
      await Promise.race([options.ready(child), ended]);
    },
    /** SIGKILL and SIGTERM resolve when it is gone, the others at once. */
    async signal(signal: NodeJS.Signals): Promise<void> {
      const child = current;
      if (!child || !isRunning()) return;
      const gone = once(child, 'exit');
      child.kill(signal);
      if (signal === 'SIGKILL' || signal === 'SIGTERM') await gone;
    },
  };
}
