import type { CatchUp } from '../application/catch-up';
import { jittered, pause } from '../application/schedule';
import type { Message } from '../application/bus';
import type { FailedMessages } from '../application/failed-messages';
import { Unavailable, type Clock, type Log, type Metrics } from '../application/ports';
import { toFailedMessage } from './failed-messages';
import type { Handler } from './handlers';
import { FIRST_RETRY_MS } from './parked-messages';

/** A wrapper of a handler, for any subject. */
export type Middleware = (next: Handler) => Handler;

/** How long a message that could not be handled stays in flight: its redeliveries meanwhile cost nothing. */
const REST_MS = 1_000;

/** Never rejects: without the database the message is redelivered; after an unexpected error it is parked. */
export function errorsToVerdicts(log: Pick<Log, 'error'>): Middleware {
  return (next) => async (message) => {
    try {
      return await next(message);
    } catch (error) {
      if (error instanceof Unavailable) return { type: 'retry', reason: error.message };
      log.error({ err: error, ...describe(message) }, 'handling a message failed unexpectedly');
      return { type: 'park', reason: 'an unexpected error; see the log' };
    }
  };
}

/** Stores parked and rejected messages. Keeps the verdict if that succeeds; otherwise it is `retry`. */
export function storeFailed(deps: {
  failedMessages: Pick<FailedMessages, 'put'>;
  clock: Pick<Clock, 'now'>;
  metrics: Pick<Metrics, 'deadLettered'>;
  log: Pick<Log, 'error'>;
}): Middleware {
  return (next) => async (message) => {
    const verdict = await next(message);
    if (verdict.type !== 'park' && verdict.type !== 'reject') return verdict;
    const now = deps.clock.now();
    const retryAt = verdict.type === 'park' ? { retryAt: new Date(now.getTime() + FIRST_RETRY_MS) } : {};
    try {
      await deps.failedMessages.put({ ...toFailedMessage(message, verdict.reason, now), ...retryAt });
    } catch (error) {
      if (!(error instanceof Unavailable))
        deps.log.error({ err: error, ...describe(message) }, 'storing a failed message failed');
      return { type: 'retry', reason: 'the failed message could not be stored' };
    }
    if (verdict.type === 'reject') deps.metrics.deadLettered(message.subject);
    return verdict;
  };
}

/** One log line and one measurement per message. */
export function report(deps: {
  clock: Pick<Clock, 'monotonic'>;
  metrics: Pick<Metrics, 'messageHandled'>;
  log: Pick<Log, 'debug' | 'info' | 'warn'>;
}): Middleware {
  return (next) => async (message) => {
    const startedAt = deps.clock.monotonic();
    const verdict = await next(message);
    const seconds = (deps.clock.monotonic() - startedAt) / 1000;
    deps.metrics.messageHandled(message.subject, verdict.type, seconds);
    const { type, about, ...reason } = verdict;
    const durationMs = Math.round(seconds * 1000);
    const fields = { ...describe(message), ...about, verdict: type, ...reason, durationMs };
    if (type === 'done') deps.log.info(fields, 'message handled');
    // It is redelivered every few seconds, like all others: the loss of the database is logged once.
    else if (type === 'retry') deps.log.debug(fields, 'message not handled yet');
    else deps.log.warn(fields, 'message not handled');
    return verdict;
  };
}

/** Refuses messages above `limit` at once, so that they are redelivered; delays a `retry` verdict for a moment. */
export function bound(
  limit: number,
  deps: { clock: Pick<Clock, 'after' | 'random'>; metrics: Pick<Metrics, 'messageHandled'> },
): Middleware {
  const { clock, metrics } = deps;
  let inFlight = 0;
  return (next) => async (message) => {
    if (inFlight >= limit) {
      metrics.messageHandled(message.subject, 'retry', 0);
      return { type: 'retry', reason: 'too many messages in flight' };
    }
    inFlight += 1;
    try {
      const verdict = await next(message);
      if (verdict.type === 'retry') await pause(clock, jittered(clock, REST_MS));
      return verdict;
    } finally {
      inFlight -= 1;
    }
  };
}

/** Reports payments to the catch-up, on which expiry depends. */
export function tellCatchUp(catchUp: Pick<CatchUp, 'paymentReceived' | 'paymentPostponed'>): Middleware {
  return (next) => async (message) => {
    catchUp.paymentReceived(message.publishedAt);
    const verdict = await next(message);
    if (verdict.type === 'retry') catchUp.paymentPostponed();
    return verdict;
  };
}

function describe({ subject, sequence, redelivered }: Message): object {
  return { subject, sequence, redelivered };
}
