import type { Bus, PublishFailed, Subscription } from '../../src/application/bus';
import type { Change, OrderStore, OutboxEvent, StoredOrder } from '../../src/application/ports';
import { acknowledgeFirst, withReceive } from '../support/subscriptions';
import type { BrokerBus } from './broker';
import type { Bug, Options } from './run';

interface PlantedBug extends Options {
  /** The invariants that may find it; whichever it is that a seed comes to first. */
  readonly breaks: readonly string[];
}

/** Mistakes that services of this kind make, each as a small change of the real thing. */
export const PLANTED: Record<string, PlantedBug> = {
  'no unique index on the turns of a ticket': {
    bug: { missingIndexes: ['ticket.id,turn'] },
    breaks: ['I1 one holder'],
  },
  'no unique index on idempotency keys': {
    bug: { missingIndexes: ['idempotencyKey'] },
    breaks: ['one order for each idempotency key'],
  },
  'no unique index on the turns at the numbers of a user': {
    bug: { missingIndexes: ['userId,openNumber,openTurn'] },
    breaks: ['the open orders of a user are limited'],
  },
  'no version guard': {
    bug: overOrders((orders) => ({ save: (change) => saveAnyway(orders, change) })),
    breaks: [
      'I6 the state is one that can be reached',
      'I6 the outbox tells the state',
      'I7 each payment is counted once',
    ],
  },
  'a cancelled order is cancelled again when it expires': {
    bug: overOrders((orders) => ({ find: async (id) => asOpen(await orders.find(id)) })),
    breaks: ['I6 the state is one that can be reached'],
  },
  'a late payment completes the order': {
    bug: overOrders((orders) => ({
      save: (change) => {
        const isLate = change.before.order.status === 'cancelled';
        return orders.save(isLate ? { ...change, change: { ...change.change, status: 'complete' } } : change);
      },
    })),
    breaks: ['I6 the state is one that can be reached'],
  },
  'a payment that is known counts again': {
    bug: overOrders((orders) => ({ find: async (id) => withUnknownPayments(await orders.find(id)) })),
    breaks: ['I7 each payment is counted once', 'I7 one charge is kept or refunded once'],
  },
  'a second payment is kept too': {
    bug: overOrders((orders) => ({ save: (change) => orders.save(withoutRefunds(change)) })),
    breaks: ['I6 the state is one that can be reached', 'I7 one payment is kept by a complete order'],
  },
  'an event that is stored is written anew with the next one': {
    bug: { rewriteUpdate: rewriteOutbox },
    breaks: ['I6 the transition is legal'],
  },
  'an order goes to another user when it changes': {
    bug: { rewriteUpdate: anotherUser },
    breaks: ['I5 every 201 is kept'],
  },
  'a refund is not asked for': {
    bug: overOrders((orders) => ({
      save: (change) => orders.save({ ...change, events: otherEvents(change) }),
    })),
    breaks: ['I7 others are refunded once'],
  },
  'an answer before the write is acknowledged': {
    bug: overOrders((orders) => ({
      insert: (placement) => {
        void orders.insert(placement).catch(() => {});
        return Promise.resolve({ type: 'inserted' });
      },
    })),
    breaks: ['I5 what was answered is stored: placed'],
  },
  'an answer that rests on a read that may be taken back': {
    bug: overOrders(() => ({ confirmReads: async () => {} })),
    breaks: ['I5 what was answered is stored: cancelled', 'what was acknowledged is stored'],
  },
  'overdue orders are not looked for': {
    bug: overOrders(() => ({ overdue: async () => [] })),
    breaks: ['I8 converged'],
  },

  'the provider’s id of a charge is not looked at': {
    bug: overOrders((orders) => ({ find: async (id) => withoutProviderIds(await orders.find(id)) })),
    breaks: ['I7 one charge is kept or refunded once', 'I7 each payment is counted once'],
  },
  'any order that a ticket is held for counts as ours': {
    bug: overOrders((orders) => ({
      find: async (id) => (await orders.find(id)) ?? ({ order: { id } } as StoredOrder),
    })),
    breaks: ['what is held elsewhere is not sold'],
  },

  // --- publishing ---------------------------------------------------------------------------------------
  'an event is published before its order is stored': {
    bug: overOrders((orders, bus) => ({
      async insert(placement) {
        await publishAll(bus, placement.events);
        return orders.insert(placement);
      },
    })),
    breaks: ['I4 no message without its change'],
  },
  'an event is published before its change is stored': {
    bug: overOrders((orders, bus) => ({
      async save(change) {
        await publishAll(bus, change.events);
        return orders.save(change);
      },
    })),
    breaks: ['I4 no message without its change'],
  },
  'pending as a flag instead of a count': {
    bug: { rewriteUpdate: pendingAsAFlag },
    breaks: ['I3 bookkeeping'],
  },
  'a save that sets what it read of the bookkeeping': {
    bug: { rewriteUpdate: overwritePending },
    breaks: ['I3 bookkeeping'],
  },
  'a lease that never expires': { bug: { rewriteUpdate: leaseForEver }, breaks: ['I8 converged'] },
  'a lease that nobody respects': {
    bug: { rewriteUpdate: noLease },
    faultless: true,
    breaks: ['only the holder of a lease publishes'],
  },
  'an event counts as published before the broker has acknowledged it': {
    bug: overBus((bus) => ({
      publish: async (...event) => void bus.publish(...event).catch(() => {}),
    })),
    breaks: [
      'I3 first occurrences in order',
      'I3 a ticket’s earlier orders first',
      'I2 every event is in its channel',
    ],
  },
  'an event counts as published when its connection closes': {
    bug: overBus((bus) => ({
      publish: (...event) =>
        bus.publish(...event).catch((failure: PublishFailed) => {
          if (failure.reason !== 'disconnected') throw failure;
        }),
    })),
    breaks: [
      'I3 first occurrences in order',
      'I3 a ticket’s earlier orders first',
      'I2 every event is in its channel',
    ],
  },
  'an earlier order is not waited for': {
    bug: {
      planted: {
        outbox: (outbox) => ({
          ...outbox,
          claim: async (orderId) => asFirst(await outbox.claim(orderId)),
          claimable: async (...page) => (await outbox.claimable(...page)).map(asFirst),
        }),
        orders: (orders) => ({
          ...orders,
          async insert(placement) {
            const result = await orders.insert(placement);
            if (result.type !== 'inserted' || !result.lease) return result;
            return { ...result, lease: asFirst(result.lease) };
          },
        }),
      },
    },
    breaks: ['I3 a ticket’s earlier orders first'],
  },
  'a connection is trusted after an acknowledgement did not come': {
    bug: { trustsConnectionsInDoubt: true },
    breaks: ['nothing is published on a connection in doubt'],
  },

  // --- consuming ----------------------------------------------------------------------------------------
  'a message is acknowledged before its change is stored': {
    bug: overBus((bus) => ({
      subscribe: (subscriptions) => bus.subscribe(withReceive(subscriptions, acknowledgeFirst)),
    })),
    breaks: ['what was acknowledged is stored'],
  },
  'a replica that stops unsubscribes': {
    bug: overBus((bus) => ({
      stopReceiving() {
        bus.unsubscribe();
        return bus.stopReceiving();
      },
    })),
    breaks: ['what was acknowledged is not delivered as new'],
  },
  'an expiry that does not wait for payments': {
    bug: {
      expiration: { catchUpSeconds: 0 },
      ...overBus((bus) => ({
        subscribe: (subscriptions) => bus.subscribe(subscriptions.map(deaf)),
      })),
    },
    breaks: ['I7 paid in time is not expired'],
  },
  'an expiry that has waited enough after an outage of the database': {
    bug: {
      planted: {
        databaseChanged: (tell) => (ready) => {
          tell(ready);
          if (!ready) tell(true);
        },
      },
    },
    breaks: ['I7 paid in time is not expired'],
  },
  'a ticket’s second insert counts as stale': {
    bug: staleOnDuplicate(),
    breaks: ['what was acknowledged is stored'],
  },
  'dead letters are dropped': {
    bug: { planted: { failedMessages: (failed) => ({ ...failed, put: async () => {} }) } },
    breaks: ['what was acknowledged is stored'],
  },
  'a dead letter does not keep the message as it came': {
    bug: {
      planted: {
        failedMessages: (failed) => ({
          ...failed,
          put: (one) => failed.put({ ...one, data: JSON.stringify(one.data) }),
        }),
      },
    },
    breaks: ['I10 dead letters are the poison'],
  },
};

