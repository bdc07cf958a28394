import { mongo } from 'mongoose';
import type { Models } from './documents';

/** More than enough where nothing is to be built, which is nearly always. */
const LOOK_TIMEOUT_MS = 5_000;
/** An index on a collection that is full already takes its time. */
const BUILD_TIMEOUT_MS = 10 * 60_000;

/**
 * Whether a ticket's earlier turns have events to publish. Descending: a booking made during the scan moves its entry
 * forward, where the scan has not been yet, so that no order with events to publish is missed.
 */
export const PENDING_OF_TICKET = { 'ticket.id': 1, 'publishing.pending': -1 } as const;

/**
 * Makes the indexes that are missing; resolves when all of them are there. Rejects where a unique one cannot be, for
 * there are duplicates.
 */
export async function verifyIndexes(models: Models): Promise<void> {
  try {
    await makeIndexes(models, LOOK_TIMEOUT_MS);
  } catch (error) {
    if (!(error instanceof mongo.MongoOperationTimeoutError)) throw error;
    // A build says nothing for long, and so does a connection that went dead; the next attempt has another one.
    await makeIndexes(models, BUILD_TIMEOUT_MS);
  }
}

async function makeIndexes({ orders, deadLetters }: Models, timeoutMS: number): Promise<void> {
  await orders.collection.createIndexes(
    [
      // One order has a turn of a ticket; one order has a key. All else rests on these two, and neither field ever
      // changes.
      { key: { 'ticket.id': 1, turn: 1 }, unique: true },
      { key: { idempotencyKey: 1 }, unique: true },
      // The listing, newest first.
      { key: { userId: 1, createdAt: -1, _id: -1 } },
      // What the relay looks for.
      { key: { 'publishing.pending': 1, 'publishing.leaseUntil': 1 } },
      { key: PENDING_OF_TICKET },
      // What the expiry sweep looks for.
      { key: { status: 1, expiresAt: 1 } },
    ],
    { timeoutMS },
  );
  await deadLetters.collection.createIndexes([{ key: { retryAt: 1 } }], { timeoutMS });
}
