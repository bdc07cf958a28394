import { createMemoryBroker } from '../../src/adapters/memory/bus';
import type { Bus, Clock } from '../../src/application/ports';
import { silentLog } from '../support/silent';
import { REDELIVERY_WAIT_SECONDS, describeBus } from './bus.contract';

const clock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  random: Math.random,
  after(ms, task) {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
};

const connected: Bus[] = [];

afterEach(async () => {
  await Promise.all(connected.splice(0).map((bus) => bus.close()));
});

describeBus('the memory broker', async () => {
  const broker = createMemoryBroker({
    clock,
    log: silentLog,
    redeliveryWaitSeconds: REDELIVERY_WAIT_SECONDS,
  });
  return Promise.resolve({
    connect(member) {
      const bus = broker.connect(member);
      connected.push(bus);
      return bus;
    },
    breakBroker: async () => Promise.resolve(broker.setUp(false)),
    repairBroker: async () => Promise.resolve(broker.setUp(true)),
  });
});
