/**
 * Prepares what is missing, then becomes the watcher that runs the service from its sources and restarts it on a
 * change: in the same process, so that signals reach it.
 */
import { performance } from 'node:perf_hooks';
import { install, requireNode } from './project.mjs';

/** On Ctrl-C the terminal sends one signal and npm forwards another: a signal this soon is the same request. */
const SAME_REQUEST_MS = 500;

requireNode();
install();
// The watcher kills a service that has not ended after five seconds.
if (!process.env.SHUTDOWN_SECONDS) process.env.SHUTDOWN_SECONDS = '4';
passSignalsOnce();
endInOrder();
process.argv.splice(2, 0, 'watch', '--include=src', 'src/main.ts');
import('../node_modules/tsx/dist/cli.mjs');

/** The watcher kills the service on a second signal. */
function passSignalsOnce() {
  const emit = process.emit;
  let first = -Infinity;
  process.emit = function (event, ...args) {
    if (event === 'SIGINT' || event === 'SIGTERM') {
      const now = performance.now();
      if (now - first < SAME_REQUEST_MS) return true;
      if (first === -Infinity) first = now;
    }
    return emit.call(this, event, ...args);
  };
}

/** After a mistake in the sources no service runs, and the watcher would exit as if a signal had killed it. */
function endInOrder() {
  process.on('exit', (code) => {
    if (code === 128 + 2 || code === 128 + 15) process.exitCode = 0;
  });
}
