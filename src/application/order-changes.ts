import type { Order } from '../domain/order';
import type { Cancel, Clock, Log, OrderStore } from './ports';
import { jittered, reportTo } from './schedule';

type OrderVersion = Pick<Order, 'id' | 'version'>;

export interface OrderChanges {
  /**
   * Resolves when the order has a higher version; at the latest after `ms`, at `end`, or when the signal aborts. False:
   * it was not waited for, because too many wait already, or nobody needs the answer any more.
   */
  after(order: OrderVersion, ms: number, signal: AbortSignal): Promise<boolean>;
  /** This replica has changed the order: those who wait for it are told at once. */
  changed(order: OrderVersion): void;
  /** Ends all waits, and later ones at once. */
  end(): void;
}

const POLL_EVERY_MS = 250;
const MOST_WAITING = 10_000;

interface Wait {
  readonly version: number;
  readonly end: (toRead: boolean) => void;
}

/**
 * Waits for changes of orders by any replica. All waits of this replica share one poll of the versions, which runs only
 * while there are any. They go on while the database is unavailable.
 */
export function createOrderChanges(deps: {
  orders: Pick<OrderStore, 'versions'>;
  clock: Pick<Clock, 'after' | 'random'>;
  log: Pick<Log, 'debug' | 'warn'>;
}): OrderChanges {
  const { orders, clock } = deps;
  const reportError = reportTo(deps.log, 'looking for changed orders failed and will be tried again');
  const waits = createWaits();
  let ended = false;
  let cancelPoll: Cancel | undefined;
  let inFlight = false;

  function pollSoon(): void {
    if (inFlight || cancelPoll || waits.count() === 0) return;
    cancelPoll = clock.after(jittered(clock, POLL_EVERY_MS), () => void poll());
  }

  async function poll(): Promise<void> {
    cancelPoll = undefined;
    inFlight = true;
    try {
      const versions = await orders.versions(waits.orderIds());
      for (const [id, version] of versions) changed({ id, version });
    } catch (error) {
      reportError(error);
    }
    inFlight = false;
    pollSoon();
  }

  function changed({ id, version }: OrderVersion): void {
    for (const wait of waits.of(id)) if (version > wait.version) wait.end(true);
  }

  function after({ id, version }: OrderVersion, ms: number, signal: AbortSignal): Promise<boolean> {
    if (ended || signal.aborted || waits.count() >= MOST_WAITING) return Promise.resolve(false);
    return new Promise((resolve) => {
      const cancelTimer = clock.after(ms, () => wait.end(true));
      const abort = (): void => wait.end(false);
      signal.addEventListener('abort', abort);
      const wait: Wait = {
        version,
        end(toRead) {
          waits.remove(id, wait);
          cancelTimer();
          signal.removeEventListener('abort', abort);
          if (waits.count() === 0) {
            cancelPoll?.();
            cancelPoll = undefined;
          }
          resolve(toRead);
        },
      };
      waits.add(id, wait);
      pollSoon();
    });
  }

  function end(): void {
    ended = true;
    for (const id of waits.orderIds()) for (const wait of waits.of(id)) wait.end(true);
  }

  return { after, changed, end };
}

/** The waits by order. */
function createWaits() {
  const byOrder = new Map<string, Set<Wait>>();
  let count = 0;

  return {
    count: () => count,
    orderIds: () => [...byOrder.keys()],
    of: (orderId: string) => [...(byOrder.get(orderId) ?? [])],
    add(orderId: string, wait: Wait): void {
      byOrder.set(orderId, (byOrder.get(orderId) ?? new Set()).add(wait));
      count += 1;
    },
    remove(orderId: string, wait: Wait): void {
      const others = byOrder.get(orderId);
      others?.delete(wait);
      if (others?.size === 0) byOrder.delete(orderId);
      count -= 1;
    },
  };
}
