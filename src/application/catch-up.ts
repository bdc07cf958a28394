import type { Clock, Log } from './ports';

/**
 * Knows whether this replica has caught up with payments, so that an expiry heard first does not cancel what
 * was paid in time: after an outage both channels replay, in no order between them.
 */
export interface CatchUp {
  /** `group`: the payments that this replica is to handle; `watch`: those that any replica is. */
  subscriptionChanged(subscription: 'group' | 'watch'): (isUp: boolean) => void;
  /** The database was found, or lost. */
  databaseChanged(ready: boolean): void;
  /** A payment was published, for whichever replica to handle. */
  paymentHeard(orderId: string, publishedAt: Date): void;
  /** A payment came; to be called before it is handled. */
  paymentReceived(publishedAt: Date): void;
  /** A payment could not be handled yet and will come again. */
  paymentPostponed(): void;
  /** Until the returned function is called, a payment of this order is in flight here. */
  paymentInFlight(orderId: string): () => void;
  /** Whether this order may expire now, as far as payments are concerned. */
  mayExpire(orderId: string): boolean;
}

/**
 * Caught up: both subscriptions to payments have been up for `catchUpSeconds` without a break, and in that time no
 * payment came that was older than that, and none was postponed. Where old payments never cease, expiry goes on
 * when it has been held up by them for `hardLimitSeconds`, and says so: a ticket must not be blocked for ever. While
 * one of them is down nothing expires, for a payment may be waiting in the broker. An order whose payment was heard does
 * not expire before the hard limit either: whoever is to handle it may have died, or cannot reach the database.
 * All of that is counted in time with the database: without it no payment can be written, and no expiry either.
 */
export function createCatchUp(deps: {
  clock: Pick<Clock, 'now' | 'monotonic'>;
  /** Whether the database is there already. */
  databaseReady: boolean;
  catchUpSeconds: number;
  hardLimitSeconds: number;
  log: Pick<Log, 'info' | 'warn'>;
}): CatchUp {
  const { clock, log } = deps;
  const catchUpMs = deps.catchUpSeconds * 1000;
  const hardLimitMs = deps.hardLimitSeconds * 1000;

  const up = new Set<'group' | 'watch'>();
  /** When a payment of the order was heard last; the longest ago first. */
  const heard = new Map<string, number>();
  const inFlight = new Map<string, number>();
  /** The last time that expiry was held up, and until when if nothing else comes; undefined while a subscription is down. */
  let behind: { readonly since: number; readonly until: number } | undefined;
  let said: 'nothing' | 'caught up' | 'gave up' = 'nothing';
  let withoutDatabaseMs = 0;
  let withoutDatabaseSince = deps.databaseReady ? undefined : clock.monotonic();

  /** Time with the database: it stops while that is unavailable. */
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
        // It goes on from where it stood.
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
