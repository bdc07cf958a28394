import type { Publisher } from '../../../src/application/ports';
import { NOTHING } from '../../../src/wiring/service';
import type { Between } from '../../../src/wiring/service';

/** Mistakes that the campaign must find, each as a small change of the real thing. */
const BUGS: Record<string, Between> = {
  'an event is published before its order is stored': publishBeforeCommit(),
  'a message is acknowledged before its change is stored': {
    ...NOTHING,
    bus: (bus) => ({
      ...bus,
      subscribe(subjects, receive, observe) {
        const acknowledgeFirst: typeof receive = async (message) => {
          void receive(message);
          return 'done';
        };
        bus.subscribe(subjects, acknowledgeFirst, observe);
      },
    }),
  },
};

export function bugNamed(name: string | undefined): Between {
  if (name === undefined) return NOTHING;
  const bug = BUGS[name];
  if (!bug) throw new Error(`no such bug: ${name}`);
  return bug;
}

function publishBeforeCommit(): Between {
  let publish: Publisher['publish'];
  return {
    bus(bus) {
      publish = bus.publish;
      return bus;
    },
    orders: (orders) => ({
      ...orders,
      async insert(placement) {
        for (const { subject, data, seq } of placement.events) {
          await publish(subject, data, `${placement.order.id}:${seq}`).catch(() => {});
        }
        return orders.insert(placement);
      },
    }),
  };
}
