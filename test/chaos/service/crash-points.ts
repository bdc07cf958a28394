import { writeSync } from 'node:fs';
import type { Bus, Receive } from '../../../src/application/bus';
import type { OrderStore } from '../../../src/application/ports';
import type { CrashPoint } from '../crash-points';
import type { Between } from '../../../src/wiring/service';
import { withReceive } from '../../support/subscriptions';

const STDOUT = 1;

/**
 * Places where a crash hurts most. The campaign arms one of them by a message; the process kills itself the next time
 * it comes by, as dead as by a signal from outside.
 */
export function createCrashPoints(): Between {
  let armed: CrashPoint | undefined;
  process.on('message', (message: { arm?: CrashPoint }) => {
    if (message.arm) armed = message.arm;
  });

  function reach(point: CrashPoint): void {
    if (armed !== point) return;
    // What is written synchronously is out before the end.
    writeSync(STDOUT, `${JSON.stringify({ crashPoint: point })}\n`);
    process.kill(process.pid, 'SIGKILL');
  }

  function orders(real: OrderStore): OrderStore {
    return {
      ...real,
      async insert(placement) {
        const result = await real.insert(placement);
        if (result.type === 'inserted') reach('after an insert, before its publish');
        return result;
      },
      async save(change) {
        const saved = await real.save(change);
        if (saved) reach('after a change, before its publish');
        return saved;
      },
    };
  }

  function reachAfter(receive: Receive): Receive {
    return async (message) => {
      const verdict = await receive(message);
      if (verdict === 'done') reach('after a consumer’s write, before its acknowledgement');
      return verdict;
    };
  }

  function bus(real: Bus): Bus {
    return {
      ...real,
      async publish(subject, data) {
        let answered = false;
        const publishing = real.publish(subject, data).finally(() => (answered = true));
        afterItWasSent(() => {
          if (!answered) reach('after a publish, before its acknowledgement');
        });
        await publishing;
        reach('after an acknowledgement, before the bookkeeping');
      },
      subscribe: (subscriptions) => real.subscribe(withReceive(subscriptions, reachAfter)),
    };
  }

  return { orders, bus };
}

/** The client hands its bytes to the kernel within this turn of the event loop or the next one. */
function afterItWasSent(task: () => void): void {
  setImmediate(() => setImmediate(task));
}
