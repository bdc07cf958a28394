import type { Clock, Log } from './ports';

/**
 * Whether this replica has caught up with payments, so that an expiry received first does not cancel an order that was
 * paid in time: after an outage both channels replay, in no order between them.
 */
export interface CatchUp {
  /** `group`: the payments that this replica handles; `watch`: those that any replica handles. */
  subscriptionChanged(subscription: 'group' | 'watch'): (isUp: boolean) => void;
  /** The database became ready, or was lost. */
  databaseChanged(ready: boolean): void;
  /** A payment was published, for any replica to handle. */
  paymentHeard(orderId: string, publishedAt: Date): void;
  /** A payment arrived; call this before it is handled. */
  paymentReceived(publishedAt: Date): void;
  /** A payment could not be handled yet and will be redelivered. */
  paymentPostponed(): void;
  /** Until the returned function is called, a payment of this order is in flight here. */
  paymentInFlight(orderId: string): () => void;
  /** Whether this order may expire now, as far as payments are concerned. */
  mayExpire(orderId: string): boolean;
}

/**
 * Caught up: both subscriptions to payments have been up for `catchUpSeconds` without a break, and in that time no
 * payment older than that arrived and none was postponed. If old payments do not stop, orders expire anyway once expiry
 * was delayed for `hardLimitSeconds`, with a warning: a ticket must not be blocked for ever. While a subscription is
 * down nothing expires, because a payment may be waiting in the broker. An order whose payment was watched does not
 * expire before the hard limit either: the replica that handles the payment may have died, or cannot reach the
 * database. Only time with the database counts: without it neither a payment nor an expiry can be written.
 */
export function createCatchUp(deps: {
  clock: Pick<Clock, 'now' | 'monotonic'>;
  /** Whether the database is ready already. */
  databaseReady: boolean;
  catchUpSeconds: number;
  hardLimitSeconds: number;
  log: Pick<Log, 'info' | 'warn'>;
}): CatchUp {
  const { clock, log } = deps;
  const catchUpMs = deps.catchUpSeconds * 1000;
  const hardLimitMs = deps.hardLimitSeconds * 1000;

  const up = new Set<'group' | 'watch'>();
  /** When a payment of the order was watched last; the oldest first. */
  const heard = new Map<string, number>();
  const inFlight = new Map<string, number>();
  /** The latest delay of expiry: its start, and its end unless extended; undefined while a subscription is down. */
  let behind: { readonly since: number; readonly until: number } | undefined;
  let said: 'nothing' | 'caught up' | 'gave up' = 'nothing';
  let withoutDatabaseMs = 0;
  let withoutDatabaseSince = deps.databaseReady ? undefined : clock.monotonic();

  /** Time that stops while the database is unavailable. */
  function now(): number {
    return (withoutDatabaseSince ?? clock.monotonic()) - withoutDatabaseMs;
  }

  function fallBehind(): void {
    if (!behind) return;
    const isOver = now() >= behind.until;
    fallBehindSince(isOver ? now() : behind.since);
  }

  function fallBehindSince(since: number): void {
    behind = { since, until: now() + catchUpMs };
  }

  function say(what: typeof said): void {
    if (said === what) return;
    said = what;
    if (what === 'caught up') log.info({}, 'payments are caught up: orders may expire');
    if (what === 'gave up') {
      log.warn({ hardLimitSeconds: deps.hardLimitSeconds }, 'payments never caught up: orders expire anyway');
    }
  }

  function caughtUp(): boolean {
    if (!behind) return false;
    if (now() >= behind.until) {
      say('caught up');
      return true;
    }
    if (now() - behind.since >= hardLimitMs) {
      say('gave up');
      return true;
    }
    return false;
  }

  function paymentReceived(publishedAt: Date): void {
    if (clock.now().getTime() - publishedAt.getTime() > catchUpMs) fallBehind();
  }

  function isHeard(orderId: string): boolean {
    const heardAt = heard.get(orderId);
    return heardAt !== undefined && now() - heardAt < hardLimitMs;
  }

  return {
    subscriptionChanged: (subscription) => (isUp) => {
      if (!isUp) {
        up.delete(subscription);
        behind = undefined;
      } else if (up.add(subscription).size === 2) {
        fallBehindSince(now());
        said = 'nothing';
      }
    },
    databaseChanged(ready) {
      if (ready) {
        // The time continues from where it stopped.
        withoutDatabaseMs = clock.monotonic() - now();
        withoutDatabaseSince = undefined;
      } else {
        withoutDatabaseSince ??= clock.monotonic();
      }
    },
    paymentHeard(orderId, publishedAt) {
      heard.delete(orderId);
      heard.set(orderId, now());
      for (const id of heard.keys()) {
        if (isHeard(id)) break;
        heard.delete(id);
      }
      paymentReceived(publishedAt);
    },
    paymentReceived,
    paymentPostponed: fallBehind,
    paymentInFlight(orderId) {
      inFlight.set(orderId, (inFlight.get(orderId) ?? 0) + 1);
      return () => {
        const left = (inFlight.get(orderId) ?? 1) - 1;
        if (left > 0) inFlight.set(orderId, left);
        else inFlight.delete(orderId);
      };
    },
    mayExpire: (orderId) => caughtUp() && !inFlight.has(orderId) && !isHeard(orderId),
  };
}
