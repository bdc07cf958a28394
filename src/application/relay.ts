import { createSlots } from './slots';
import { backoff, createLoop, reportTo } from './schedule';
import { PublishFailed, type Publisher } from './bus';
import type { Claimable, Clock, Log, Metrics, Outbox, OutboxEvent, PublishingLease } from './ports';

/** A publish starts only with this much of the lease left: the acknowledgement may take that long. */
export const ACK_TIMEOUT_MS = 5_000;
export const LEASE_MS = 15_000;

const POLL_EVERY_MS = 1_000;
/** Tickets whose events are published concurrently. */
const IN_FLIGHT = 64;
/** Orders per query: on a long backlog a query may cost the server the same, however few orders it asks for. */
const PAGE = 1_000;
/** With more tickets waiting, new orders are left to the poll, which waits: leases would run out in the queue. */
const MOST_WAITING = 1_000;
const FAILING = { firstMs: 1_000, longestMs: 5 * 60_000 };

export interface Relay {
  /** Whether an order that is placed now can be published soon, so that taking its lease is useful. */
  takesMore(): boolean;
  /** Publishes under a lease that the caller holds. Returns at once. */
  publish(lease: PublishingLease): void;
  /** This order has events to publish. Returns at once. */
  nudge(order: { readonly orderId: string; readonly ticketId: string }): void;
  start(): void;
  /** Publishes what is pending in one last pass; resolves when nothing is in flight. */
  stop(): Promise<void>;
}

/**
 * Publishes the events of the outbox: at least once, each order's events strictly in order, a ticket's earlier orders
 * before its next. Only the holder of an order's lease publishes, so replicas need not know each other. Each ticket is
 * worked on by one slot: after it has marked the last event of an ended order as published, it continues with the
 * ticket's next order. A failing order backs off and delays only itself and its ticket's next orders.
 */
