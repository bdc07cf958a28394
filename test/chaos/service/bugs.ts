import type { Publisher } from '../../../src/application/bus';
import { NOTHING, type Between } from '../../../src/wiring/service';
import { acknowledgeFirst, withReceive } from '../../support/subscriptions';

/** Mistakes that the campaign must find, each as a small change of the real thing. */
const BUGS: Record<string, Between> = {
  'an event is published before its order is stored': publishBeforeCommit(),
  'a message is acknowledged before its change is stored': {
    ...NOTHING,
    bus: (bus) => ({
      ...bus,
      subscribe: (subscriptions) => bus.subscribe(withReceive(subscriptions, acknowledgeFirst)),
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
        for (const { subject, data } of placement.events) await publish(subject, data).catch(() => {});
        return orders.insert(placement);
      },
    }),
  };
}
