import type { Clock, FailedMessage, FailedMessages } from '../../application/ports';
import { roundTrips, type MemoryDatabase } from './database';

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

  function replay(id?: string): number {
    const messages = all().filter((message) => id === undefined || message.id === id);
    for (const message of messages) {
      failedMessages.set(message.id, { ...message, attempts: 0, retryAt: clock.now() });
    }
    return messages.length;
  }

  function list(limit: number): FailedMessage[] {
    return all()
      .sort((a, b) => timeOf(b.at) - timeOf(a.at))
      .slice(0, limit);
  }

  function count() {
    const parked = all().filter(({ retryAt }) => retryAt !== undefined).length;
    return { parked, dead: failedMessages.size - parked };
  }

  return roundTrips({
    put(message: FailedMessage) {
      if (!failedMessages.has(message.id)) failedMessages.set(message.id, message);
    },
    takeDue,
    postpone,
    remove: (id: string) => void failedMessages.delete(id),
    list,
    replay,
    count,
  });
}

function timeOf(date: Date | undefined): number {
  return date?.getTime() ?? 0;
}
