import type { ListedMessage } from '../../application/failed-messages';
import type { OperatorReads, StuckQuery, UnpublishedOrder } from '../../application/operator-ports';
import { allOf } from '../../application/schedule';
import type { MongoConnection } from './connection';
import {
  HAS_PENDING,
  HAS_REFUNDS,
  IS_OPEN,
  ORDER_FIELDS,
  toOrder,
  type Models,
  type OrderDocument,
  type ReadOrder,
} from './documents';
import { WITHOUT_DATA } from './failed-messages';

/** The server takes patterns of up to 32,764 bytes. */
const IDS_IN_A_PATTERN = 1_000;
/** No index has the data of messages. */
const SCAN_TIMEOUT_MS = 60_000;

type Unpublished = Pick<OrderDocument, '_id' | 'ticket' | 'turn' | 'publishing'>;
const UNPUBLISHED_FIELDS = { 'ticket.id': 1, turn: 1, publishing: 1 } as const;

/** What only an operator asks for. */
export function createOperatorReads(
  { orders, failedMessages }: Models,
  { ask }: Pick<MongoConnection, 'ask'>,
): OperatorReads {
  async function findOverdue({ expiredBefore, limit }: StuckQuery) {
    const found = await orders
      .find({ ...IS_OPEN, expiresAt: { $lt: expiredBefore } }, ORDER_FIELDS)
      .sort({ expiresAt: 1 })
      .limit(limit)
      .lean<ReadOrder[]>();
    return found.map(toOrder);
  }

  async function findUnpublished({
    unpublishedBefore,
    attempts,
    limit,
  }: StuckQuery): Promise<UnpublishedOrder[]> {
    const isStuck = [
      { 'publishing.since': { $lt: unpublishedBefore } },
      { 'publishing.attempts': { $gte: attempts } },
    ];
    const found = await orders
      .find({ ...HAS_PENDING, $or: isStuck }, UNPUBLISHED_FIELDS)
      .sort({ 'publishing.since': 1 })
      .limit(limit)
      .lean<Unpublished[]>();
    const earliest = await findEarliest(found);
    return found.map((document) => toUnpublished(document, earliest));
  }

  /** By ticket: the order of its earliest turn that has events to publish. */
  async function findEarliest(found: readonly Unpublished[]): Promise<Map<string, Unpublished>> {
    const pending = await orders
      .find(
        { ...HAS_PENDING, 'ticket.id': { $in: found.map(({ ticket }) => ticket.id) } },
        UNPUBLISHED_FIELDS,
      )
      .sort({ turn: -1 })
      .lean<Unpublished[]>();
    // The last entry of a key stays.
    return new Map(pending.map((document) => [document.ticket.id.toHexString(), document]));
  }

  /** The server looks into the data, which stays there. */
  async function findAbout(orderIds: readonly string[]): Promise<[string, ListedMessage][]> {
    const pattern = { regex: orderIds.join('|'), options: 'i' };
    const found = await failedMessages.collection
      .aggregate<{ _id: string; message: Omit<ListedMessage, 'id'> & { _id: string } }>(
        [
          { $match: { data: { $regex: pattern.regex, $options: 'i' }, 'discarded.at': null } },
          { $set: { about: { $regexFind: { input: '$data', ...pattern } } } },
          { $set: { about: { $toLower: '$about.match' } } },
          { $project: WITHOUT_DATA },
          { $sort: { at: -1 } },
          { $group: { _id: '$about', message: { $first: '$$ROOT' } } },
          { $project: { 'message.about': 0 } },
        ],
        { timeoutMS: SCAN_TIMEOUT_MS },
      )
      .toArray();
    return found.map(({ _id, message: { _id: id, ...message } }) => [_id, { id, ...message }]);
  }

  async function failedAbout(orderIds: readonly string[]) {
    const found = new Map<string, ListedMessage>();
    for (let start = 0; start < orderIds.length; start += IDS_IN_A_PATTERN) {
      const some = await findAbout(orderIds.slice(start, start + IDS_IN_A_PATTERN));
      for (const [orderId, message] of some) found.set(orderId, message);
    }
    return found;
  }

  return {
    failedAbout: (orderIds) => ask(() => failedAbout(orderIds)),
    findStuck: (query) =>
      ask(async () => {
        const [overdue, unpublished] = await allOf([findOverdue(query), findUnpublished(query)]);
        return { overdue, unpublished };
      }),
    withRefundOf: (paymentId) =>
      ask(async () => {
        const found = await orders
          // All values, so that the partial index is used.
          .find(
            { ...HAS_REFUNDS, allRefunded: { $in: [false, true, null] }, 'payments.id': paymentId },
            ORDER_FIELDS,
          )
          .lean<ReadOrder[]>();
        const isRefund = ({ id, refund, sameAs }: ReadOrder['payments'][number]) =>
          id === paymentId && (refund !== undefined || sameAs !== undefined);
        return found.filter(({ payments }) => payments.some(isRefund)).map(toOrder);
      }),
  };
}

function toUnpublished(
  { _id, ticket, turn, publishing }: Unpublished,
  earliest: ReadonlyMap<string, Unpublished>,
): UnpublishedOrder {
  const { since, attempts, owner, leaseUntil } = publishing;
  const first = earliest.get(ticket.id.toHexString());
  return {
    orderId: _id.toHexString(),
    ...(since ? { since } : {}),
    attempts,
    ...(owner === null ? {} : { owner }),
    leaseUntil,
    ...(first && first.turn < turn ? { waitsFor: first._id.toHexString() } : {}),
  };
}
