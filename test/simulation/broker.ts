import { PublishFailed, type Bus, type Message, type Subscription } from '../../src/application/bus';
import type { Process, World } from './world';

/** How often each fault is drawn: per publish, per delivery. */
export interface BrokerFaults {
  /** The connection breaks before the message has left. */
  lost: number;
  /** The connection breaks with the message in its buffer: it arrives anyway, later. */
  buffered: number;
  /** The message is stored, and the connection breaks before that is known. */
  answerLost: number;
  /** The acknowledgement comes after the client has given up. */
  lateAnswer: number;
  /** Delivered twice. */
  duplicated: number;
  /** The client's acknowledgement is lost, and the message delivered again. */
  ackLost: number;
  /** Delivered long after the next ones. */
  delayed: number;
}

export interface Stored {
  readonly subject: string;
  readonly sequence: number;
  readonly publishedAt: Date;
  readonly data: string;
}

const ACK_TIMEOUT_MS = 5_000;
const MAX_IN_FLIGHT = 16;

type GroupSubscription = Subscription & { mode: 'group' };
type WatchSubscription = Subscription & { mode: 'watch' };

interface Member {
  readonly process: Process;
  readonly receive: GroupSubscription['receive'];
  inFlight: number;
  isUp(): boolean;
}

interface Group {
  readonly members: Member[];
  readonly acknowledged: Set<number>;
  /** Of the first message that was never delivered. */
  next: number;
}

/** What a replica has of the broker, and what it must not use. */
export interface BrokerBus extends Bus {
  /** Leaves the queue group; with its last member the server forgets what the group has acknowledged. */
  unsubscribe(): void;
}

/**
 * A NATS Streaming server with a store on disk: channels, one durable queue group, redelivery. It keeps what it has
 * acknowledged, through every crash.
 */
export type Broker = ReturnType<typeof createBroker>;