export function createRelay(deps: {
  outbox: Outbox;
  publisher: Publisher;
  clock: Clock;
  metrics: Pick<Metrics, 'publishAttempt' | 'publishFailure'>;
  log: Pick<Log, 'debug' | 'warn' | 'error'>;
}): Relay {
  const { outbox, publisher, clock, metrics, log } = deps;

  const slots = createSlots({
    limit: IN_FLIGHT,
    mostWaiting: MOST_WAITING,
    onError: (error, ticketId) =>
      log.warn({ err: error, ticketId }, 'publishing stopped; it continues when the lease has run out'),
  });

  let stopping = false;
  const poll = createLoop({
    clock,
    everyMs: POLL_EVERY_MS,
    task: () => publishBacklog(() => !stopping),
    onError: reportTo(log, 'the search for events to publish failed and will be retried'),
  });
  publisher.onAvailable(() => poll.wake());

  return {
    takesMore: () => publisher.available() && slots.hasRoom(),
    publish(lease) {
      // After the answer to the buyer.
      setImmediate(() => void slots.take(lease.ticketId, () => publishUnderLease(lease)));
    },
    nudge({ orderId, ticketId }) {
      if (publisher.available()) void slots.take(ticketId, () => claimAndPublish(orderId));
    },
    start: () => poll.start(),
    async stop() {
      stopping = true;
      await poll.stop();
      await lastPass();
      await slots.close();
    },
  };

  /** One pass over all claimable orders. The next page is read when the slots have room, so memory use is bounded. */
  async function publishBacklog(goesOn: () => boolean): Promise<void> {
    let last: Claimable | undefined;
    do {
      last = await takeSome(last);
      await slots.room();
    } while (last && goesOn());
  }

  /** Resolves to the last order found, if there may be more after it. */
  async function takeSome(after?: Claimable): Promise<Claimable | undefined> {
    if (!publisher.available()) return undefined;
    const found = await outbox.claimable(PAGE, after);
    for (const one of firstOfEachTicket(found)) {
      // A slot at this ticket continues with its next order anyway.
      if (!slots.isAt(one.ticketId)) void slots.take(one.ticketId, () => begin(one));
    }
    return found.length === PAGE ? found.at(-1) : undefined;
  }

  async function lastPass(): Promise<void> {
    try {
      await publishBacklog(() => true);
    } catch (error) {
      log.warn(
        { err: error },
        'the last search for events to publish failed; another replica will publish them',
      );
    }
  }

  // --- one ticket -----------------------------------------------------------------------------------------

  function begin({ orderId, ticketId, turn }: Claimable): Promise<void> {
    return turn === 0 ? claimAndPublish(orderId) : publishEarliest(ticketId);
  }

  /** If another replica holds the earliest order, it does the same when that has nothing left to publish. */
  async function publishEarliest(ticketId: string): Promise<void> {
    if (!publisher.available()) return;
    const orderId = await outbox.earliest(ticketId);
    const lease = orderId === undefined ? undefined : await outbox.claim(orderId);
    if (lease) await publishAll(lease);
  }

  function goOn(ticketId: string): void {
    void slots.take(ticketId, () => publishEarliest(ticketId));
  }

  // --- one order ------------------------------------------------------------------------------------------

  async function claimAndPublish(orderId: string): Promise<void> {
    const lease = await outbox.claim(orderId);
    if (lease) await publishUnderLease(lease);
  }

  async function publishUnderLease(lease: PublishingLease): Promise<void> {
    if (publisher.available() && (await isItsTurn(lease))) {
      await publishAll(lease);
      return;
    }
    await outbox.release(lease, 0, lease.attempts);
    // After the release: if the earlier orders ended before it, their holder found this one leased.
    goOn(lease.ticketId);
  }

  /**
   * The events of the ticket's earlier turns go first: a peer that received the old order's cancellation after the new
   * order's creation would free the new buyer's ticket.
   */
  async function isItsTurn({ orderId, ticketId, turn, events: [event] }: PublishingLease): Promise<boolean> {
    if (turn === 0 || event?.seq !== 0) return true;
    return (await outbox.earliest(ticketId)) === orderId;
  }

  async function publishAll(lease: PublishingLease): Promise<void> {
    let current: PublishingLease | undefined = lease;
    let last: OutboxEvent | undefined;
    while (current) {
      const { published, failure } = await publishEach(current);
      const rest: PublishingLease | undefined =
        published > 0
          ? await outbox.markPublished(current, published, hasteFor(current, published))
          : current;
      if (failure) {
        if (rest) await giveBack(rest, failure);
        return;
      }
      // Too little of the lease is left: it runs out.
      if (published === 0) return;
      last = current.events[published - 1];
      current = rest;
    }
    if (last && mayEndTurn(last)) goOn(lease.ticketId);
  }

  /** How many of the events the broker has acknowledged, and why not all of them. */
  async function publishEach(
    lease: PublishingLease,
  ): Promise<{ published: number; failure?: PublishFailed }> {
    let published = 0;
    for (const event of lease.events) {
      // With less of the lease left, another replica may publish it at the same time.
      if (clock.monotonic() + ACK_TIMEOUT_MS > lease.leaseUntil) break;
      try {
        metrics.publishAttempt(event.subject);
        await publisher.publish(event.subject, event.data);
      } catch (error) {
        if (!(error instanceof PublishFailed)) throw error;
        metrics.publishFailure(error.reason);
        return { published, failure: error };
      }
      log.debug({ orderId: lease.orderId, seq: event.seq, subject: event.subject }, 'event published');
      published += 1;
    }
    return { published };
  }

  async function giveBack(lease: PublishingLease, failure: PublishFailed): Promise<void> {
    // A lost connection is not the order's fault; the other failures may be.
    if (failure.reason === 'disconnected') {
      await outbox.release(lease, 0, lease.attempts);
      return;
    }
    const { orderId, events } = lease;
    const attempts = lease.attempts + 1;
    const delayMs = backoff(clock, attempts, FAILING);
    log.error(
      { err: failure, orderId, seq: events[0]?.seq, attempts, retryInMs: Math.round(delayMs) },
      'the broker did not acknowledge an event; it will be retried',
    );
    await outbox.release(lease, delayMs, attempts);
  }
}

/** Whether another order of the ticket may wait for this event: a creation never ends a turn. */
function mayEndTurn({ subject }: OutboxEvent): boolean {
  return subject !== 'order:created';
}

/** Nothing waits for the mark of a creation, and nearly all marks are of creations. */
function hasteFor({ events }: PublishingLease, published: number): 'now' | 'can wait' {
  const isLast = published === events.length;
  return isLast && !events.some(mayEndTurn) ? 'can wait' : 'now';
}

function firstOfEachTicket(found: readonly Claimable[]): Iterable<Claimable> {
  const first = new Map<string, Claimable>();
  for (const one of found) {
    const other = first.get(one.ticketId);
    if (!other || one.turn < other.turn) first.set(one.ticketId, one);
  }
  return first.values();
}
