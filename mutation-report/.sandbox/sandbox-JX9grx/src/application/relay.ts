import { createHands } from './hands';
import { backoff, createLoop, jittered, reportTo } from './schedule';
import { PublishFailed } from './ports';
import type { Clock, Log, Metrics, Outbox, OutboxEvent, Publication, Publisher } from './ports';

/** A publish is not begun unless this much of the lease is left: the broker's acknowledgement may take so long. */
export const ACK_TIMEOUT_MS = 5_000;
export const LEASE_MS = 15_000;

const POLL_EVERY_MS = 1_000;
const IN_FLIGHT = 64;
const SHORTEST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 1_000;
const FAILING = { firstMs: 1_000, longestMs: 5 * 60_000 };

export interface Relay {
  /** Publishes under a lease that the caller was given. */
  publish(publication: Publication): void;
  /** Something of this order is to be published. */
  nudge(orderId: string): void;
  start(): void;
  /** One last pass over what is pending, then no more; resolves when nothing is in hand. */
  stop(): Promise<void>;
}

/**
 * Publishes what the outbox holds: at least once, each order's events strictly in order, a ticket's earlier orders
 * before its next. Only the holder of an order's lease publishes, so that replicas need not know each other. A
 * failing order backs off and holds up only itself and its ticket's next orders.
 */
export function createRelay(deps: {
  outbox: Outbox;
  publisher: Publisher;
  clock: Clock;
  metrics: Pick<Metrics, 'publishAttempt' | 'publishFailure'>;
  log: Pick<Log, 'debug' | 'warn' | 'error'>;
}): Relay {
  const { outbox, publisher, clock, metrics, log } = deps;

  const hands = createHands({
    limit: IN_FLIGHT,
    onError: (error, orderId) =>
      log.warn({ err: error, orderId }, 'publishing stopped; it goes on when the lease has run out'),
  });

  const poll = createLoop({
    clock,
    everyMs: POLL_EVERY_MS,
    task: pollOnce,
    onError: reportTo(log, 'looking for events to publish failed and will be tried again'),
  });
  publisher.onAvailable(() => poll.wake());

  return {
    publish(publication) {
      void hands.take(publication.orderId, () => publishAll(publication), claimAndPublish);
    },
    nudge(orderId) {
      if (publisher.available()) void claimSoon(orderId);
    },
    start: () => poll.start(),
    async stop() {
      await poll.stop();
      await lastPass();
      await hands.close();
    },
  };

  async function lastPass(): Promise<void> {
    try {
      while ((await pollOnce()) === 'again');
    } catch (error) {
      log.warn(
        { err: error },
        'the last look for events to publish failed; another replica will publish them',
      );
    }
  }

  async function pollOnce(): Promise<void | 'again'> {
    if (!publisher.available()) return undefined;
    const claimable = await outbox.claimable(IN_FLIGHT);
    await Promise.all(claimable.map(claimSoon));
    return claimable.length === IN_FLIGHT ? 'again' : undefined;
  }

  function claimSoon(orderId: string): Promise<void> {
    return hands.take(orderId, () => claimAndPublish(orderId), claimAndPublish);
  }

  // --- one order ------------------------------------------------------------------------------------------

  async function claimAndPublish(orderId: string): Promise<void> {
    const publication = await outbox.claim(orderId);
    if (publication) await publishAll(publication);
  }

  async function publishAll(publication: Publication): Promise<void> {
    let current: Publication | undefined = publication;
    while (current && (await publishFirst(current))) {
      current = await outbox.book(current);
    }
  }

  /** Whether the first event of the publication is with the broker now. If not, the lease was given back. */
  async function publishFirst(publication: Publication): Promise<boolean> {
    const [event] = publication.events;
    if (!event) return false;
    if (!publisher.available()) {
      await outbox.release(publication, 0, publication.attempts);
      return false;
    }
    const blockers = await ordersBefore(publication, event);
    if (blockers.length > 0) {
      await waitForTurn(publication, event, blockers);
      return false;
    }
    // Without a full acknowledgement timeout of lease left, another may publish it at the same time.
    if (clock.monotonic() + ACK_TIMEOUT_MS > publication.leaseUntil) return false;
    try {
      metrics.publishAttempt(event.subject);
      await publisher.publish(event.subject, event.data, `${publication.orderId}:${event.seq}`);
      return true;
    } catch (error) {
      if (!(error instanceof PublishFailed)) throw error;
      await failed(publication, event, error);
      return false;
    }
  }

  /**
   * The events of the ticket's earlier turns go first; else a peer would hear of the old order's end after the new
   * one's beginning and free the new buyer's ticket.
   */
  async function ordersBefore(
    { ticketId, turn }: Publication,
    event: OutboxEvent,
  ): Promise<readonly string[]> {
    if (event.seq > 0 || turn === 0) return [];
    return outbox.pendingBefore(ticketId, turn);
  }

  async function waitForTurn(
    publication: Publication,
    event: OutboxEvent,
    blockers: readonly string[],
  ): Promise<void> {
    // The longer it has waited, the less often it asks.
    const age = clock.now().getTime() - event.at.getTime();
    const delayMs = Math.min(LONGEST_WAIT_MS, Math.max(SHORTEST_WAIT_MS, jittered(clock, age / 10)));
    await outbox.release(publication, delayMs, publication.attempts);
    // Those it waits for may be nobody's business yet, behind many others in the poll.
    for (const orderId of blockers) void claimSoon(orderId);
    poll.wake(delayMs);
  }

  async function failed(publication: Publication, event: OutboxEvent, error: PublishFailed): Promise<void> {
    metrics.publishFailure(error.reason);
    // A lost connection says nothing about this order; the others may be the order's own fault.
    if (error.reason === 'disconnected') {
      await outbox.release(publication, 0, publication.attempts);
      return;
    }
    const attempts = publication.attempts + 1;
    const delayMs = backoff(clock, attempts, FAILING);
    log.error(
      { err: error, orderId: publication.orderId, seq: event.seq, attempts, retryInMs: Math.round(delayMs) },
      'the broker did not take an event; it will be tried again',
    );
    await outbox.release(publication, delayMs, attempts);
  }
}
