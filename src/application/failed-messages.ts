/** Messages that could not be handled, as the use cases need them stored. Adapters implement it. */

/** A message that could not be handled: parked while it is retried, or a dead letter. */
export interface FailedMessage {
  /** `<subject>:<sequence>:<broker timestamp>`: a broker that lost its store counts from 1 again. */
  readonly id: string;
  readonly subject: string;
  readonly sequence: number;
  readonly publishedAt: Date;
  /** The message as text; as base64, with `encoding`, if it is not UTF-8. */
  readonly data: string;
  readonly encoding?: 'base64';
  readonly reason: string;
  readonly attempts: number;
  /** When a parked message is retried. Absent: it is a dead letter, until someone replays it. */
  readonly retryAt?: Date;
  /** When it was stored. */
  readonly at: Date;
  /** Set when an operator ended it: it is kept for the record, and not counted any more. */
  readonly discarded?: { readonly at: Date; readonly reason: string };
}

/** Without its data, which may be 8 MB. */
export type ListedMessage = Omit<FailedMessage, 'data' | 'encoding'>;

/** Parked messages have a `retryAt`; of the others, dead letters are not `discarded`. */
export type FailedState = 'parked' | 'dead' | 'discarded';

export interface FailedMessages {
  /** Durable when it resolves. Does nothing if the message is there already. */
  put(message: FailedMessage): Promise<void>;
  /** Parked messages that are due, oldest first; each is given to one caller until `claimedUntil`. */
  takeDue(claimedUntil: Date, limit: number): Promise<readonly FailedMessage[]>;
  /** Parks one that failed again; without `retryAt` it becomes a dead letter. */
  postpone(id: string, update: { reason: string; attempts: number; retryAt?: Date }): Promise<void>;
  remove(id: string): Promise<void>;
  find(id: string): Promise<FailedMessage | undefined>;
  /** Newest first; of one state, or of all. */
  list(limit: number, state?: FailedState): Promise<readonly ListedMessage[]>;
  /** Makes one due now, or all that are not discarded, with no attempts counted; resolves to how many. */
  replay(id?: string): Promise<number>;
  /** Ends a message that is neither handled nor discarded; resolves to whether it was there. */
  discard(id: string, reason: string): Promise<boolean>;
  count(): Promise<{ readonly parked: number; readonly dead: number }>;
}
