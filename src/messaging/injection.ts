import { createHash } from 'node:crypto';
import type { Message } from '../application/bus';
import type { CompleteOrder } from '../application/complete-order';
import type { ExpireOrder } from '../application/expire-order';
import type { FailedMessages } from '../application/failed-messages';
import type { TicketStore } from '../application/ports';
import { MOST_KEPT_BYTES, toFailedMessage } from './failed-messages';
import { createHandlers, type Handled } from './handlers';
import { FIRST_RETRY_MS } from './parked-messages';

/** The broker's numbers begin with 1: a message with this one came from an operator. */
export const INJECTED_SEQUENCE = 0;

/** A longer message could not be parked whole. */
export const LONGEST_INJECTED_BYTES = MOST_KEPT_BYTES;

/**
 * What became of an injected message. An earlier injection parked it, and since then it was given up (`dead-letter`) or an
 * operator has ended it (`discarded`).
 */
export interface Injected {
  readonly verdict: 'done' | 'parked' | 'rejected' | 'dead-letter' | 'discarded';
  readonly reason?: string;
  readonly about?: Handled['about'];
}

export type InjectableSubject = keyof ReturnType<typeof createHandlers>;
export type Inject = (subject: InjectableSubject, data: Buffer, publishedAt: Date) => Promise<Injected>;

/**
 * Handles a message that an operator has, in place of the broker. What must wait is parked under an id made from its
 * content: the running service finishes it, and another injection changes nothing. What can never be handled is only
 * reported. Rejects with `Unavailable` when the database does not answer.
 * @param expireOrder must expire nothing: this process receives no payments, so it cannot know which were made in time
 */
export function createInjection(deps: {
  tickets: Pick<TicketStore, 'apply'>;
  expireOrder: ExpireOrder;
  completeOrder: CompleteOrder;
  failedMessages: Pick<FailedMessages, 'find' | 'put'>;
  now: () => Date;
}): Inject {
  const handlers = createHandlers({
    ...deps,
    catchUp: { paymentInFlight: () => () => {} },
    // Nothing expires here: there is no payment to wait for.
    clock: { now: deps.now, after: (_, task) => (task(), () => {}) },
  });

  return async function inject(subject, data, publishedAt) {
    const message: Message = { subject, sequence: INJECTED_SEQUENCE, publishedAt, redelivered: false, data };
    const { about, ...verdict } = await handlers[subject](message);
    switch (verdict.type) {
      case 'done':
        return { verdict: 'done', ...(about && { about }) };
      case 'reject':
        return { verdict: 'rejected', reason: verdict.reason };
      case 'park':
      case 'retry':
        return { ...(await park(message, verdict.reason)), ...(about && { about }) };
    }
  };

  async function park(message: Message, reason: string): Promise<Injected> {
    const id = `injected:${message.subject}:${createHash('sha256').update(message.data).digest('hex').slice(0, 32)}`;
    const earlier = await deps.failedMessages.find(id);
    if (earlier && earlier.retryAt === undefined) {
      const verdict = earlier.discarded ? 'discarded' : 'dead-letter';
      return { verdict, reason: `${reason}; see ${id}` };
    }
    const now = deps.now();
    const retryAt = new Date(now.getTime() + FIRST_RETRY_MS);
    await deps.failedMessages.put({ ...toFailedMessage(message, reason, now), id, retryAt });
    return { verdict: 'parked', reason };
  }
}
