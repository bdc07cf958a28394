import { ANNOUNCED, type ChannelMessage, type StoredOrder } from '../history';
import { firstOfEach, type Evidence } from './evidence';
import type { Ledger } from './verdict';
import { CLOCK_TOLERANCE_MS } from './windows';

type Arrivals = (event: StoredOrder['outbox'][number]) => ChannelMessage | undefined;

/** I2, I3 and I4: the outbox and the broker's channels say the same, in the same order. */
export function checkEvents(evidence: Evidence, ledger: Ledger): void {
  const arrivals = firstArrivals(evidence);
  everyEventArrived(evidence, ledger, arrivals);
  inOrder(evidence, ledger, arrivals);
  earlierOrdersFirst(evidence, ledger, arrivals);
  nothingWithoutItsChange(evidence, ledger);
}

function firstArrivals({ channel }: Evidence): Arrivals {
  const arrived = new Map(ANNOUNCED.map((subject) => [subject as string, firstOfEach(channel(subject))]));
  return ({ subject, data }) => arrived.get(subject)?.get(data);
}

function everyEventArrived({ remains }: Evidence, { rule }: Ledger, arrivals: Arrivals): void {
  const isThere = rule('I2', 'every event of the outbox is in its channel, to the byte');
  for (const { id, outbox } of remains.orders) {
    for (const event of outbox) {
      isThere(arrivals(event) !== undefined, () => `order ${id}: ${event.subject}, seq ${event.seq}`);
    }
  }
}

function inOrder({ remains }: Evidence, { rule }: Ledger, arrivals: Arrivals): void {
  const follows = rule('I3', 'an order’s events arrive first in the order of the outbox, none left out');
  for (const { id, outbox } of remains.orders) {
    for (let i = 1; i < outbox.length; i += 1) {
      const arrived = arrivals(outbox[i]!);
      if (!arrived) continue;
      const before = arrivals(outbox[i - 1]!);
      follows(
        before !== undefined && !isBefore(arrived, before),
        () => `order ${id}: seq ${i} arrived ${before ? 'before' : 'without'} seq ${i - 1}`,
      );
    }
  }
}

function earlierOrdersFirst({ turns }: Evidence, { rule }: Ledger, arrivals: Arrivals): void {
  const isLater = rule('I3b', 'a ticket’s order is announced after all that its earlier ones announce');
  for (const orders of turns.values()) {
    for (let i = 1; i < orders.length; i += 1) {
      const order = orders[i]!;
      const announced = arrivalOf(order, 'order:created', arrivals);
      if (!announced) continue;
      // What came before the order before is looked at with that one.
      const earlier = orders[i - 1]!;
      const late = earlier.outbox.find((event) => {
        // A payment may come, and have to be given back, at any later time.
        const isRefund = event.subject === 'order:refund-required';
        if (isRefund && event.at.getTime() > order.createdAt.getTime() - CLOCK_TOLERANCE_MS) return false;
        const arrived = arrivals(event);
        return !arrived || isBefore(announced, arrived);
      });
      isLater(
        late === undefined,
        () => `order ${order.id} was announced before ${late?.subject} of ${earlier.id}, the turn before`,
      );
    }
  }
}

function arrivalOf({ outbox }: StoredOrder, subject: string, arrivals: Arrivals): ChannelMessage | undefined {
  const event = outbox.find((each) => each.subject === subject);
  return event && arrivals(event);
}

/** Of two channels only the times can tell, and what is within the same few hundred nanoseconds is no matter. */
function isBefore(one: ChannelMessage, other: ChannelMessage): boolean {
  return one.subject === other.subject ? one.sequence < other.sequence : one.at < other.at;
}

function nothingWithoutItsChange({ remains, channel }: Evidence, { rule, note }: Ledger): void {
  const isRecorded = rule('I4', 'every message about an order is an event of its outbox');
  const events = new Map<string, Set<string>>(ANNOUNCED.map((subject) => [subject, new Set()]));
  for (const { outbox } of remains.orders) {
    for (const { subject, data } of outbox) events.get(subject)?.add(data);
  }
  for (const subject of ANNOUNCED) {
    const known = events.get(subject)!;
    const messages = channel(subject);
    for (const { sequence, text } of messages) {
      isRecorded(known.has(text), () => `${subject} ${sequence}: ${text}`);
    }
    note(`messages repeated: ${subject}`, messages.length - new Set(messages.map(({ text }) => text)).size);
  }
}
