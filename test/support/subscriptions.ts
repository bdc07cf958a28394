import type { Message, Receive, Subscription } from '../../src/application/bus';

type Group = Subscription & { mode: 'group' };

/** The same subscriptions, with something put around what receives the messages of a group. */
export function withReceive(
  subscriptions: readonly Subscription[],
  wrap: (receive: Receive) => Receive,
): Subscription[] {
  return subscriptions.map((one) => (one.mode === 'group' ? { ...one, receive: wrap(one.receive) } : one));
}

/** The mistake of acknowledging a message before its change is stored. */
export const acknowledgeFirst =
  (receive: Receive): Receive =>
  (message) => (void receive(message), Promise.resolve('done'));

/** What the bus would do with a message that it delivers; one that no subscription is for goes to the first. */
export function receiver(subscriptions: readonly Subscription[]) {
  const groups = subscriptions.filter((one): one is Group => one.mode === 'group');
  return (message: Message): Promise<'done' | 'retry'> =>
    (groups.find(({ subject }) => subject === message.subject) ?? groups[0]!).receive(message);
}

/** What the bus would do with a message that is only watched. */
export function hearer(subscriptions: readonly Subscription[]) {
  return (message: Message): void => {
    for (const one of subscriptions)
      if (one.mode === 'watch' && one.subject === message.subject) one.hear(message);
  };
}
