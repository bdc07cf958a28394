/**
 * The service as a campaign runs it: the same code from end to end, with crash points between the core and its
 * adapters, a clock that may be wrong, and a look inside. It is no part of what is delivered, and refuses to be.
 */
import './skewed-clock';
import { run } from '../../../src/wiring/process';
import { bugNamed } from './bugs';
import { createCrashPoints } from './crash-points';
import { answerVitals } from './vitals';

if (process.env['NODE_ENV'] === 'production') {
  process.stderr.write('This build has crash points: it is refused in production.\n');
  process.exit(1);
}
// Nobody is left to end it.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

const crashPoints = createCrashPoints();
const bug = bugNamed(process.env['CHAOS_BUG']);
answerVitals();
run(process.env, {
  orders: (orders) => crashPoints.orders(bug.orders(orders)),
  bus: (bus) => crashPoints.bus(bug.bus(bus)),
});
