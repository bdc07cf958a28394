import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** A small disk of its own for one server's data. */
export type Disk = ReturnType<typeof createDisk>;

/** Empty; in memory, where this process may mount; else a plain folder, that is never filled. */
export function createDisk(folder: string, megabytes: number) {
  // Of a campaign that was killed.
  run('umount', '-l', folder);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const canFill = run('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder);
  const filler = join(folder, 'filler');

  return {
    folder,
    /** Whether it is a disk of its own, that can be filled without harm to anything else. */
    canFill,
    /** Leaves not a byte. Resolves to what frees it again. */
    fill(): () => void {
      const file = openSync(filler, 'w');
      try {
        const block = Buffer.alloc(1 << 20);
        while (statfsSync(folder).bavail > 0) writeSync(file, block);
      } catch (error) {
        // That was the purpose.
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      } finally {
        closeSync(file);
      }
      return () => rmSync(filler, { force: true });
    },
    /** At once, so that a process can do it on its way out. */
    unmount(): void {
      if (canFill) run('umount', '-l', folder);
    },
  };
}

/** Whether it succeeded. */
function run(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}
