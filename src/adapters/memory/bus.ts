import {
  PublishFailed,
  type Bus,
  type Message,
  type Receive,
  type Subscription,
} from '../../application/bus';
import type { Cancel, Clock, Log } from '../../application/ports';

const MAX_IN_FLIGHT = 64;

export interface MemoryBroker {
  /** Opens a connection, as one process has it. Replicas of one service share a queue group. */
  connect(options: { queueGroup: string }): Bus;
  /** For tests: while down, nobody can publish and nothing is delivered; connections are restored automatically. */
  setUp(up: boolean): void;
}

interface Member {
  readonly receive: Receive;
  inFlight: number;
}

/** A queue group's durable position in one channel. */
interface Durable {
  /** The channel. */
  readonly messages: Message[];
  readonly members: Member[];
  /** Index of the first message that was never delivered. */
  next: number;
  /** Messages to redeliver, before any new one. */
  readonly again: Message[];
  /** Delivered and not acknowledged, by sequence: the timer of the redelivery. */
  readonly unacknowledged: Map<number, Cancel>;
  lastMember: number;
}

/**
 * A broker inside the process: durable queue groups, manual acknowledgement, redelivery, and the whole history for new
 * groups. Everything is kept as long as the process runs, as in the embedded store.
 */
export function createMemoryBroker(deps: {
  clock: Clock;
  log: Pick<Log, 'error'>;
  redeliveryWaitSeconds: number;
}): MemoryBroker {
  const { clock, log } = deps;
  const channels = new Map<string, Message[]>();
  const durables = new Map<string, Durable>();
  const watches = new Set<(message: Message) => void>();
  const connections = new Set<{ brokerUp(up: boolean): void }>();
  let up = true;

  function channel(subject: string): Message[] {
    return getOrCreate(channels, subject, () => []);
  }

  function durable(subject: string, group: string): Durable {
    return getOrCreate(durables, JSON.stringify([subject, group]), () => ({
      messages: channel(subject),
      members: [],
      next: 0,
      again: [],
      unacknowledged: new Map<number, Cancel>(),
      lastMember: -1,
    }));
  }

  function publish(subject: string, data: string): void {
    const messages = channel(subject);
    const message: Message = {
      subject,
      sequence: messages.length + 1,
      publishedAt: clock.now(),
      redelivered: false,
      data: Buffer.from(data),
    };
    messages.push(message);
    for (const group of durables.values()) if (group.messages === messages) deliver(group);
    for (const hear of watches) hear(message);
  }

  function watch(subject: string, sinceMs: number, hear: (message: Message) => void): Cancel {
    const since = clock.now().getTime() - sinceMs;
    const hearSubject = (message: Message): void => {
      if (message.subject === subject) hear(message);
    };
    watches.add(hearSubject);
    for (const message of channel(subject)) if (message.publishedAt.getTime() >= since) hear(message);
    return () => void watches.delete(hearSubject);
  }

  /** Delivers in order, as much as the members have room for, to one member after the other. */
  function deliver(group: Durable): void {
    while (up) {
      const member = nextFreeMember(group);
      if (!member) return;
      const message = group.again.shift() ?? group.messages[group.next];
      if (!message) return;
      if (!message.redelivered) group.next = message.sequence;
      void deliverTo(member, message, group);
    }
  }

  async function deliverTo(member: Member, message: Message, group: Durable): Promise<void> {
    member.inFlight += 1;
    const cancelRedelivery = clock.after(deps.redeliveryWaitSeconds * 1000, () => {
      group.unacknowledged.delete(message.sequence);
      group.again.push(again(message));
      deliver(group);
    });
    group.unacknowledged.set(message.sequence, cancelRedelivery);
    const verdict = await verdictOf(member, message);
    member.inFlight -= 1;
    // A member that left, and a connection that broke, cannot acknowledge any more.
    if (verdict === 'done' && up && group.members.includes(member)) {
      cancelRedelivery();
      group.unacknowledged.delete(message.sequence);
    }
    deliver(group);
  }

  async function verdictOf(member: Member, message: Message): Promise<'done' | 'retry'> {
    // A round trip later, as from any broker.
    await new Promise((resolve) => setImmediate(resolve));
    try {
      return await member.receive(message);
    } catch (error) {
      log.error(
        { err: error, subject: message.subject, sequence: message.sequence },
        'handling a message failed',
      );
      return 'retry';
    }
  }

  function connect({ queueGroup }: { queueGroup: string }): Bus {
    let wanted: { readonly subscription: Subscription; readonly open: () => Cancel; close?: Cancel }[] = [];
    const inFlight = new Set<Promise<unknown>>();
    const onAvailable: (() => void)[] = [];
    let started = false;
    let receiving = true;

    const connection = {
      brokerUp(isUp: boolean) {
        if (!started) return;
        if (!isUp) return closeAll();
        openAll();
        for (const listener of onAvailable) listener();
      },
    };

    function openAll(): void {
      if (!started || !up) return;
      for (const one of wanted) {
        if (one.close) continue;
        one.subscription.onChange?.(true);
        one.close = one.open();
      }
    }

    function closeAll(): void {
      for (const one of wanted) {
        if (!one.close) continue;
        one.close();
        delete one.close;
        one.subscription.onChange?.(false);
      }
    }

    function leave(): void {
      closeAll();
      wanted = [];
    }

    function join(subject: string, receive: Receive): Cancel {
      const group = durable(subject, queueGroup);
      const member = { receive: counted(receive), inFlight: 0 };
      group.members.push(member);
      deliver(group);
      return () => void group.members.splice(group.members.indexOf(member), 1);
    }

    function counted(receive: Receive): Receive {
      return async (message) => {
        if (!receiving) return 'retry';
        const handling = receive(message);
        inFlight.add(handling);
        try {
          return await handling;
        } finally {
          inFlight.delete(handling);
        }
      };
    }

    return {
      start() {
        started = true;
        connections.add(connection);
        if (up) connection.brokerUp(true);
      },
      available: () => started && up,
      onAvailable: (listener) => void onAvailable.push(listener),
      async publish(subject, data) {
        await new Promise((resolve) => setImmediate(resolve));
        if (!started || !up) throw new PublishFailed('disconnected', 'the broker is unavailable');
        publish(subject, data);
      },
      subscribe(subscriptions) {
        for (const subscription of subscriptions) {
          const { subject } = subscription;
          const open =
            subscription.mode === 'group'
              ? () => join(subject, subscription.receive)
              : () => watch(subject, subscription.sinceMs, subscription.hear);
          wanted.push({ subscription, open });
        }
        openAll();
      },
      async stopReceiving() {
        receiving = false;
        await Promise.allSettled(inFlight);
        // One more turn of the event loop, so that the last settled message is acknowledged before the member leaves.
        await new Promise((resolve) => setImmediate(resolve));
        leave();
      },
      async close() {
        receiving = false;
        leave();
        started = false;
        connections.delete(connection);
        if (connections.size === 0) for (const group of durables.values()) forgetTimers(group);
        await Promise.resolve();
      },
    };
  }

  /** No member is left: unacknowledged messages are redelivered as soon as one joins. */
  function forgetTimers(group: Durable): void {
    for (const [sequence, cancel] of group.unacknowledged) {
      cancel();
      const message = group.messages[sequence - 1];
      if (message) group.again.push(again(message));
    }
    group.unacknowledged.clear();
  }

  return {
    connect,
    setUp(isUp) {
      up = isUp;
      for (const connection of connections) connection.brokerUp(isUp);
    },
  };
}

function again(message: Message): Message {
  return { ...message, redelivered: true };
}

/** Round robin among those with room. */
function nextFreeMember(group: Durable): Member | undefined {
  for (let step = 1; step <= group.members.length; step += 1) {
    const index = (group.lastMember + step) % group.members.length;
    const member = group.members[index];
    if (!member || member.inFlight >= MAX_IN_FLIGHT) continue;
    group.lastMember = index;
    return member;
  }
  return undefined;
}

function getOrCreate<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  const existing = map.get(key);
  if (existing !== undefined) return existing;
  const created = create();
  map.set(key, created);
  return created;
}
