import { mongo } from 'mongoose';
import type { Collection } from 'mongoose';
import { DUPLICATE_KEY } from './errors';

/** `unknown`: it may be stored or not, or be stored and not be durable. */
export type InsertOutcome = 'inserted' | 'duplicate' | 'unknown';

/**
 * Inserts documents in one unordered write and resolves to what became of each. Rejects with what the driver says
 * when that is not known of any.
 */
export async function insertEach(
  collection: Pick<Collection, 'insertMany'>,
  documents: readonly object[],
): Promise<InsertOutcome[]> {
  let insertedCount: number;
  let refused: readonly mongo.WriteError[] = [];
  try {
    ({ insertedCount } = await collection.insertMany([...documents], { ordered: false }));
  } catch (error) {
    if (!(error instanceof mongo.MongoBulkWriteError) || !tellsAll(error, documents.length)) throw error;
    ({ insertedCount } = error);
    refused = errorsOf(error);
  }
  const outcomes = new Array<InsertOutcome>(documents.length);
  if (insertedCount + refused.length !== documents.length) return outcomes.fill('unknown');
  outcomes.fill('inserted');
  for (const { index, code } of refused) outcomes[index] = code === DUPLICATE_KEY ? 'duplicate' : 'unknown';
  return outcomes;
}

/**
 * A lost connection comes as the same class of error, without any write errors: taken at its word it would say that
 * nothing was refused. And what is not known to be durable is not known.
 */
function tellsAll(error: mongo.MongoBulkWriteError, count: number): boolean {
  const refused = errorsOf(error);
  return (
    refused.length > 0 &&
    error.insertedCount + refused.length === count &&
    error.result.getWriteConcernError() === undefined
  );
}

function errorsOf({ writeErrors }: mongo.MongoBulkWriteError): readonly mongo.WriteError[] {
  return [writeErrors].flat();
}
