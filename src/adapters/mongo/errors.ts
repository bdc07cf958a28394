import { Error as MongooseErrors, mongo } from 'mongoose';
import { Unavailable } from '../../application/ports';

const DUPLICATE_KEY = 11000;

export function isDuplicateKey(error: unknown): boolean {
  return error instanceof mongo.MongoServerError && error.code === DUPLICATE_KEY;
}

/** Whatever the driver says, the outcome is unknown; the cause is for the log, never for clients. */
export function toUnavailable(error: unknown): unknown {
  const isDriver = error instanceof mongo.MongoError || error instanceof MongooseErrors;
  return isDriver ? new Unavailable('the database did not answer', { cause: error }) : error;
}

/** Of an unordered insert of `count` documents that failed: what became of each. */
export function insertOutcomes(error: unknown, count: number): ('inserted' | 'duplicate' | 'unknown')[] {
  const outcomes = new Array<'inserted' | 'duplicate' | 'unknown'>(count).fill('unknown');
  if (!(error instanceof mongo.MongoBulkWriteError)) return outcomes;
  const { writeErrors, insertedCount, result } = error;
  const errors = Array.isArray(writeErrors) ? writeErrors : [writeErrors];
  // A lost connection looks the same, with no write errors: nothing may be concluded from it. Nor from a write that
  // is not known to be durable.
  const tellsAll = errors.length > 0 && insertedCount + errors.length === count;
  if (!tellsAll || result.getWriteConcernError() !== undefined) return outcomes;
  outcomes.fill('inserted');
  for (const { index, code } of errors) outcomes[index] = code === DUPLICATE_KEY ? 'duplicate' : 'unknown';
  return outcomes;
}
