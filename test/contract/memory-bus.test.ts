import { createMemoryBroker } from '../../src/adapters/memory/bus';
import type { Bus } from '../../src/application/bus';
import { systemClock } from '../../src/wiring/clock';
import { silentLog } from '../support/silent';
import { REDELIVERY_WAIT_SECONDS, describeBus } from './bus.contract';

const connected: Bus[] = [];

afterEach(async () => {
  await Promise.all(connected.splice(0).map((bus) => bus.close()));
});

describeBus('the memory broker', async () => {
  const broker = createMemoryBroker({
    clock: systemClock,
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
