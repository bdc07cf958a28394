import { createSlots } from './slots';
import { backoff, createLoop, reportTo } from './schedule';
import { PublishFailed } from './ports';
import type {
  Claimable,
  Clock,
  Log,
  Metrics,
  Outbox,
  OutboxEvent,
  PublishingLease,
  Publisher,
} from './ports';

/** A publish is not begun unless this much of the lease is left: the broker's acknowledgement may take so long. */
export const ACK_TIMEOUT_MS = 5_000;
export const LEASE_MS = 15_000;

const POLL_EVERY_MS = 1_000;
/** Tickets whose events are published side by side. */
const IN_FLIGHT = 64;
/** So many are looked up at once: a look at a long backlog may cost a server the same, however few are asked for. */
const PAGE = 1_000;
/** Above that, what is placed is left to the poll, and the poll waits: a lease would run out in such a row. */
const MOST_WAITING = 1_000;
const FAILING = { firstMs: 1_000, longestMs: 5 * 60_000 };

export interface Relay {
  /** Whether what is placed now can be published soon, so that its lease is worth taking. */
  takesMore(): boolean;
  /** Publishes under a lease that the caller was given. Returns at once. */
  publish(lease: PublishingLease): void;
  /** Something of this order is to be published. Returns at once. */
  nudge(order: { readonly orderId: string; readonly ticketId: string }): void;
  start(): void;
  /** One last pass over what is pending, then no more; resolves when nothing is in flight. */
  stop(): Promise<void>;
}

/**
 * Publishes what the outbox holds: at least once, each order's events strictly in order, a ticket's earlier orders
 * before its next. Only the holder of an order's lease publishes, so that replicas need not know each other. Each ticket
 * is worked at by one slot: whoever marks the last event as published of an order that came to its end goes on with the ticket's next
 * one. A failing order backs off and holds up only itself and its ticket's next orders.
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
      log.warn({ err: error, ticketId }, 'publishing stopped; it goes on when the lease has run out'),
  });

  let stopping = false;
  const poll = createLoop({
    clock,
    everyMs: POLL_EVERY_MS,
    task: () => publishBacklog(() => !stopping),
    onError: reportTo(log, 'looking for events to publish failed and will be tried again'),
  });
  publisher.onAvailable(() => poll.wake());

  return {
    takesMore: () => publisher.available() && slots.hasRoom(),
    publish(lease) {
      // After the answer to whoever placed the order.
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

  /** One pass over all that can be claimed. The next of it is looked up when the slots have room: none is kept in memory. */
  async function publishBacklog(goesOn: () => boolean): Promise<void> {
    let last: Claimable | undefined;
    do {
      last = await takeSome(last);
      await slots.room();
    } while (last && goesOn());
  }

  /** Resolves to the last one that was looked at, if there may be more behind it. */
  async function takeSome(after?: Claimable): Promise<Claimable | undefined> {
    if (!publisher.available()) return undefined;
    const found = await outbox.claimable(PAGE, after);
    for (const one of firstOfEachTicket(found)) {
      // Whoever is there goes on with the ticket's next order by itself.
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
        'the last look for events to publish failed; another replica will publish them',
      );
    }
  }

  // --- one ticket -----------------------------------------------------------------------------------------

  function begin({ orderId, ticketId, turn }: Claimable): Promise<void> {
    return turn === 0 ? claimAndPublish(orderId) : publishEarliest(ticketId);
  }

  /** Whoever holds an earlier order of the ticket does the same when that has nothing left. */
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
    // After the release: if the earlier orders came to their end before it, their holder found this one taken.
    goOn(lease.ticketId);
  }

  /**
   * The events of the ticket's earlier turns go first; else a peer would hear of the old order's end after the new
   * one's beginning and free the new buyer's ticket.
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
      // Its lease is left to run out.
      if (published === 0) return;
      last = current.events[published - 1];
      current = rest;
    }
    if (last && mayEndTurn(last)) goOn(lease.ticketId);
  }

  /** How many of the events are with the broker now, and why not all of them. */
  async function publishEach(
    lease: PublishingLease,
  ): Promise<{ published: number; failure?: PublishFailed }> {
    let published = 0;
    for (const event of lease.events) {
      // Without a full acknowledgement timeout of lease left, another may publish it at the same time.
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
    // A lost connection says nothing about this order; the others may be the order's own fault.
    if (failure.reason === 'disconnected') {
      await outbox.release(lease, 0, lease.attempts);
      return;
    }
    const { orderId, events } = lease;
    const attempts = lease.attempts + 1;
    const delayMs = backoff(clock, attempts, FAILING);
    log.error(
      { err: failure, orderId, seq: events[0]?.seq, attempts, retryInMs: Math.round(delayMs) },
      'the broker did not take an event; it will be tried again',
    );
    await outbox.release(lease, delayMs, attempts);
  }
}

/** Only behind a cancellation another order of the ticket can wait. */
function mayEndTurn({ subject }: OutboxEvent): boolean {
  return subject !== 'order:created';
}

/** Nothing waits for the mark of a creation: of all marks nearly all. */
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
