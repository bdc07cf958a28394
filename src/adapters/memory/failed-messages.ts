import type { Clock, FailedMessage, FailedMessages } from '../../application/ports';
import { roundTrip } from './database';
import type { MemoryDatabase } from './database';

export function createFailedMessages(
  { failedMessages }: MemoryDatabase,
  clock: Pick<Clock, 'now'>,
): FailedMessages {
  const all = () => [...failedMessages.values()];

  function takeDue(claimedUntil: Date, limit: number): FailedMessage[] {
    const now = clock.now();
    const due = all()
      .filter(({ retryAt }) => retryAt !== undefined && retryAt <= now)
      .sort((a, b) => timeOf(a.retryAt) - timeOf(b.retryAt))
      .slice(0, limit);
    for (const message of due) failedMessages.set(message.id, { ...message, retryAt: claimedUntil });
    return due;
  }

  function postpone(id: string, update: Parameters<FailedMessages['postpone']>[1]): void {
    const message = failedMessages.get(id);
    if (!message) return;
    const { retryAt: _, ...rest } = message;
    failedMessages.set(id, { ...rest, ...update });
  }

  function replay(id: string | undefined): number {
    const messages = all().filter((message) => id === undefined || message.id === id);
    for (const message of messages) {
      failedMessages.set(message.id, { ...message, attempts: 0, retryAt: clock.now() });
    }
    return messages.length;
  }

  return {
    put(message) {
      const copy = structuredClone(message);
      return roundTrip(() => {
        if (!failedMessages.has(copy.id)) failedMessages.set(copy.id, copy);
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
    remove: (id) => roundTrip(() => void failedMessages.delete(id)),
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
        return { parked, dead: failedMessages.size - parked };
      }),
  };
}

function timeOf(date: Date | undefined): number {
  return date?.getTime() ?? 0;
}
