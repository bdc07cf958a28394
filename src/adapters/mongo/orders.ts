import { Error as MongooseErrors } from 'mongoose';
import type { FilterQuery } from 'mongoose';
import type { Change, OrderQuery, OrderStore } from '../../application/ports';
import type { MongoConnection } from './connection';
import { toObjectId, toOrder, toStoredOrder } from './documents';
import type { Models, OrderDocument } from './documents';
import { createPlacing } from './placing';
import type { OrderDeps } from './placing';

export function createOrderStore(
  models: Models,
  connection: Pick<MongoConnection, 'ask' | 'ready'>,
  deps: OrderDeps,
): OrderStore {
  const { orders } = models;
  const { ask } = connection;

  async function find(id: string) {
    // What is decided on this must not be undone by a failover.
    const document = await orders
      .findById(toObjectId(id), { 'outbox.data': 0 })
      .readConcern('majority')
      .lean<OrderDocument>();
    return document ? toStoredOrder(document) : undefined;
  }

  async function findByKey(idempotencyKey: string) {
    const document = await orders
      .findOne({ idempotencyKey }, { outbox: 0, publishing: 0 })
      .readConcern('majority')
      .lean<OrderDocument>();
    return document ? toOrder(document) : undefined;
  }

  /** A document that knows no more than it needs: whatever is not set here, the save does not touch. */
  async function save({ before, after, events }: Change): Promise<boolean> {
    const document = orders.hydrate({
      _id: toObjectId(after.id),
      version: before.order.version,
      status: before.order.status,
      payments: before.order.payments,
      outbox: [],
    });
    document.set({ status: after.status, ...(after.reason ? { reason: after.reason } : {}) });
    const newPayments = after.payments.slice(before.order.payments.length);
    if (newPayments.length > 0) document.payments.push(...newPayments);
    if (events.length > 0) document.outbox.push(...events);
    if (events.length > 0) {
      // Added, never set: bookings move the count without moving the version.
      document.$inc('publishing.pending', events.length);
      document.set('publishing.since', before.unpublishedSince ?? events[0]?.at);
    }
    try {
      await document.save();
      return true;
    } catch (error) {
      if (isLostRace(error)) return false;
      throw error;
    }
  }

  async function list({ userId, status, limit, after }: OrderQuery) {
    const filter: FilterQuery<OrderDocument> = { userId, ...(status ? { status } : {}) };
    if (after) {
      const { createdAt, id } = after;
      filter.createdAt = { $lte: createdAt };
      filter.$or = [{ createdAt: { $lt: createdAt } }, { _id: { $lt: toObjectId(id) } }];
    }
    const documents = await orders
      .find(filter, { outbox: 0, publishing: 0 })
      .sort({ createdAt: -1, _id: -1 })
      .limit(limit)
      .lean<OrderDocument[]>();
    return documents.map(toOrder);
  }

  async function overdue(time: Date, limit: number): Promise<string[]> {
    const documents = await orders
      .find({ status: { $in: ['created', 'awaiting:payment'] }, expiresAt: { $lt: time } }, { _id: 1 })
      .sort({ expiresAt: 1 })
      .limit(limit)
      .lean();
    return documents.map(({ _id }) => _id.toHexString());
  }

  return {
    insert: createPlacing(models, connection, deps),
    find: (id) => ask(() => find(id)),
    findByKey: (idempotencyKey) => ask(() => findByKey(idempotencyKey)),
    save: (change) => ask(() => save(change)),
    confirmReads: deps.confirmReads,
    list: (query) => ask(() => list(query)),
    overdue: (time, limit) => ask(() => overdue(time, limit)),
  };
}

function isLostRace(error: unknown): boolean {
  return (
    error instanceof MongooseErrors.VersionError || error instanceof MongooseErrors.DocumentNotFoundError
  );
}
