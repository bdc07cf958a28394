import { deadLettersContract } from './failed-messages.contract';
import { ordersContract } from './orders.contract';
import { outboxContract } from './outbox.contract';
import type { SetUp, StoreHarness } from './store-harness';
import { ticketsContract } from './tickets.contract';

/** What every store promises. Called inside a `describe`. */
export function storeContract(open: () => Promise<StoreHarness>): void {
  const harnesses: StoreHarness[] = [];

  const setUp: SetUp = async () => {
    const harness = await open();
    harnesses.push(harness);
    return { harness, a: await harness.connect('replica-a'), b: await harness.connect('replica-b') };
  };

  afterEach(async () => {
    await Promise.all(harnesses.splice(0).map((harness) => harness.close()));
  });

  ordersContract(setUp);
  outboxContract(setUp);
  ticketsContract(setUp);
  deadLettersContract(setUp);
}
