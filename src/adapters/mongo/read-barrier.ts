import type { Connection } from 'mongoose';
import type { MongoConnection } from './connection';
import { isDuplicateKey } from './errors';
import { grouped } from './grouped';

/**
 * Makes earlier reads durable. On a standalone a read may show a write that has not reached the journal yet; the
 * journal is one sequence, so a later journalled write makes all earlier ones durable. On a replica set the deciding
 * reads are majority reads and durable already; there the write only costs a round trip, in rare cases.
 */
export function createReadBarrier(
  mongoose: Connection,
  connection: Pick<MongoConnection, 'ask'>,
): () => Promise<void> {
  const barriers = () => mongoose.collection<{ _id: string; writes: number }>('read_barriers');
  const write = () => barriers().updateOne({ _id: 'barrier' }, { $inc: { writes: 1 } }, { upsert: true });

  async function pass(callers: readonly undefined[]): Promise<undefined[]> {
    try {
      await write();
    } catch (error) {
      // Two replicas made the document at once: now it exists.
      if (!isDuplicateKey(error)) throw error;
      await write();
    }
    return [...callers];
  }

  const share = grouped(pass, Infinity);
  return () => connection.ask(() => share(undefined));
}
