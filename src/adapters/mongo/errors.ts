import { Error as MongooseErrors, mongo } from 'mongoose';
import { Unavailable } from '../../application/ports';

export const DUPLICATE_KEY = 11000;

/** By code: the request itself is wrong. Anything else may succeed when it is repeated. */
const MISTAKES: ReadonlySet<unknown> = new Set([
  2, // BadValue
  9, // FailedToParse
  14, // TypeMismatch
  40, // ConflictingUpdateOperators
  52, // DollarPrefixedFieldName
  59, // CommandNotFound
  66, // ImmutableField
  72, // InvalidOptions
  73, // InvalidNamespace
  121, // DocumentValidationFailure
  10334, // BSONObjectTooLarge
  17419, // an update that makes a document too large
  17420, // the same, with another storage
]);

/** By code: errors of the socket. The driver passes them on unchanged when a write meets a closing socket. */
const SOCKET_ERRORS: ReadonlySet<unknown> = new Set([
  'EPIPE',
  'ECONNRESET',
  'ECONNABORTED',
  'ETIMEDOUT',
  'ERR_SOCKET_CLOSED',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_STREAM_WRITE_AFTER_END',
]);

/** Whether the server refused with this code. */
export function isServerError(error: unknown, code: number): boolean {
  return error instanceof mongo.MongoServerError && error.code === code;
}

export function isDuplicateKey(error: unknown): boolean {
  return isServerError(error, DUPLICATE_KEY);
}

/**
 * {@link Unavailable} if the database cannot answer, or the outcome is unknown; its cause is for the log, never for
 * clients. A mistake of ours is returned unchanged.
 */
export function toUnavailable(error: unknown): unknown {
  const cannotAnswer = isDriversFault(error) || isSocketsFault(error) || isMongoosesFault(error);
  return cannotAnswer ? new Unavailable('the database did not answer', { cause: error }) : error;
}

function isDriversFault(error: unknown): boolean {
  if (error instanceof mongo.MongoServerError) return !MISTAKES.has(error.code);
  if (error instanceof mongo.MongoAPIError) {
    return (
      error instanceof mongo.MongoNotConnectedError ||
      error instanceof mongo.MongoTopologyClosedError ||
      error instanceof mongo.MongoServerClosedError ||
      error instanceof mongo.MongoClientClosedError ||
      error instanceof mongo.MongoExpiredSessionError
    );
  }
  return error instanceof mongo.MongoError && !(error instanceof mongo.MongoParseError);
}

function isSocketsFault(error: unknown): boolean {
  return error instanceof Error && 'code' in error && SOCKET_ERRORS.has(error.code);
}

/** Mongoose reports a missing connection with the base class of all its errors. */
function isMongoosesFault(error: unknown): boolean {
  return (
    error instanceof MongooseErrors &&
    (error instanceof MongooseErrors.MongooseServerSelectionError || error.name === 'MongooseError')
  );
}
