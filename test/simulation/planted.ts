import type { OrderStore, StoredOrder } from '../../src/application/ports';
import type { Bug, Options } from './run';

/** Mistakes that services of this kind make, each as a small change of the real thing. */
export const PLANTED: Record<string, Options> = {
  'no unique index on the turns of a ticket': { bug: { missingIndexes: ['ticket.id,turn'] } },
  'no version guard': { bug: overOrders((orders) => ({ save: (change) => saveAnyway(orders, change) })) },
  'pending as a flag instead of a count': { bug: { rewriteUpdate: pendingAsAFlag } },
  'a save that sets what it read of the bookkeeping': { bug: { rewriteUpdate: overwritePending } },
  'a lease that never expires': { bug: { rewriteUpdate: leaseForEver } },
  'a lease that nobody respects': { bug: { rewriteUpdate: noLease }, faultless: true },
  'an earlier order is not waited for': {
    bug: { planted: { outbox: (outbox) => ({ ...outbox, pendingBefore: async () => [] }) } },
  },
  'a cancelled order is cancelled again when it expires': {
    bug: overOrders((orders) => ({ find: async (id) => asOpen(await orders.find(id)) })),
  },
  'a late payment completes the order': {
    bug: overOrders((orders) => ({
      save: (change) => {
        const isLate = change.before.order.status === 'cancelled';
        return orders.save(isLate ? { ...change, after: { ...change.after, status: 'complete' } } : change);
      },
    })),
  },
  'an expiry that does not wait for payments': {
    bug: {
      expiration: { catchUpSeconds: 0 },
      planted: {
        bus: (bus) => ({
          ...bus,
          watch: (subject, sinceMs, _, observe) => bus.watch(subject, sinceMs, () => {}, observe),
        }),
      },
    },
  },
  'a ticket’s second insert counts as stale': { bug: staleOnDuplicate() },
  'an answer before the write is acknowledged': {
    bug: overOrders((orders) => ({
      insert: (placement) => {
        void orders.insert(placement).catch(() => {});
        return Promise.resolve({ type: 'inserted' });
      },
    })),
  },
  'dead letters are dropped': {
    bug: { planted: { deadLetters: (letters) => ({ ...letters, put: async () => {} }) } },
  },
};

function overOrders(change: (orders: OrderStore) => Partial<OrderStore>): Bug {
  return { planted: { orders: (orders) => ({ ...orders, ...change(orders) }) } };
}

/** With whatever version is there by now. */
async function saveAnyway(orders: OrderStore, change: Parameters<OrderStore['save']>[0]): Promise<boolean> {
  const now = await orders.find(change.after.id);
  return now ? orders.save({ ...change, before: now }) : false;
}

function asOpen(stored: StoredOrder | undefined): StoredOrder | undefined {
  if (stored?.order.status !== 'cancelled') return stored;
  return { ...stored, order: { ...stored.order, status: 'created' } };
}

type Rewrite = NonNullable<Bug['rewriteUpdate']>;
type Publishing = { pending: number };

function pendingAsAFlag(...[update]: Parameters<Rewrite>): ReturnType<Rewrite> {
  const { 'publishing.pending': added, ...others } = update['$inc'] ?? {};
  if (added === undefined) return update;
  return {
    ...update,
    $inc: others,
    $set: { ...update['$set'], 'publishing.pending': Number(added) > 0 ? 1 : 0 },
  };
}

/** As if nothing had been pending when the order was read. */
function overwritePending(...[update, before]: Parameters<Rewrite>): ReturnType<Rewrite> {
  const { 'publishing.pending': added, ...others } = update['$inc'] ?? {};
  const { pending } = before['publishing'] as Publishing;
  if (added === undefined || Number(added) < 0 || pending === 0) return update;
  return { ...update, $inc: others, $set: { ...update['$set'], 'publishing.pending': added } };
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
  return isTaken ? { ...update, $set: { ...set, 'publishing.leaseUntil': until } } : update;
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
