import type { Log, Metrics } from '../../src/application/ports';

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

export const silentMetrics: Metrics = {
  orderOutcome() {},
  refundRequired() {},
  publishAttempt() {},
  publishFailure() {},
  messageHandled() {},
  deadLettered() {},
  decided() {},
  retried() {},
};
