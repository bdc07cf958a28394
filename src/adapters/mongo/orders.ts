import { Error as MongooseErrors, type mongo } from 'mongoose';
import { applyChange, openRefunds } from '../../domain/order';
import type { Change, OrderFilter, OrderQuery, OrderStore, StoredOrder } from '../../application/ports';
import type { MongoConnection } from './connection';
import {
  HAS_REFUNDS,
  IS_OPEN,
  ORDER_FIELDS,
  toObjectId,
  toOrder,
  toStoredOrder,
  type Models,
  type OrderDocument,
} from './documents';
import { grouped } from './grouped';
import { lookAtOpenNumber } from './open-numbers';
import { createPlacing, type OrderDeps } from './placing';

const LARGEST_GROUP = 100;
const MAJORITY = { level: 'majority' } as const;
const NEWEST_FIRST = { createdAt: -1, _id: -1 } as const;

export function createOrderStore(
  models: Models,
  connection: Pick<MongoConnection, 'ask' | 'ready'>,
  deps: OrderDeps,
): OrderStore {
  const { orders } = models;
  const { ask } = connection;

  async function findEach(ids: readonly string[]): Promise<(OrderDocument | undefined)[]> {
    const found = await orders.collection
      .find<OrderDocument>(
        { _id: { $in: ids.map(toObjectId) } },
        // A failover must not undo a read on which decisions depend.
        { projection: { ...ORDER_FIELDS, turn: 1, publishing: 1 }, readConcern: MAJORITY },
      )
      .toArray();
    const byId = new Map(found.map((document) => [document._id.toHexString(), document]));
    return ids.map((id) => byId.get(id));
  }

  const findGrouped = grouped(findEach, LARGEST_GROUP);

  async function find(id: string): Promise<StoredOrder | undefined> {
    const document = await findGrouped(id);
    return document && toStoredOrder(document);
  }

  async function versions(ids: readonly string[]): Promise<Map<string, number>> {
    const found = await orders.collection
      .find<Pick<OrderDocument, '_id' | 'version'>>(
        { _id: { $in: ids.map(toObjectId) } },
        // All in one batch.
        { projection: { version: 1 }, readConcern: MAJORITY, batchSize: ids.length + 1 },
      )
      .toArray();
    return new Map(found.map(({ _id, version }) => [_id.toHexString(), version]));
  }

  async function findByKey(idempotencyKey: string) {
    const document = await orders.collection.findOne<OrderDocument>(
      { idempotencyKey },
      { projection: ORDER_FIELDS, readConcern: MAJORITY },
    );
    return document ? toOrder(document) : undefined;
  }

  /** Hydrates only the fields that it needs: the save does not touch any other. */
  async function save({ before, change, events, record }: Change): Promise<boolean> {
    const { id, version, status, payments } = before.order;
    const document = orders.hydrate({
      _id: toObjectId(id),
      version,
      status,
      payments,
      outbox: [],
      changes: [],
    });
    const { payment, refund, ...fields } = change;
    document.set(fields);
    if (payment) document.payments.push(payment);
    if (refund) {
      const index = payments.findIndex((one) => one.id === refund.paymentId);
      document.set(`payments.${index}.refunded`, refund.refunded);
    }
    if (payment?.refund !== undefined || refund) {
      document.set('allRefunded', openRefunds(applyChange(before.order, change)).length === 0);
    }
    document.changes?.push(record);
    if (events.length > 0) {
      document.outbox.push(...events);
      // Incremented, never set: marking as published changes the count, but not the version.
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

  async function list({ limit, after, ...query }: OrderQuery) {
    const filter = toFilter(query);
    if (after) {
      const { createdAt, id } = after;
      filter['createdAt'] = { $lte: createdAt };
      filter.$or = [{ createdAt: { $lt: createdAt } }, { _id: { $lt: toObjectId(id) } }];
    }
    const documents = await orders.collection
      .find<OrderDocument>(filter, { projection: ORDER_FIELDS, sort: NEWEST_FIRST, limit })
      .toArray();
    return documents.map(toOrder);
  }

  async function count(filter: OrderFilter): Promise<number> {
    return orders.collection.countDocuments(toFilter(filter));
  }

  async function overdue(time: Date, limit: number): Promise<string[]> {
    const documents = await orders
      .find({ ...IS_OPEN, expiresAt: { $lt: time } }, { _id: 1 })
      .sort({ expiresAt: 1 })
      .limit(limit)
      .lean();
    return documents.map(({ _id }) => _id.toHexString());
  }

  async function withOpenRefunds(limit: number) {
    const documents = await orders.collection
      .find<OrderDocument>(
        { ...HAS_REFUNDS, allRefunded: { $ne: true } },
        { projection: ORDER_FIELDS, limit },
      )
      .toArray();
    return documents.map(toOrder);
  }

  return {
    insert: createPlacing(models, connection, deps),
    find: (id) => ask(() => find(id)),
    versions: (ids) => ask(() => versions(ids)),
    findByKey: (idempotencyKey) => ask(() => findByKey(idempotencyKey)),
    lookAtOpenNumber: (userId, number) => ask(() => lookAtOpenNumber(models, userId, number)),
    save: (change) => ask(() => save(change)),
    confirmReads: deps.confirmReads,
    list: (query) => ask(() => list(query)),
    count: (filter) => ask(() => count(filter)),
    overdue: (time, limit) => ask(() => overdue(time, limit)),
    withOpenRefunds: (limit) => ask(() => withOpenRefunds(limit)),
  };
}

function toFilter({ userId, ticketId, statuses }: OrderFilter): mongo.Filter<mongo.BSON.Document> {
  return {
    userId,
    ...(ticketId === undefined ? {} : { 'ticket.id': toObjectId(ticketId) }),
    // The server merges the statuses of the index: it sorts nothing.
    ...(statuses === undefined ? {} : { status: { $in: [...statuses] } }),
  };
}

function isLostRace(error: unknown): boolean {
  return (
    error instanceof MongooseErrors.VersionError || error instanceof MongooseErrors.DocumentNotFoundError
  );
}
