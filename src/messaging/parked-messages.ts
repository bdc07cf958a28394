import { allOf, backoff, createLoop, reportTo, type Loop } from '../application/schedule';
import type { FailedMessage, FailedMessages } from '../application/failed-messages';
import type { Clock, Log, Metrics } from '../application/ports';
import { toMessage } from './failed-messages';
import type { Inbox } from './inbox';

export const FIRST_RETRY_MS = 1_000;

const POLL_EVERY_MS = 1_000;
const MESSAGES_PER_POLL = 50;
/** While one replica tries a message, no other does. */
const CLAIM_MS = 30_000;
const ATTEMPTS = 10;

/**
 * Retries parked messages until their order is known, in ten attempts and about ten minutes; after that they are dead letters,
 * until someone replays them.
 */
export function createParkedMessages(deps: {
  failedMessages: FailedMessages;
  handle: Inbox['handle'];
  clock: Clock;
  metrics: Pick<Metrics, 'deadLettered' | 'retried'>;
  log: Pick<Log, 'debug' | 'info' | 'warn' | 'error'>;
}): Loop {
  const { failedMessages, clock, metrics, log } = deps;

  async function pollOnce(): Promise<void | 'again'> {
    const claimedUntil = new Date(clock.now().getTime() + CLAIM_MS);
    const due = await failedMessages.takeDue(claimedUntil, MESSAGES_PER_POLL);
    await allOf(due.map(tryAgain));
    return due.length === MESSAGES_PER_POLL ? 'again' : undefined;
  }

  async function tryAgain(failed: FailedMessage): Promise<void> {
    metrics.retried('parked_message');
    const verdict = await deps.handle(toMessage(failed));
    if (verdict.type === 'done') {
      await failedMessages.remove(failed.id);
      log.info({ messageId: failed.id, attempts: failed.attempts }, 'a parked message was handled');
      return;
    }
    // Not the message's fault: this attempt does not count.
    const attempts = verdict.type === 'retry' ? failed.attempts : failed.attempts + 1;
    const { reason } = verdict;
    if (verdict.type === 'reject' || attempts >= ATTEMPTS) {
      await failedMessages.postpone(failed.id, { reason, attempts });
      metrics.deadLettered(failed.subject);
      log.error(
        { messageId: failed.id, reason, attempts },
        'a message became a dead letter: it waits for a replay',
      );
      return;
    }
    const delayMs = backoff(clock, attempts, { firstMs: FIRST_RETRY_MS, longestMs: 5 * 60_000 });
    const retryAt = new Date(clock.now().getTime() + delayMs);
    await failedMessages.postpone(failed.id, { reason, attempts, retryAt });
  }

  return createLoop({
    clock,
    everyMs: POLL_EVERY_MS,
    task: pollOnce,
    onError: reportTo(log, 'handling parked messages failed and will be retried'),
  });
}
