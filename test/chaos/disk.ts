import { execFile } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A small disk of its own for one server's data. */
export interface Disk {
  readonly folder: string;
  /** Whether it is a disk of its own, that can be filled without harm to anything else. */
  readonly canFill: boolean;
  /** Leaves not a byte. Resolves to what frees it again. */
  fill(): () => void;
  unmount(): Promise<void>;
}

/** In memory, where this process may mount; else a plain folder, that is never filled. */
export async function createDisk(folder: string, megabytes: number): Promise<Disk> {
  mkdirSync(folder, { recursive: true });
  const canFill = await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder]).then(
    () => true,
    () => false,
  );
  const filler = join(folder, 'filler');

  return {
    folder,
    canFill,
    fill() {
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
    async unmount() {
      if (canFill) await run('umount', ['-l', folder]).catch(() => {});
    },
  };
}