function overOrders(change: (orders: OrderStore, bus: Bus) => Partial<OrderStore>): Bug {
  return { planted: { orders: (orders, bus) => ({ ...orders, ...change(orders, bus) }) } };
}

function overBus(change: (bus: BrokerBus) => Partial<Bus>): Bug {
  return { planted: { bus: (bus) => ({ ...bus, ...change(bus) }) } };
}

/** What cannot be published now is left to the relay. */
async function publishAll(bus: Bus, events: readonly OutboxEvent[]): Promise<void> {
  for (const { subject, data } of events) await bus.publish(subject, data).catch(() => {});
}

function deaf(one: Subscription): Subscription {
  return one.mode === 'watch' ? { ...one, hear() {} } : one;
}

/** With whatever version is there by now. */
async function saveAnyway(orders: OrderStore, change: Parameters<OrderStore['save']>[0]): Promise<boolean> {
  const now = await orders.find(change.before.order.id);
  return now ? orders.save({ ...change, before: now }) : false;
}

function asOpen(stored: StoredOrder | undefined): StoredOrder | undefined {
  if (stored?.order.status !== 'cancelled') return stored;
  return { ...stored, order: { ...stored.order, status: 'created' } };
}

/** As if each of them had been another one. */
function withUnknownPayments(stored: StoredOrder | undefined): StoredOrder | undefined {
  if (stored === undefined) return stored;
  const payments = stored.order.payments.map((payment) => ({ ...payment, id: `not ${payment.id}` }));
  return { ...stored, order: { ...stored.order, payments } };
}

