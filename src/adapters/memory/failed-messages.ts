import type {
  FailedMessage,
  FailedMessages,
  FailedState,
  ListedMessage,
} from '../../application/failed-messages';
import type { Clock } from '../../application/ports';
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
    if (!message || message.discarded) return;
    const { retryAt: _, ...rest } = message;
    failedMessages.set(id, { ...rest, ...update });
  }

  function replay(id?: string): number {
    const messages = all().filter((message) => (id === undefined ? !message.discarded : message.id === id));
    for (const { discarded: _, ...message } of messages) {
      failedMessages.set(message.id, { ...message, attempts: 0, retryAt: clock.now() });
    }
    return messages.length;
  }

  function discard(id: string, reason: string): boolean {
    const message = failedMessages.get(id);
    if (!message || message.discarded) return false;
    const { retryAt: _, ...rest } = message;
    failedMessages.set(id, { ...rest, discarded: { at: clock.now(), reason } });
    return true;
  }

  function list(limit: number, state?: FailedState): ListedMessage[] {
    return all()
      .filter((message) => state === undefined || stateOf(message) === state)
      .sort((a, b) => timeOf(b.at) - timeOf(a.at))
      .slice(0, limit)
      .map(({ data: _, encoding: __, ...listed }) => listed);
  }

  function count() {
    const inState = (state: FailedState) => all().filter((message) => stateOf(message) === state).length;
    return { parked: inState('parked'), dead: inState('dead') };
  }

  return roundTrips({
    put(message: FailedMessage) {
      if (!failedMessages.has(message.id)) failedMessages.set(message.id, message);
    },
    takeDue,
    postpone,
    remove: (id: string) => void failedMessages.delete(id),
    find: (id: string) => failedMessages.get(id),
    list,
    replay,
    discard,
    count,
  });
}

function stateOf({ retryAt, discarded }: FailedMessage): FailedState {
  if (discarded) return 'discarded';
  return retryAt ? 'parked' : 'dead';
}

function timeOf(date: Date | undefined): number {
  return date?.getTime() ?? 0;
}
