import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { textOf, USER } from './attempt';
import { reachBroker } from './broker';
import { caller } from './orders';
import type { Settings } from './settings';

/** Tests the service as a peer and a buyer. Leaves a ticket and a cancelled order behind. */
export async function smoke(settings: Settings): Promise<void> {
  const step = steps(settings.deadlineMs);
  const call = caller(settings);
  const ticketId = randomBytes(12).toString('hex');
  const ticket = { id: ticketId, version: 0, title: 'Smoke test', price: 1, userId: USER };

  const broker = await step('connect to the broker', () => reachBroker(settings));
  await step('subscribe to order:created', () => broker.listen('order:created'));
  await step('subscribe to order:cancelled', () => broker.listen('order:cancelled'));
  await step(`publish ticket ${ticketId}`, () => broker.publish('ticket:created', ticket));
  const { id } = await step('place an order', () => call('POST', '', { ticketId }));
  const path = `/${String(id)}`;
  await step(`read order ${String(id)}`, () => call('GET', path));
  await step('receive OrderCreated', () => broker.heard('order:created', { id, version: 0 }));
  await step('cancel the order', () => call('DELETE', path));
  await step('receive OrderCancelled', () => broker.heard('order:cancelled', { id, version: 1 }));
  await broker.close();
}

/** Tries each step until it succeeds; all steps share one deadline. */
function steps(milliseconds: number) {
  const deadline = performance.now() + milliseconds;
  return async <T>(what: string, attempt: () => T | string | Promise<T | string>): Promise<T> => {
    try {
      for (;;) {
        const result = await attempt();
        if (typeof result !== 'string') {
          process.stdout.write(`ok   ${what}\n`);
          return result;
        }
        if (performance.now() > deadline) throw new Error(`${result}, and time is up`);
        await pause(100);
      }
    } catch (error) {
      throw new Error(`FAIL ${what}: ${textOf(error)}`, { cause: error });
    }
  };
}
