import type { DeadLetter, DeadLetters } from '../../application/ports';
import { allOf } from '../../application/schedule';
import { MOST_COUNTED } from './backlog';
import type { MongoConnection } from './connection';
import type { DeadLetterDocument, Models } from './documents';
import { isDuplicateKey } from './errors';

export function createDeadLetters(
  { deadLetters }: Models,
  connection: Pick<MongoConnection, 'ask'>,
  deps: { now: () => Date; confirmReads: () => Promise<void> },
): DeadLetters {
  const { ask } = connection;
  const isDue = () => ({ retryAt: { $lte: deps.now() } });

  async function put({ id, ...letter }: DeadLetter): Promise<void> {
    try {
      await deadLetters.collection.insertOne({ _id: id, ...letter } as never);
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
      await deps.confirmReads();
    }
  }

  async function takeDue(claimedUntil: Date, limit: number): Promise<DeadLetter[]> {
    const due = await deadLetters.find(isDue(), { _id: 1 }).sort({ retryAt: 1 }).limit(limit).lean();
    const taken = await allOf(
      due.map(({ _id }) =>
        // Another replica may have been quicker.
        deadLetters
          .findOneAndUpdate({ _id, ...isDue() }, { $set: { retryAt: claimedUntil } })
          .lean<DeadLetterDocument>(),
      ),
    );
    return taken.flatMap((document) => (document ? [toLetter(document)] : []));
  }

  async function postpone(
    id: string,
    { reason, attempts, retryAt }: Parameters<DeadLetters['postpone']>[1],
  ): Promise<void> {
    const when = retryAt
      ? { $set: { reason, attempts, retryAt } }
      : { $set: { reason, attempts }, $unset: { retryAt: 1 } };
    await deadLetters.updateOne({ _id: id }, when);
  }

  return {
    put: (letter) => ask(() => put(letter)),
    takeDue: (claimedUntil, limit) => ask(() => takeDue(claimedUntil, limit)),
    postpone: (id, update) => ask(() => postpone(id, update)),
    remove: (id) => ask(async () => void (await deadLetters.deleteOne({ _id: id }))),
    list: (limit) =>
      ask(async () => {
        const found = await deadLetters.find().sort({ at: -1 }).limit(limit).lean<DeadLetterDocument[]>();
        return found.map(toLetter);
      }),
    replay: (id) =>
      ask(async () => {
        const which = id === undefined ? {} : { _id: id };
        const { matchedCount } = await deadLetters.updateMany(which, {
          $set: { retryAt: deps.now(), attempts: 0 },
        });
        return matchedCount;
      }),
    count: () =>
      ask(async () => {
        const [parked, dead] = await allOf([
          deadLetters.countDocuments({ retryAt: { $gt: new Date(0) } }, { limit: MOST_COUNTED }),
          deadLetters.countDocuments({ retryAt: null }, { limit: MOST_COUNTED }),
        ]);
        return { parked, dead };
      }),
  };
}

function toLetter({ _id, ...letter }: DeadLetterDocument): DeadLetter {
  return { id: _id, ...letter };
}
