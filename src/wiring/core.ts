import { createCancelOrder } from '../application/cancel-order';
import { createCatchUp } from '../application/catch-up';
import { createChangeOrder } from '../application/change-order';
import { createCompleteOrder } from '../application/complete-order';
import { createExpireOrder, createExpirySweep } from '../application/expire-order';
import { createOrderChanges } from '../application/order-changes';
import { createOpenNumbers } from '../application/open-numbers';
import { createPlaceOrder } from '../application/place-order';
import type { Bus } from '../application/bus';
import type { FailedMessages } from '../application/failed-messages';
import type { Clock, Log, Metrics, NewId, OrderStore, Outbox, TicketStore } from '../application/ports';
import { createAwaitOrder, createFindOrder, createListOrders } from '../application/read-orders';
import { createRelay } from '../application/relay';
import { createTurns } from '../application/turns';
import type { Config } from '../config/load-config';
import { createInbox } from '../messaging/inbox';
import { createParkedMessages } from '../messaging/parked-messages';

export interface Store {
  readonly tickets: TicketStore;
  readonly orders: OrderStore;
  readonly outbox: Outbox;
  readonly failedMessages: FailedMessages;
  ready(): boolean;
}

export interface CoreDeps {
  readonly store: Store;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly expiration: Config['expiration'];
  /** 0: no limit. */
  readonly maxOpenOrdersPerUser: number;
}

/** Everything of the service that is neither HTTP nor an adapter, wired together over its ports. */
export type Core = ReturnType<typeof createCore>;

export function createCore(deps: CoreDeps) {
  const { store, bus, expiration, maxOpenOrdersPerUser, ...common } = deps;
  const { orders, outbox, failedMessages } = store;
  const { graceSeconds, windowSeconds, catchUpSeconds, catchUpLimitSeconds: hardLimitSeconds } = expiration;

  const turns = createTurns();
  const relay = createRelay({ outbox, publisher: bus, ...common });
  const databaseReady = store.ready();
  const catchUp = createCatchUp({ databaseReady, catchUpSeconds, hardLimitSeconds, ...common });
  const changes = createOrderChanges({ orders, ...common });
  const changeOrder = createChangeOrder({ orders, turns, changes, nudge: relay.nudge, ...common });
  const expireOrder = createExpireOrder({ changeOrder, catchUp, ...common });
  const inbox = createInbox({
    tickets: store.tickets,
    expireOrder,
    completeOrder: createCompleteOrder({ changeOrder, ...common }),
    catchUp,
    failedMessages,
    // Payments on which an order that has not expired yet may depend.
    watchPaymentsSeconds: windowSeconds + graceSeconds + hardLimitSeconds,
    ...common,
  });
  const findOrder = createFindOrder({ orders });
  const subscribing = subscribeOnce(store.ready, () => bus.subscribe(inbox.subscriptions));

  return {
    relay,
    parkedMessages: createParkedMessages({ failedMessages, handle: inbox.handle, ...common }),
    expirySweep: createExpirySweep({ orders, expireOrder, graceSeconds, ...common }),
    useCases: {
      placeOrder: createPlaceOrder({
        ...store,
        turns,
        openNumbers: createOpenNumbers({ orders, most: maxOpenOrdersPerUser, random: common.clock.random }),
        publish: relay.publish,
        takeLease: relay.takesMore,
        expirationWindowSeconds: windowSeconds,
        ...common,
      }),
      cancelOrder: createCancelOrder({ changeOrder, ...common }),
      findOrder,
      awaitOrder: createAwaitOrder({ findOrder, changes }),
      listOrders: createListOrders({ orders }),
    },
    /** Call this whenever the database becomes ready or is lost. */
    databaseChanged(ready: boolean): void {
      catchUp.databaseChanged(ready);
      if (ready) subscribing.look();
      else turns.forget();
    },
    /** Answers all requests that wait for a change, and later ones at once. */
    endWaits: changes.end,
    /** Subscribes as soon as the database is ready; payments catch up only while their subscriptions are up. */
    subscribe: subscribing.allow,
    /** Receives no more; resolves when what is in flight is settled and acknowledged. */
    stopReceiving(): Promise<void> {
      subscribing.end();
      return bus.stopReceiving();
    },
  };
}

/** Messages received before anything can be stored would be refused until the redelivery wait is over. */
function subscribeOnce(isReady: () => boolean, subscribe: () => void) {
  let state: 'not yet' | 'allowed' | 'over' = 'not yet';
  const end = (): void => void (state = 'over');

  function look(): void {
    if (state !== 'allowed' || !isReady()) return;
    end();
    subscribe();
  }

  function allow(): void {
    state = 'allowed';
    look();
  }

  return { allow, look, end };
}
