/** The broker, as the use cases need it. Adapters implement it. */

/**
 * A publish was not acknowledged. `disconnected`: the connection is lost, and the message was not sent or its outcome
 * is unknown. `timeout`: no acknowledgement in time. `refused`: the broker refused this message.
 */
export class PublishFailed extends Error {
  readonly code = 'publish-failed';
  override readonly name = 'PublishFailed';
  constructor(
    readonly reason: 'disconnected' | 'timeout' | 'refused',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface Publisher {
  /** Whether publishing is possible now. */
  available(): boolean;
  /** Resolves when the broker has acknowledged this message; rejects with {@link PublishFailed}. */
  publish(subject: string, data: string): Promise<void>;
  /** Calls back each time publishing becomes possible. */
  onAvailable(listener: () => void): void;
}

// --- consuming -------------------------------------------------------------------------------

export interface Message {
  readonly subject: string;
  /** The broker's number within the subject, from 1. */
  readonly sequence: number;
  /** The broker's timestamp. */
  readonly publishedAt: Date;
  readonly redelivered: boolean;
  readonly data: Buffer;
}

/** `done`: acknowledge. `retry`: leave unacknowledged, so that the broker redelivers it. Never rejects. */
export type Receive = (message: Message) => Promise<'done' | 'retry'>;

/**
 * `group`: this member's share of a durable queue group, everything from the beginning of the channel, at least once.
 * `watch`: every message not older than `sinceMs`, in order, whichever member of the group handles it; replayed from
 * there after each loss of the broker; nothing is acknowledged.
 */
export type Subscription = {
  readonly subject: string;
  /** Up, for the first time or again; or down: messages may wait or go to other members. */
  readonly onChange?: (isUp: boolean) => void;
} & (
  | { readonly mode: 'group'; readonly receive: Receive }
  | { readonly mode: 'watch'; readonly sinceMs: number; readonly hear: (message: Message) => void }
);

export interface Subscriber {
  /** Restored after every loss of the broker, until {@link Subscriber.stopReceiving}. */
  subscribe(subscriptions: readonly Subscription[]): void;
  /** Receives no more messages; resolves when those in flight are settled and acknowledged. Keeps the durable. */
  stopReceiving(): Promise<void>;
}

export interface Bus extends Publisher, Subscriber {
  /** Connects, and reconnects for ever; returns at once. */
  start(): void;
  close(): Promise<void>;
}
