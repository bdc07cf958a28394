import { ROUNDING_MS } from '../../invariants/payments';
import type {
  Answer,
  ChannelMessage,
  Complaint,
  End,
  Exit,
  Fault,
  FaultsOver,
  StoredOrder,
  HistoryLine,
  Invoke,
  Remains,
  Sample,
  Start,
  Vitals,
} from '../history';

/** A request and what came of it. */
export interface Call {
  readonly asked: Invoke;
  /** Undefined where the campaign ended before an answer came. */
  answer?: Answer;
}

/** What the checkers look at: the history, told by kind, and the remains, found by id. */
export interface Evidence {
  readonly start: Start;
  readonly calls: readonly Call[];
  readonly samples: readonly Sample[];
  readonly vitals: ReadonlyMap<string, readonly Vitals[]>;
  readonly complaints: readonly Complaint[];
  readonly exits: readonly Exit[];
  readonly faults: readonly Fault[];
  readonly faultsOver: FaultsOver | undefined;
  readonly end: End | undefined;
  readonly orders: ReadonlyMap<string, StoredOrder>;
  /** The orders of each ticket, by turn. */
  readonly turns: ReadonlyMap<string, readonly StoredOrder[]>;
  readonly channel: (subject: string) => readonly ChannelMessage[];
  readonly remains: Remains;
}

export function gather(history: Iterable<HistoryLine>, remains: Remains): Evidence {
  return {
    ...tell(history),
    orders: new Map(remains.orders.map((order) => [order.id, order])),
    turns: byTurn(remains.orders),
    channel: (subject) => remains.channels.get(subject) ?? [],
    remains,
  };
}

/** Whether nobody knows if the request took place. */
export function isUnknown({ answer }: Call): boolean {
  return answer === undefined || answer.status === 0 || answer.status >= 500;
}

export function answeredAt({ answer }: Call): number {
  return answer?.t ?? Infinity;
}

/** A time on the wall, as milliseconds since the campaign began. */
export function toCampaignTime({ wallMs, t }: Start, at: Date): number {
  return at.getTime() - wallMs + t;
}

export function toWallTime({ wallMs, t: startedAt }: Start, t: number): number {
  return t - startedAt + wallMs;
}

/** The broker's nanoseconds as its client tells them: whole milliseconds. */
export function toMs(nanoseconds: number): number {
  return Math.floor(nanoseconds / 1e6);
}

/**
 * Whether the broker's disk was full at that time of its own: then, and only then, it may deliver a message that it never
 * stores.
 */
export function whileBrokersDiskWasFull({ start, faults }: Evidence): (brokerMs: number) => boolean {
  const lines = faults.filter(({ fault, target }) => fault === 'disk full' && target === 'broker');
  const spans = lines
    .filter(({ phase }) => phase === 'begin')
    .map(({ id, t }) => ({
      from: t - ROUNDING_MS,
      to: lines.find((line) => line.id === id && line.phase === 'end')?.t ?? Infinity,
    }));
  return (brokerMs) => {
    const t = toCampaignTime(start, new Date(brokerMs));
    return spans.some(({ from, to }) => from <= t && t <= to);
  };
}

/** By text: the first message of each, before its repetitions. */
export function firstOfEach(messages: readonly ChannelMessage[]): Map<string, ChannelMessage> {
  const first = new Map<string, ChannelMessage>();
  for (const message of messages) {
    if (!first.has(message.text)) first.set(message.text, message);
  }
  return first;
}

/** The earliest time of each. */
export function keepFirst(first: Map<string, number>, key: string, t: number): void {
  const before = first.get(key);
  if (before === undefined || t < before) first.set(key, t);
}

export function addTo<K, V>(groups: Map<K, V[]>, key: K, value: V): void {
  const group = groups.get(key);
  if (group) group.push(value);
  else groups.set(key, [value]);
}

type Kind = HistoryLine['kind'];
type Line<K extends Kind> = Extract<HistoryLine, { kind: K }>;

function tell(history: Iterable<HistoryLine>): Omit<Evidence, 'orders' | 'turns' | 'channel' | 'remains'> {
  const byKind = new Map<Kind, HistoryLine[]>();
  const calls = new Map<number, Call>();
  const vitals = new Map<string, Vitals[]>();
  for (const line of history) {
    if (line.kind === 'invoke') calls.set(line.call, { asked: line });
    else if (line.kind === 'answer') {
      const call = calls.get(line.call);
      if (call) call.answer = line;
    } else if (line.kind === 'vitals') addTo(vitals, line.replica, line);
    else addTo(byKind, line.kind, line);
  }
  const all = <K extends Kind>(kind: K) => (byKind.get(kind) ?? []) as Line<K>[];
  const start = all('start').at(-1);
  if (!start) throw new Error('the history does not say when it began');
  return {
    start,
    calls: [...calls.values()],
    samples: all('sample'),
    vitals,
    complaints: all('complaint'),
    exits: all('exit'),
    faults: all('fault'),
    faultsOver: all('faults over').at(-1),
    end: all('end').at(-1),
  };
}

function byTurn(orders: readonly StoredOrder[]): Map<string, StoredOrder[]> {
  const turns = new Map<string, StoredOrder[]>();
  for (const order of orders) addTo(turns, order.ticketId, order);
  for (const ofTicket of turns.values()) ofTicket.sort((a, b) => a.turn - b.turn);
  return turns;
}
