import { mongo, type Collection } from 'mongoose';
import { DUPLICATE_KEY, isDuplicateKey } from './errors';

/** `unknown`: it may be stored or not, or stored but not durable. */
export type InsertOutcome = 'inserted' | 'duplicate' | 'unknown';

/**
 * Inserts documents in one unordered write and resolves to the outcome of each. Rejects with the driver's error if no
 * outcome is known.
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

/** Like a bulk of one, which takes the driver a fifth longer. */
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
 * A lost connection gives the same class of error, but without write errors: it would look as if nothing was refused.
 * With a write concern error, durability is unknown.
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
