import { backoff, createLoop, reportTo } from '../application/schedule';
import type { Loop } from '../application/schedule';
import type { Clock, DeadLetter, DeadLetters, Log, Metrics } from '../application/ports';
import { toMessage } from './dead-letters';
import type { Inbox } from './inbox';

export const FIRST_RETRY_MS = 1_000;

const POLL_EVERY_MS = 1_000;
const LETTERS_PER_POLL = 50;
/** While one replica tries a letter, no other does. */
const CLAIM_MS = 30_000;
const ATTEMPTS = 10;

/**
 * Tries parked messages again, about a quarter of an hour in all, until their order is known; then they are
 * dead letters, until someone replays them.
 */
export function createParkedMessages(deps: {
  deadLetters: DeadLetters;
  handle: Inbox['handle'];
  clock: Clock;
  metrics: Pick<Metrics, 'deadLettered' | 'retried'>;
  log: Pick<Log, 'debug' | 'info' | 'warn' | 'error'>;
}): Loop {
  const { deadLetters, clock, metrics, log } = deps;

  async function pollOnce(): Promise<void | 'again'> {
    const claimedUntil = new Date(clock.now().getTime() + CLAIM_MS);
    const due = await deadLetters.takeDue(claimedUntil, LETTERS_PER_POLL);
    await Promise.all(due.map(tryAgain));
    return due.length === LETTERS_PER_POLL ? 'again' : undefined;
  }

  async function tryAgain(letter: DeadLetter): Promise<void> {
    metrics.retried('parked_message');
    const verdict = await deps.handle(toMessage(letter));
    if (verdict.type === 'done') {
      await deadLetters.remove(letter.id);
      log.info({ deadLetter: letter.id, attempts: letter.attempts }, 'a parked message was handled');
      return;
    }
    // Not the message's fault: the same attempt again, later.
    const attempts = verdict.type === 'retry' ? letter.attempts : letter.attempts + 1;
    const { reason } = verdict;
    if (verdict.type === 'reject' || attempts >= ATTEMPTS) {
      await deadLetters.postpone(letter.id, { reason, attempts });
      metrics.deadLettered(letter.subject);
      log.error({ deadLetter: letter.id, reason, attempts }, 'a message is dead until it is replayed');
      return;
    }
    const delayMs = backoff(clock, attempts, { firstMs: FIRST_RETRY_MS, longestMs: 5 * 60_000 });
    const retryAt = new Date(clock.now().getTime() + delayMs);
    await deadLetters.postpone(letter.id, { reason, attempts, retryAt });
  }

  return createLoop({
    clock,
    everyMs: POLL_EVERY_MS,
    task: pollOnce,
    onError: reportTo(log, 'trying parked messages failed and will be tried again'),
  });
}