/** As if the payment services of all orders had told none. */
function withoutProviderIds(stored: StoredOrder | undefined): StoredOrder | undefined {
  if (stored === undefined) return stored;
  const payments = stored.order.payments.map(({ stripeId: _, ...payment }) => payment);
  return { ...stored, order: { ...stored.order, payments } };
}

function withoutRefunds(change: Change): Change {
  const { payment } = change.change;
  if (!payment) return change;
  const { refund: _, ...kept } = payment;
  return { ...change, change: { ...change.change, payment: kept }, events: otherEvents(change) };
}

function otherEvents({ events }: Change): Change['events'] {
  return events.filter(({ subject }) => subject !== 'order:refund-required');
}

type Rewrite = NonNullable<Bug['rewriteUpdate']>;
type Publishing = { pending: number };

/** The same update, which sets these fields besides. */
function setting(update: Parameters<Rewrite>[0], fields: object): Parameters<Rewrite>[0] {
  return { ...update, $set: { ...update['$set'], ...fields } };
}

function pendingAsAFlag(...[update]: Parameters<Rewrite>): ReturnType<Rewrite> {
  const { 'publishing.pending': added, ...others } = update['$inc'] ?? {};
  if (added === undefined) return update;
  return setting({ ...update, $inc: others }, { 'publishing.pending': Number(added) > 0 ? 1 : 0 });
}

/** As if nothing had been pending when the order was read. */
function overwritePending(...[update, before]: Parameters<Rewrite>): ReturnType<Rewrite> {
  const { 'publishing.pending': added, ...others } = update['$inc'] ?? {};
  if (added === undefined || Number(added) < 0) return update;
  const { pending } = before['publishing'] as Publishing;
  if (pending === 0) return update;
  return setting({ ...update, $inc: others }, { 'publishing.pending': added });
}

function rewriteOutbox(...[update, before]: Parameters<Rewrite>): ReturnType<Rewrite> {
  const { outbox, ...others } = update['$push'] ?? {};
  if (outbox === undefined) return update;
  const { $each } = outbox as { $each: unknown[] };
  const rewritten = (before['outbox'] as OutboxEvent[]).map((event) => ({
    ...event,
    data: `${event.data} `,
  }));
  return setting({ ...update, $push: others }, { outbox: [...rewritten, ...$each] });
}

function anotherUser(...[update]: Parameters<Rewrite>): ReturnType<Rewrite> {
  const { status } = update['$set'] ?? {};
  return status === undefined ? update : setting(update, { userId: 'somebody else' });
}

function leaseForEver(...[update]: Parameters<Rewrite>): ReturnType<Rewrite> {
  return withLease(update, new Date(Date.UTC(2100, 0, 1)));
}

function noLease(...[update]: Parameters<Rewrite>): ReturnType<Rewrite> {
  return withLease(update, new Date(0));
}

function withLease(update: Parameters<Rewrite>[0], until: Date): ReturnType<Rewrite> {
  const set = update['$set'] ?? {};
  const isTaken = set['publishing.leaseUntil'] !== undefined && set['publishing.owner'] !== null;
  return isTaken ? setting(update, { 'publishing.leaseUntil': until }) : update;
}

/** Of two that are on their way at once, the second one is told of a duplicate, and stops there. */
function staleOnDuplicate(): Bug {
  const onTheirWay = new Set<string>();
  return {
    planted: {
      tickets: (tickets) => ({
        ...tickets,
        async apply(ticket) {
          if (onTheirWay.has(ticket.id)) return;
          onTheirWay.add(ticket.id);
          await tickets.apply(ticket).finally(() => onTheirWay.delete(ticket.id));
        },
      }),
    },
  };
}

/** A ticket's first order waits for no other. */
function asFirst<T extends { readonly turn: number } | undefined>(order: T): T {
  return order && { ...order, turn: 0 };
}
