/** What this replica knows for certain about the turns of tickets. Not knowing costs a round trip, never a promise. */
export interface Turns {
  /** The turn to try for the next order of the ticket. */
  next(ticketId: string): number;
  /** That turn's order is cancelled, and that is durable. */
  over(ticketId: string, turn: number): void;
  /** The database was lost, and may come back with another past. */
  forget(): void;
}

const TICKETS_REMEMBERED = 50_000;

export function createTurns(): Turns {
  const nextTurns = new Map<string, number>();

  return {
    next: (ticketId) => nextTurns.get(ticketId) ?? 0,
    over(ticketId, turn) {
      const next = Math.max(turn + 1, nextTurns.get(ticketId) ?? 0);
      // Put last again: the first ones are those that nobody asked for the longest.
      nextTurns.delete(ticketId);
      nextTurns.set(ticketId, next);
      const [oldest] = nextTurns.keys();
      if (nextTurns.size > TICKETS_REMEMBERED && oldest !== undefined) nextTurns.delete(oldest);
    },
    forget: () => nextTurns.clear(),
  };
}
