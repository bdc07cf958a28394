import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

/** The executable `order-service`, as `npm run build` made it. */
export const ORDER_SERVICE = 'dist/bin/order-service.js';

/** Starts a program of this project, with this environment only. */
export function startProgram(program: readonly string[], env: NodeJS.ProcessEnv) {
  return spawn(process.execPath, program, {
    cwd: join(__dirname, '../..'),
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Runs it until it ends by itself. */
export async function runProgram(program: readonly string[], env: NodeJS.ProcessEnv, input = '') {
  const child = startProgram(program, env);
  // A program that does not read it may end before it is written.
  child.stdin.on('error', () => {}).end(input);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}