export function createBroker(
  world: World,
  options: {
    faults: () => BrokerFaults;
    ackWaitMs: number;
    /** A client that goes on after an acknowledgement did not come in time, for a bug that is planted. */
    trustsConnectionsInDoubt?: boolean;
    onStored: (stored: Stored) => void;
    onDelivered: (stored: Stored, isAcknowledged: boolean, redelivered: boolean) => void;
    /** A client says that it has handled a message. */
    onAcknowledged: (stored: Stored) => void;
    onPublished: (isInDoubt: boolean, subject: string) => void;
  },
) {
  let process = world.createProcess('broker');
  const channels = new Map<string, Stored[]>();
  const groups = new Map<string, Group>();
  /** By any group of the subject, also by one that is forgotten. */
  const acknowledgedOnce = new Set<Stored>();
  const breakers = new Set<(reason: string) => void>();
  const listeners: ((stored: Stored) => void)[] = [];
  const watches = new Set<(stored: Stored) => void>();

  function store(subject: string, data: string): void {
    const channel = channels.get(subject) ?? [];
    channels.set(subject, channel);
    const stored = { subject, sequence: channel.length + 1, publishedAt: world.now(), data };
    channel.push(stored);
    world.trace(`broker stores ${subject} ${stored.sequence} ${data}`);
    options.onStored(stored);
    for (const listener of listeners) listener(stored);
    for (const watch of watches) watch(stored);
    pump(subject);
  }

  function groupOf(subject: string): Group {
    const group = groups.get(subject) ?? { members: [], acknowledged: new Set<number>(), next: 1 };
    groups.set(subject, group);
    return group;
  }

  function pump(subject: string): void {
    const group = groups.get(subject);
    if (!group) return;
    const channel = channels.get(subject) ?? [];
    for (; group.next <= channel.length; group.next += 1) {
      if (!deliver(group, channel[group.next - 1]!, false)) return;
    }
  }

  /** False where no member has room. */
  function deliver(group: Group, stored: Stored, redelivered: boolean): boolean {
    const free = group.members.filter((member) => member.isUp() && member.inFlight < MAX_IN_FLIGHT);
    if (free.length === 0) return false;
    const member = world.pick(free);
    const faults = options.faults();
    hand(group, member, stored, redelivered);
    if (world.chance(faults.duplicated)) {
      world.hit('fault: message delivered twice');
      hand(group, member, stored, true);
    }
    world.at(process, options.ackWaitMs, () => again(group, stored));
    return true;
  }

  /** Until it is acknowledged, whoever has it. */
  function again(group: Group, stored: Stored): void {
    if (group.acknowledged.has(stored.sequence) || groups.get(stored.subject) !== group) return;
    world.hit('message delivered again');
    if (!deliver(group, stored, true)) world.at(process, options.ackWaitMs, () => again(group, stored));
  }

  function hand(group: Group, member: Member, stored: Stored, redelivered: boolean): void {
    const faults = options.faults();
    const isDelayed = world.chance(faults.delayed);
    if (isDelayed) world.hit('fault: message delayed');
    member.inFlight += 1;
    options.onDelivered(stored, acknowledgedOnce.has(stored), redelivered);
    const message = toMessage(stored, redelivered);
    world.at(member.process, isDelayed ? world.between(100, 900) : world.between(0.2, 10), () => {
      if (!member.isUp()) return;
      const leave = world.during(member.process, 'message in flight');
      void member.receive(message).then((verdict) => {
        leave();
        world.trace(`${member.process.name} ${verdict} ${stored.subject} ${stored.sequence}`);
        if (verdict === 'done' && member.isUp()) acknowledge(group, member, stored);
        else member.inFlight -= 1;
      });
    });
  }

  function acknowledge(group: Group, member: Member, stored: Stored): void {
    options.onAcknowledged(stored);
    const isLost = world.chance(options.faults().ackLost);
    if (isLost) world.hit('fault: acknowledgement lost');
    const leave = world.during(member.process, 'message handled, not acknowledged');
    world.at(process, world.between(0.2, 3), () => {
      leave();
      member.inFlight -= 1;
      if (!isLost) {
        group.acknowledged.add(stored.sequence);
        acknowledgedOnce.add(stored);
      }
      pump(stored.subject);
    });
  }

  /** What one replica has of it. */
  function connect(replica: Process, retried: () => void): BrokerBus {
    let generation: { readonly breakUp: (reason: string) => void; isInDoubt: boolean } | undefined;
    let wanted: readonly Subscription[] = [];
    let endWatches: (() => void)[] = [];
    let closing = false;
    const onAvailable: (() => void)[] = [];
    const outstanding = new Set<(failure: PublishFailed) => void>();
    const up = new Set<Subscription>();
    let members: { group: Group; member: Member }[] = [];

    function open(): void {
      if (closing) return;
      if (!process.alive || world.chance(0.1)) {
        retry();
        return;
      }
      const own = { breakUp, isInDoubt: false };
      generation = own;
      breakers.add(breakUp);
      world.trace(`${replica.name} is connected to the broker`);
      wanted.forEach(begin);
      for (const listener of onAvailable) listener();

      function breakUp(reason: string): void {
        breakers.delete(breakUp);
        if (generation !== own) return;
        generation = undefined;
        leaveGroups();
        // The client is told a moment later by its socket, and at once by itself.
        for (const fail of outstanding) fail(new PublishFailed('disconnected', reason));
        outstanding.clear();
        for (const one of up) one.onChange?.(false);
        up.clear();
        for (const end of endWatches) end();
        endWatches = [];
        retry();
      }
    }

    function leaveGroups(): void {
      for (const { group, member } of members) group.members.splice(group.members.indexOf(member), 1);
      members = [];
    }

    function retry(): void {
      retried();
      world.at(replica, world.between(50, 800), open);
    }

    function begin(subscription: Subscription): void {
      if (subscription.mode === 'group') join(subscription);
      else watch(subscription);
    }

    function join(subscription: GroupSubscription): void {
      const own = generation;
      const { subject, receive, onChange } = subscription;
      const isUp = () => generation === own && replica.alive && wanted.includes(subscription);
      world.at(replica, world.between(1, 100), () => {
        if (!isUp()) return;
        const group = groupOf(subject);
        const member: Member = { process: replica, receive, inFlight: 0, isUp };
        group.members.push(member);
        members.push({ group, member });
        up.add(subscription);
        onChange?.(true);
        pump(subject);
      });
    }

    /** In order, some time ago first. */
    function watch({ subject, sinceMs, hear, onChange }: WatchSubscription): void {
      const own = generation;
      let last = 0;
      world.at(replica, world.between(1, 50), () => {
        if (generation !== own) return;
        onChange?.(true);
        const since = world.now().getTime() - sinceMs;
        for (const stored of channels.get(subject) ?? [])
          if (stored.publishedAt.getTime() >= since) send(stored);
        watches.add(send);
        endWatches.push(() => {
          watches.delete(send);
          onChange?.(false);
        });
      });

      function send(stored: Stored): void {
        if (stored.subject !== subject) return;
        const isDelayed = world.chance(options.faults().delayed);
        last = Math.max(
          last,
          world.elapsed() + (isDelayed ? world.between(20, 200) : world.between(0.2, 10)),
        );
        world.at(replica, last - world.elapsed(), () => {
          if (generation === own) hear(toMessage(stored, false));
        });
      }
    }

    function publish(subject: string, data: string): Promise<void> {
      return new Promise((resolve, reject) => {
        const own = generation;
        if (!own) {
          reject(new PublishFailed('disconnected', 'not connected'));
          return;
        }
        options.onPublished(own.isInDoubt, subject);
        outstanding.add(reject);
        let leave = world.during(replica, 'publish sent');
        const faults = options.faults();
        const kind = drawn(faults);
        if (kind) world.hit(`fault: publish ${kind}`);
        if (kind === 'lost') {
          world.at(replica, world.between(0, 5), () => own.breakUp('it broke'));
          return;
        }
        if (kind === 'buffered') {
          world.at(process, world.between(10, 20_000), () => store(subject, data));
          world.at(replica, world.between(0, 5), () => own.breakUp('it broke'));
          return;
        }
        world.at(process, world.between(0.2, 5), () => {
          store(subject, data);
          leave();
          leave = world.during(replica, 'publish stored, not acknowledged');
          if (kind === 'answerLost') {
            world.at(replica, 1, () => own.breakUp('it broke'));
            return;
          }
          if (kind === 'lateAnswer') return;
          world.at(replica, world.between(0.2, 5), () => {
            leave();
            if (outstanding.delete(reject)) resolve();
          });
        });
        world.at(replica, ACK_TIMEOUT_MS, () => {
          if (!outstanding.delete(reject)) return;
          world.hit('publish timed out');
          reject(new PublishFailed('timeout', 'ack timeout'));
          own.isInDoubt = true;
          if (!options.trustsConnectionsInDoubt) own.breakUp('an acknowledgement did not come in time');
        });
      });
    }

    return {
      start: () => void world.at(replica, world.between(1, 20), open),
      available: () => generation !== undefined,
      onAvailable: (listener) => void onAvailable.push(listener),
      publish,
      subscribe(subscriptions) {
        wanted = subscriptions;
        if (generation) wanted.forEach(begin);
      },
      async stopReceiving() {
        wanted = [];
        for (const end of endWatches) end();
        endWatches = [];
        leaveGroups();
        up.clear();
      },
      unsubscribe() {
        const left = members.map(({ group }) => group);
        leaveGroups();
        for (const [subject, group] of groups)
          if (left.includes(group) && group.members.length === 0) groups.delete(subject);
      },
      async close() {
        closing = true;
        generation?.breakUp('closing');
      },
    };
  }

  function drawn(faults: BrokerFaults): 'lost' | 'buffered' | 'answerLost' | 'lateAnswer' | undefined {
    for (const kind of ['lost', 'buffered', 'answerLost', 'lateAnswer'] as const) {
      if (world.chance(faults[kind])) return kind;
    }
    return undefined;
  }

  return {
    connect,
    /** From a peer, which tries until it is stored. */
    publish(peer: Process, subject: string, data: string): void {
      let isStored = false;
      const attempt = (): void => {
        const giveUp = world.at(peer, 100, attempt);
        world.at(process, world.between(0.2, 5), () => {
          giveUp();
          if (!isStored) store(subject, data);
          isStored = true;
        });
      };
      attempt();
    },
    /** Hears everything that is stored, as a peer with a subscription of its own would. */
    listen: (listener: (stored: Stored) => void) => void listeners.push(listener),
    channel: (subject: string): readonly Stored[] => channels.get(subject) ?? [],
    /** Messages that the durable queue group has not acknowledged, or that it has not even asked for yet. */
    unacknowledged: (subjects: readonly string[]) =>
      subjects.flatMap((subject) =>
        (channels.get(subject) ?? []).filter(
          ({ sequence }) => !groups.get(subject)?.acknowledged.has(sequence),
        ),
      ),
    crash(): void {
      if (!process.alive) return;
      world.hit('crash: broker');
      world.trace('broker crashes');
      process.alive = false;
      for (const breakUp of [...breakers]) breakUp('the broker is gone');
    },
    restart(): void {
      if (process.alive) return;
      world.trace('broker starts');
      process = world.createProcess('broker');
      for (const [subject, group] of groups) {
        // What was delivered and not acknowledged comes again.
        for (const stored of channels.get(subject) ?? []) {
          if (stored.sequence < group.next && !group.acknowledged.has(stored.sequence)) {
            world.at(process, world.between(1, options.ackWaitMs), () => again(group, stored));
          }
        }
      }
    },
    /** The replica's connection is cut in the middle. */
    cut(): void {
      const breakUp = world.pick([...breakers]);
      if (!breakUp) return;
      world.hit('fault: connection to the broker cut');
      breakUp('it was cut');
    },
  };
}

function toMessage({ subject, sequence, publishedAt, data }: Stored, redelivered: boolean): Message {
  return { subject, sequence, publishedAt, redelivered, data: Buffer.from(data) };
}
