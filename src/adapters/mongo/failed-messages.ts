import type { FailedMessage, FailedMessages } from '../../application/ports';
import { allOf } from '../../application/schedule';
import { MOST_COUNTED } from './backlog';
import type { MongoConnection } from './connection';
import type { FailedMessageDocument, Models } from './documents';
import { isDuplicateKey } from './errors';

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
    await failedMessages.updateOne({ _id: id }, when);
  }

  return {
    put: (message) => ask(() => put(message)),
    takeDue: (claimedUntil, limit) => ask(() => takeDue(claimedUntil, limit)),
    postpone: (id, update) => ask(() => postpone(id, update)),
    remove: (id) => ask(async () => void (await failedMessages.deleteOne({ _id: id }))),
    list: (limit) =>
      ask(async () => {
        const found = await failedMessages
          .find()
          .sort({ at: -1 })
          .limit(limit)
          .lean<FailedMessageDocument[]>();
        return found.map(toFailedMessage);
      }),
    replay: (id) =>
      ask(async () => {
        const which = id === undefined ? {} : { _id: id };
        const { matchedCount } = await failedMessages.updateMany(which, {
          $set: { retryAt: deps.now(), attempts: 0 },
        });
        return matchedCount;
      }),
    count: () =>
      ask(async () => {
        const [parked, dead] = await allOf([
          failedMessages.countDocuments({ retryAt: { $gt: new Date(0) } }, { limit: MOST_COUNTED }),
          failedMessages.countDocuments({ retryAt: null }, { limit: MOST_COUNTED }),
        ]);
        return { parked, dead };
      }),
  };
}

function toFailedMessage({ _id, ...message }: FailedMessageDocument): FailedMessage {
  return { id: _id, ...message };
}
