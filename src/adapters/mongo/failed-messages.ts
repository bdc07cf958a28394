import type { FilterQuery } from 'mongoose';
import type {
  FailedMessage,
  FailedMessages,
  FailedState,
  ListedMessage,
} from '../../application/failed-messages';
import { allOf } from '../../application/schedule';
import { MOST_COUNTED } from './backlog';
import type { MongoConnection } from './connection';
import type { FailedMessageDocument, Models } from './documents';
import { isDuplicateKey } from './errors';

const IN_STATE: Readonly<Record<FailedState, FilterQuery<FailedMessageDocument>>> = {
  parked: { retryAt: { $gt: new Date(0) } },
  dead: { retryAt: null, 'discarded.at': null },
  discarded: { 'discarded.at': { $gt: new Date(0) } },
};

/** A projection. */
export const WITHOUT_DATA = { data: 0, encoding: 0 } as const;

export function createFailedMessages(
  { failedMessages }: Models,
  connection: Pick<MongoConnection, 'ask'>,
  deps: { now: () => Date; confirmReads: () => Promise<void> },
): FailedMessages {
  const { ask } = connection;
  const isDue = () => ({ retryAt: { $lte: deps.now() } });

  async function put({ id, ...message }: FailedMessage): Promise<void> {
    try {
      await failedMessages.collection.insertOne({ _id: id, ...message } as never);
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
      await deps.confirmReads();
    }
  }

  async function takeDue(claimedUntil: Date, limit: number): Promise<FailedMessage[]> {
    const due = await failedMessages.find(isDue(), { _id: 1 }).sort({ retryAt: 1 }).limit(limit).lean();
    const taken = await allOf(
      due.map(({ _id }) =>
        // Another replica may have claimed it first.
        failedMessages
          .findOneAndUpdate({ _id, ...isDue() }, { $set: { retryAt: claimedUntil } })
          .lean<FailedMessageDocument>(),
      ),
    );
    return taken.flatMap((document) => (document ? [toFailedMessage(document)] : []));
  }

  async function postpone(
    id: string,
    { reason, attempts, retryAt }: Parameters<FailedMessages['postpone']>[1],
  ): Promise<void> {
    const when = retryAt
      ? { $set: { reason, attempts, retryAt } }
      : { $set: { reason, attempts }, $unset: { retryAt: 1 } };
    // It may have been discarded meanwhile.
    await failedMessages.updateOne({ _id: id, 'discarded.at': null }, when);
  }

  return {
    put: (message) => ask(() => put(message)),
    takeDue: (claimedUntil, limit) => ask(() => takeDue(claimedUntil, limit)),
    postpone: (id, update) => ask(() => postpone(id, update)),
    remove: (id) => ask(async () => void (await failedMessages.deleteOne({ _id: id }))),
    find: (id) =>
      ask(async () => {
        const found = await failedMessages.findById(id).lean<FailedMessageDocument>();
        return found ? toFailedMessage(found) : undefined;
      }),
    list: (limit, state) =>
      ask(async () => {
        const found = await failedMessages.aggregate<Omit<ListedMessage, 'id'> & { _id: string }>([
          { $match: state ? IN_STATE[state] : {} },
          // Before the sort, which would keep all data in the server's memory.
          { $project: WITHOUT_DATA },
          { $sort: { at: -1 } },
          { $limit: limit },
        ]);
        return found.map(({ _id, ...listed }) => ({ id: _id, ...listed }));
      }),
    replay: (id) =>
      ask(async () => {
        const which = id === undefined ? { 'discarded.at': null } : { _id: id };
        const { matchedCount } = await failedMessages.updateMany(which, {
          $set: { retryAt: deps.now(), attempts: 0 },
          $unset: { discarded: 1 },
        });
        return matchedCount;
      }),
    discard: (id, reason) =>
      ask(async () => {
        const { matchedCount } = await failedMessages.updateOne(
          { _id: id, 'discarded.at': null },
          { $set: { discarded: { at: deps.now(), reason } }, $unset: { retryAt: 1 } },
        );
        return matchedCount === 1;
      }),
    count: () =>
      ask(async () => {
        const [parked, dead] = await allOf([
          failedMessages.countDocuments(IN_STATE.parked, { limit: MOST_COUNTED }),
          failedMessages.countDocuments(IN_STATE.dead, { limit: MOST_COUNTED }),
        ]);
        return { parked, dead };
      }),
  };
}

function toFailedMessage({ _id, ...message }: FailedMessageDocument): FailedMessage {
  return { id: _id, ...message };
}
