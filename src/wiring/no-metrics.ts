import type { Metrics } from '../application/ports';

/** For a process that nobody scrapes. */
export const NO_METRICS: Metrics = {
  orderOutcome() {},
  expiredEarly() {},
  decided() {},
  refundRequired() {},
  publishAttempt() {},
  publishFailure() {},
  messageHandled() {},
  deadLettered() {},
  retried() {},
};
