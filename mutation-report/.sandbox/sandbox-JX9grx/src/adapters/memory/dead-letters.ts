import type { Clock, DeadLetter, DeadLetters } from '../../application/ports';
import { roundTrip } from './database';
import type { MemoryDatabase } from './database';

export function createDeadLetters({ deadLetters }: MemoryDatabase, clock: Pick<Clock, 'now'>): DeadLetters {
  const all = () => [...deadLetters.values()];

  function takeDue(claimedUntil: Date, limit: number): DeadLetter[] {
    const now = clock.now();
    const due = all()
      .filter(({ retryAt }) => retryAt !== undefined && retryAt <= now)
      .sort((a, b) => timeOf(a.retryAt) - timeOf(b.retryAt))
      .slice(0, limit);
    for (const letter of due) deadLetters.set(letter.id, { ...letter, retryAt: claimedUntil });
    return due;
  }

  function postpone(id: string, update: Parameters<DeadLetters['postpone']>[1]): void {
    const letter = deadLetters.get(id);
    if (!letter) return;
    const { retryAt: _, ...rest } = letter;
    deadLetters.set(id, { ...rest, ...update });
  }

  function replay(id: string | undefined): number {
    const letters = all().filter((letter) => id === undefined || letter.id === id);
    for (const letter of letters) {
      deadLetters.set(letter.id, { ...letter, attempts: 0, retryAt: clock.now() });
    }
    return letters.length;
  }

  return {
    put(letter) {
      const copy = structuredClone(letter);
      return roundTrip(() => {
        if (!deadLetters.has(copy.id)) deadLetters.set(copy.id, copy);
      });
    },
    takeDue(claimedUntil, limit) {
      const copy = structuredClone(claimedUntil);
      return roundTrip(() => takeDue(copy, limit));
    },
    postpone(id, update) {
      const copy = structuredClone(update);
      return roundTrip(() => postpone(id, copy));
    },
    remove: (id) => roundTrip(() => void deadLetters.delete(id)),
    list: (limit) =>
      roundTrip(() =>
        all()
          .sort((a, b) => timeOf(b.at) - timeOf(a.at))
          .slice(0, limit),
      ),
    replay: (id) => roundTrip(() => replay(id)),
    count: () =>
      roundTrip(() => {
        const parked = all().filter(({ retryAt }) => retryAt !== undefined).length;
        return { parked, dead: deadLetters.size - parked };
      }),
  };
}

function timeOf(date: Date | undefined): number {
  return date?.getTime() ?? 0;
}
