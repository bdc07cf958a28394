import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { textOf, USER } from './attempt';
import { reachBroker } from './broker';
import { caller } from './orders';
import type { Settings } from './settings';

/** A step that succeeded, or failed for a reason. */
export interface Step {
  readonly step: string;
  readonly failure?: string;
}

type Report = (step: Step) => Promise<void>;

/**
 * Tests the service as a peer and a buyer. Leaves a ticket and a cancelled order behind. Resolves to whether all steps
 * succeeded; ends at the first that fails.
 */
export async function smoke(settings: Settings, report: Report): Promise<boolean> {
  const step = steps(settings.deadlineMs, report);
  let close = async (): Promise<void> => {};
  try {
    const broker = await step('connect to the broker', () => reachBroker(settings));
    close = broker.close;
    await tryAll(settings, broker, step);
    return true;
  } catch (error) {
    if (error instanceof StepFailed) return false;
    throw error;
  } finally {
    await close();
  }
}

type Broker = Exclude<Awaited<ReturnType<typeof reachBroker>>, string>;

async function tryAll(settings: Settings, broker: Broker, step: ReturnType<typeof steps>): Promise<void> {
  const call = caller(settings);
  const ticketId = randomBytes(12).toString('hex');
  const ticket = { id: ticketId, version: 0, title: 'Smoke test', price: 1, userId: USER };

  await step('subscribe to order:created', () => broker.listen('order:created'));
  await step('subscribe to order:cancelled', () => broker.listen('order:cancelled'));
  await step(`publish ticket ${ticketId}`, () => broker.publish('ticket:created', ticket));
  const { id } = await step('place an order', () => call('POST', '', { ticketId }));
  const path = `/${String(id)}`;
  await step(`read order ${String(id)}`, () => call('GET', path));
  await step('receive OrderCreated', () => broker.heard('order:created', { id, version: 0 }));
  await step('cancel the order', () => call('DELETE', path));
  await step('receive OrderCancelled', () => broker.heard('order:cancelled', { id, version: 1 }));
}

/** The step was reported. */
class StepFailed extends Error {
  readonly code = 'step-failed';
  override readonly name = 'StepFailed';
}

/** Tries each step until it succeeds; all steps share one deadline. */
function steps(milliseconds: number, report: Report) {
  const deadline = performance.now() + milliseconds;
  return async <T>(what: string, attempt: () => T | string | Promise<T | string>): Promise<T> => {
    try {
      for (;;) {
        const result = await attempt();
        if (typeof result !== 'string') {
          await report({ step: what });
          return result;
        }
        if (performance.now() > deadline) throw new Error(`${result}, and time is up`);
        await pause(100);
      }
    } catch (error) {
      await report({ step: what, failure: textOf(error) });
      throw new StepFailed(what, { cause: error });
    }
  };
}
