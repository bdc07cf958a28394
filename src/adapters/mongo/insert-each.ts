import { mongo } from 'mongoose';
import type { Collection } from 'mongoose';
import { DUPLICATE_KEY, isDuplicateKey } from './errors';

/** `unknown`: it may be stored or not, or be stored and not be durable. */
export type InsertOutcome = 'inserted' | 'duplicate' | 'unknown';

/**
 * Inserts documents in one unordered write and resolves to what became of each. Rejects with what the driver says
 * when that is not known of any.
 */
export async function insertEach(
  collection: Pick<Collection, 'insertOne' | 'insertMany'>,
  documents: readonly object[],
): Promise<InsertOutcome[]> {
  const [first] = documents;
  if (first && documents.length === 1) return [await insertOne(collection, first)];
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

/** As a bulk of one, which takes the driver a fifth longer. */
async function insertOne(
  collection: Pick<Collection, 'insertOne'>,
  document: object,
): Promise<InsertOutcome> {
  try {
    await collection.insertOne(document);
    return 'inserted';
  } catch (error) {
    if (isDuplicateKey(error)) return 'duplicate';
    throw error;
  }
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
