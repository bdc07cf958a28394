import { createChangeOrder, type ChangeOrder } from '../application/change-order';
import { createCompleteOrder } from '../application/complete-order';
import { createExpireOrder } from '../application/expire-order';
import type { OperatorReads } from '../application/operator-ports';
import type { Clock, Log, OrderStore, TicketStore } from '../application/ports';
import { createTurns } from '../application/turns';
import type { OperatorDatabase } from '../commands/context';
import { createInjection, type Inject } from '../messaging/injection';
import { ticking } from './clock';
import { NO_METRICS } from './no-metrics';

type OperatorStore = Pick<OperatorDatabase, 'failedMessages' | 'outboxHistory' | 'orderHistory' | 'now'> & {
  readonly orders: OrderStore;
  readonly tickets: TicketStore;
  readonly operatorReads: OperatorReads;
};

/** The use cases of the commands over a store. Here is no relay: the running service publishes the events. */
export function createOperatorDatabase(store: OperatorStore, log: Log): OperatorDatabase {
  const clock: Clock = { ...ticking, now: store.now };
  const common = { clock, metrics: NO_METRICS, log };
  const changing = (orders: Pick<OrderStore, 'find' | 'save' | 'confirmReads'>): ChangeOrder =>
    createChangeOrder({
      orders,
      turns: createTurns(),
      // Nobody waits here.
      changes: { changed() {} },
      nudge: () => {},
      ...common,
    });

  const injecting = (
    changeOrder: ChangeOrder,
    stores: Pick<Parameters<typeof createInjection>[0], 'tickets' | 'failedMessages'>,
  ): Inject =>
    createInjection({
      ...stores,
      completeOrder: createCompleteOrder({ changeOrder, ...common }),
      expireOrder: createExpireOrder({ changeOrder, catchUp: { mayExpire: () => false }, ...common }),
      now: store.now,
    });

  const changeOrder = changing(store.orders);
  return {
    ...store,
    ...store.operatorReads,
    changeOrder,
    inject: injecting(changeOrder, store),
    decide: injecting(
      changing({ find: store.orders.find, save: async () => true, confirmReads: async () => {} }),
      {
        tickets: { apply: async () => {} },
        failedMessages: { find: store.failedMessages.find, put: async () => {} },
      },
    ),
  };
}
