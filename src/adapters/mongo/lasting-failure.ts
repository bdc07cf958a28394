import { Error as MongooseErrors, mongo } from 'mongoose';
import { ForeignData } from './foreign-data';
import { UnfinishedImport } from './import/marker';

/** The server's codes. */
const UNAUTHORIZED = 13;
const AUTHENTICATION_FAILED: readonly unknown[] = [18, 8000];

/**
 * Why no retry helps until someone changes the settings or the database. Undefined: the next attempt may succeed.
 */
export function lastingFailure(error: unknown): string | undefined {
  if (error instanceof ForeignData || error instanceof UnfinishedImport) return error.message;
  if (error instanceof mongo.MongoServerError) {
    if (AUTHENTICATION_FAILED.includes(error.code)) return `user or password are wrong: ${error.message}`;
    if (error.code === UNAUTHORIZED) return `the user lacks a right: ${error.message}`;
  }
  if (error instanceof MongooseErrors.MongooseServerSelectionError) return wrongReplicaSet(error);
  return undefined;
}

/** The driver forgets each server that answers and is no member. */
function wrongReplicaSet(error: Error & { reason?: unknown }): string | undefined {
  const { setName, servers } = (error.reason ?? {}) as Partial<mongo.TopologyDescription>;
  if (typeof setName !== 'string' || servers?.size !== 0) return undefined;
  return `none of its servers is a member of the replica set "${setName}", which it names`;
}
