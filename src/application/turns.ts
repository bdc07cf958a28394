import { LRUCache } from 'lru-cache';

/** The turns that are certainly over, as far as this replica knows. A missing entry costs only a round trip. */
export interface Turns {
  /** The turn to try for the next order of the ticket. */
  next(ticketId: string): number;
  /** The order of that turn is durably cancelled. */
  over(ticketId: string, turn: number): void;
  /** The database was lost, and may come back with different data. */
  forget(): void;
}

/** How many tickets are remembered: those used last. */
const TICKETS_REMEMBERED = 50_000;

export function createTurns(): Turns {
  const nextTurns = new LRUCache<string, number>({ max: TICKETS_REMEMBERED });
  const next = (ticketId: string): number => nextTurns.get(ticketId) ?? 0;

  return {
    next,
    over: (ticketId, turn) => void nextTurns.set(ticketId, Math.max(turn + 1, next(ticketId))),
    forget: () => nextTurns.clear(),
  };
}
