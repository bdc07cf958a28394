import { createCancelOrder } from '../application/cancel-order';
import { createCatchUp } from '../application/catch-up';
import { createChangeOrder } from '../application/change-order';
import { createCompleteOrder } from '../application/complete-order';
import { createExpireOrder, createExpirySweep } from '../application/expire-order';
import { createPlaceOrder } from '../application/place-order';
import type {
  Bus,
  Clock,
  FailedMessages,
  Log,
  Metrics,
  NewId,
  OrderStore,
  Outbox,
  TicketStore,
} from '../application/ports';
import { createFindOrder, createListOrders } from '../application/read-orders';
import { createRelay } from '../application/relay';
import { createTurns } from '../application/turns';
import type { Config } from '../config/load-config';
import { createInbox } from '../messaging/inbox';
import { createParkedMessages } from '../messaging/parked-messages';

const PAYMENTS = 'payment:created';

/** Everything of the service that is neither HTTP nor an adapter, wired together over its ports. */
export type Core = ReturnType<typeof createCore>;

export function createCore(deps: {
  store: {
    tickets: TicketStore;
    orders: OrderStore;
    outbox: Outbox;
    failedMessages: FailedMessages;
    ready(): boolean;
  };
  bus: Bus;
  clock: Clock;
  newId: NewId;
  metrics: Metrics;
  log: Log;
  expiration: Config['expiration'];
}) {
  const { store, bus, clock, metrics, log, expiration } = deps;
  const { orders, tickets, outbox, failedMessages } = store;

  const turns = createTurns();
  const relay = createRelay({ outbox, publisher: bus, clock, metrics, log });
  const catchUp = createCatchUp({
    clock,
    databaseReady: store.ready(),
    catchUpSeconds: expiration.catchUpSeconds,
    hardLimitSeconds: expiration.catchUpLimitSeconds,
    log,
  });
  const changeOrder = createChangeOrder({ orders, turns, nudge: relay.nudge, clock, metrics });
  const expireOrder = createExpireOrder({ changeOrder, catchUp, clock, metrics, log });
  const completeOrder = createCompleteOrder({ changeOrder, metrics, log });
  const inbox = createInbox({
    tickets,
    expireOrder,
    completeOrder,
    catchUp,
    failedMessages,
    clock,
    metrics,
    log,
  });
  const { graceSeconds, windowSeconds } = expiration;
  let subscribing: 'not yet' | 'waits for the database' | 'begun' | 'over' = 'not yet';

  /** What is heard before anything can be stored would be refused, and come again only after the redelivery wait. */
  function subscribeOnceReady(): void {
    if (subscribing !== 'waits for the database' || !store.ready()) return;
    subscribing = 'begun';
    bus.subscribe(inbox.subjects, inbox.receive, {
      up(subject) {
        if (subject === PAYMENTS) catchUp.subscribed('group');
      },
      down(subject) {
        if (subject === PAYMENTS) catchUp.lost('group');
      },
    });
    // Those that an order which has not expired yet can be waiting for.
    const sinceSeconds = windowSeconds + graceSeconds + expiration.catchUpLimitSeconds;
    bus.watch(PAYMENTS, sinceSeconds * 1000, inbox.hearPayment, {
      up: () => catchUp.subscribed('watch'),
      down: () => catchUp.lost('watch'),
    });
  }

  return {
    relay,
    parkedMessages: createParkedMessages({ failedMessages, handle: inbox.handle, clock, metrics, log }),
    expirySweep: createExpirySweep({ orders, expireOrder, clock, graceSeconds, log }),
    useCases: {
      placeOrder: createPlaceOrder({
        orders,
        tickets,
        turns,
        publish: relay.publish,
        takeLease: relay.takesMore,
        clock,
        newId: deps.newId,
        metrics,
        log,
        expirationWindowSeconds: windowSeconds,
      }),
      cancelOrder: createCancelOrder({ changeOrder, metrics }),
      findOrder: createFindOrder({ orders }),
      listOrders: createListOrders({ orders }),
    },
    /** To be told whenever the database was found or lost. */
    databaseChanged(ready: boolean): void {
      catchUp.databaseChanged(ready);
      if (ready) subscribeOnceReady();
      else turns.forget();
    },
    /** Begins to hear as soon as the database is ready; payments are caught up on only while their subscriptions are up. */
    subscribe(): void {
      subscribing = 'waits for the database';
      subscribeOnceReady();
    },
    /** Hears no more; resolves when what is in flight is settled and acknowledged. */
    stopReceiving(): Promise<void> {
      subscribing = 'over';
      return bus.stopReceiving();
    },
  };
}
