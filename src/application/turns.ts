import { LRUCache } from 'lru-cache';

/** What this replica knows for certain about the turns of tickets. Not knowing costs a round trip, never a promise. */
export interface Turns {
  /** The turn to try for the next order of the ticket. */
  next(ticketId: string): number;
  /** That turn's order is cancelled, and that is durable. */
  over(ticketId: string, turn: number): void;
  /** The database was lost, and may come back with another past. */
  forget(): void;
}

/** The latest ones. */
const TICKETS_REMEMBERED = 20_000;

export function createTurns(): Turns {
  const nextTurns = new LRUCache<string, number>({ max: TICKETS_REMEMBERED });
  const next = (ticketId: string): number => nextTurns.get(ticketId) ?? 0;

  return {
    next,
    over: (ticketId, turn) => void nextTurns.set(ticketId, Math.max(turn + 1, next(ticketId))),
    forget: () => nextTurns.clear(),
  };
}
