import type { Metrics } from '../../src/application/ports';
import type { World } from './world';

/** What the service counts is what a run is to meet. */
export function countingMetrics(world: World): Metrics {
  return {
    orderOutcome: (outcome) => world.hit(`order: ${outcome}`),
    expiredEarly: () => world.hit('expired early'),
    decided: (input, status, decision) => world.hit(`cell: ${input} × ${status} → ${decision}`),
    refundRequired: (reason) => world.hit(`refund: ${reason}`),
    publishAttempt: (subject) => world.hit(`publish: ${subject}`),
    publishFailure: (reason) => world.hit(`publish failed: ${reason}`),
    messageHandled: (subject, verdict) => world.hit(`message: ${subject} ${verdict}`),
    deadLettered: (subject) => world.hit(`dead letter: ${subject}`),
    retried: (operation) => world.hit(`retried: ${operation}`),
  };
}
