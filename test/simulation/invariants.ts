import type { Broker, Stored } from './broker';
import type { Database } from './database';
import type { World } from './world';

/** An order as it is stored, as far as it is looked at here. */
export interface StoredOrder {
  _id: unknown;
  version: number;
  userId: string;
  status: 'created' | 'awaiting:payment' | 'complete' | 'cancelled';
  reason?: string;
  expiresAt: Date;
  ticket: { id: unknown };
  turn: number;
  idempotencyKey: string;
  payments: { id: string; stripeId?: string; at: Date; refund?: string; sameAs?: string }[];
  outbox: { seq: number; subject: string; data: string }[];
  publishing: { next: number; pending: number };
}

/** A promise that was broken. Its name is that of the invariant. */
export class Violation extends Error {
  override readonly name = 'Violation';
  constructor(
    readonly invariant: string,
    detail: string,
  ) {
    super(`${invariant}: ${detail}`);
  }
}

const EVENTS = /^order:/;
/** Where what nobody can read is sent. */
export const POISONED = ['ticket:updated', 'payment:created', 'expiration:complete'] as const;
/** What the service subscribes to. */
const HEARD = ['ticket:created', ...POISONED];

/** Looks at the database and the broker whenever something changes there. */
export type Invariants = ReturnType<typeof createInvariants>;

export function createInvariants(world: World) {
  /** How often each was checked. */
  const checked = new Map<string, number>();
  const arrived = new Map<string, Set<number>>();
  const promised: { placed: Map<string, string>; cancelled: Set<string> } = {
    placed: new Map(),
    cancelled: new Set(),
  };

  function check(invariant: string, holds: boolean, detail: () => string): void {
    checked.set(invariant, (checked.get(invariant) ?? 0) + 1);
    if (!holds) throw new Violation(invariant, detail());
  }

  function ordersOf(database: Database): StoredOrder[] {
    return database.documents('orders') as unknown as StoredOrder[];
  }

  /** After each step: what anyone can read, as far as the step has changed it. */
  function afterStep(database: Database, changed: ReadonlySet<StoredOrder>): void {
    for (const order of changed) {
      check('I6 the state is one that can be reached', isReachable(order), () => JSON.stringify(order));
      const { next, pending } = order.publishing;
      check('I3 bookkeeping', next + pending === order.outbox.length, () => JSON.stringify(order));
      if (order.status !== 'cancelled') holdsAlone(database, order);
      hasItsKeyAlone(database, order);
    }
  }

  /** As it is stored: with its user, and for a day. */
  function hasItsKeyAlone(database: Database, { idempotencyKey }: StoredOrder): void {
    const same = ordersOf(database).filter((other) => other.idempotencyKey === idempotencyKey);
    check('one order for each idempotency key', same.length <= 1, () => idempotencyKey);
  }

  function holdsAlone(database: Database, order: StoredOrder): void {
    const ticketId = String(order.ticket.id);
    const holders = ordersOf(database).filter(
      ({ ticket, status }) => status !== 'cancelled' && String(ticket.id) === ticketId,
    );
    const detail = () => `${ticketId} is held by ${holders.map(({ _id }) => String(_id)).join(' and ')}`;
    check('I1 one holder', holders.length <= 1, detail);
  }

  /** What was durable can never change back. */
  function becameDurable(before: StoredOrder | undefined, after: StoredOrder): void {
    if (!before) return;
    check('I6 the transition is legal', isLegal(before, after), () => describe(before, after));
  }

  /** What a client was told is durable by then. */
  function answered(database: Database, what: 'placed' | 'cancelled', id: string, userId: string): void {
    const order = database.durable('orders', id) as StoredOrder | undefined;
    check(
      `I5 what was answered is stored: ${what}`,
      order !== undefined && (what === 'placed' || order.status === 'cancelled'),
      () => id,
    );
    if (what === 'placed') promised.placed.set(id, userId);
    else promised.cancelled.add(id);
  }

  /** While nothing newer was known, the ticket was announced as held for an order of another service. */
  function soldElsewhere(database: Database, before: Ticket | undefined, ticketId: string): void {
    const after = ticketOf(database, ticketId);
    const heldFor = after?.orderId;
    if (!heldFor || before?.version !== after?.version) return;
    const isOurs = ordersOf(database).some(({ _id }) => String(_id) === heldFor);
    check('what is held elsewhere is not sold', isOurs, () => `${ticketId} is held for ${heldFor}`);
  }

  /** What a message asks for is durable before it is acknowledged. */
  function acknowledged(database: Database, message: Stored): void {
    check(
      'what was acknowledged is stored',
      isSettled(database, message),
      () => `${message.subject} ${message.sequence} ${message.data}`,
    );
  }

  /** A group that has acknowledged a message may get it again, but never as a new one: it keeps its position. */
  function delivered({ subject, sequence }: Stored, isAcknowledged: boolean, redelivered: boolean): void {
    check(
      'what was acknowledged is not delivered as new',
      redelivered || !isAcknowledged,
      () => `${subject} ${sequence}`,
    );
  }

  /** A connection that left a publish without an answer is not trusted with another one. */
  function published(isInDoubt: boolean, subject: string): void {
    check('nothing is published on a connection in doubt', !isInDoubt, () => subject);
  }

  /** What was promised is there; to be asked when nothing is on its way. */
  function promisesKept(database: Database): void {
    const orders = new Map(ordersOf(database).map((order) => [String(order._id), order]));
    for (const [id, userId] of promised.placed) {
      check('I5 every 201 is kept', orders.get(id)?.userId === userId, () => id);
    }
    for (const id of promised.cancelled) {
      check('I5 every 204 is kept', orders.get(id)?.status === 'cancelled', () => id);
    }
  }

  function stored(database: Database, { subject, data }: Stored): void {
    if (!EVENTS.test(subject)) return;
    const content = contentOf(data);
    const id = content?.orderId ?? content?.id ?? '';
    const orders = ordersOf(database);
    const order = orders.find(({ _id }) => String(_id) === id);
    const event = order?.outbox.find((other) => other.subject === subject && other.data === data);
    check('I4 no message without its change', event !== undefined, () => `${subject} ${data}`);
    if (!order || !event) return;

    const arrivals = arrived.get(id) ?? new Set();
    arrived.set(id, arrivals);
    const isFirst = !arrivals.has(event.seq);
    if (isFirst) {
      check('I3 first occurrences in order', arrivals.size === event.seq, () => `${id} seq ${event.seq}`);
      if (event.seq === 0) earlierTurnsAreOut(orders, order);
    }
    arrivals.add(event.seq);
  }

  function earlierTurnsAreOut(orders: readonly StoredOrder[], order: StoredOrder): void {
    for (const other of orders) {
      const isEarlier = String(other.ticket.id) === String(order.ticket.id) && other.turn < order.turn;
      if (!isEarlier) continue;
      const missing = other.outbox.filter(
        ({ seq, subject }) =>
          subject !== 'order:refund-required' && !arrived.get(String(other._id))?.has(seq),
      );
      check(
        'I3 a ticket’s earlier orders first',
        missing.length === 0,
        () => `${String(other._id)} is not out`,
      );
    }
  }

  /** When the faults have been over for long enough. Undefined: converged; else what is missing. */
  function unfinished(
    database: Database,
    broker: Broker,
    expected: { newestTickets: ReadonlyMap<string, number>; poison: ReadonlySet<string>; graceMs: number },
  ): string | undefined {
    const orders = ordersOf(database);
    const now = world.now().getTime();
    const pending = orders.find(({ publishing }) => publishing.pending > 0);
    if (pending) return `order ${String(pending._id)} has events that are not published`;
    const overdue = orders.find(
      ({ status, expiresAt }) => status === 'created' && expiresAt.getTime() + expected.graceMs < now,
    );
    if (overdue) return `order ${String(overdue._id)} is overdue`;
    const unacknowledged = broker.unacknowledged(HEARD)[0];
    if (unacknowledged) return `${unacknowledged.subject} ${unacknowledged.sequence} is not acknowledged`;
    const tickets = new Map(
      database.documents('tickets').map((ticket) => [String(ticket._id), ticket['version'] as number]),
    );
    for (const [id, version] of expected.newestTickets) {
      if (tickets.get(id) !== version) return `ticket ${id} is at ${tickets.get(id)}, not ${version}`;
    }
    const isSent = (text: string) =>
      POISONED.some((subject) => broker.channel(subject).some(({ data }) => data === text));
    const unsent = [...expected.poison].find((text) => !isSent(text));
    if (unsent) return `${unsent} is not sent yet`;
    const parked = database.documents('dead_letters').find((one) => one['retryAt'] !== undefined);
    if (parked) return `${String(parked._id)} is parked`;
    return undefined;
  }

  /** `missing`: what is, when the time is up. */
  function converged(missing: string | undefined): void {
    check('I8 converged', missing === undefined, () => missing ?? '');
  }

  /** At the end, over everything that happened. */
  function atTheEnd(database: Database, broker: Broker, poison: ReadonlySet<string>): void {
    promisesKept(database);
    const payments = broker.channel('payment:created').flatMap((message) => paymentIn(message) ?? []);
    for (const order of ordersOf(database)) {
      const id = String(order._id);
      for (const { seq, subject, data } of order.outbox) {
        const isThere = broker.channel(subject).some((message) => message.data === data);
        check('I2 every event is in its channel', isThere, () => `${id} seq ${seq}`);
      }
      paymentsAreCounted(
        order,
        payments.filter(({ orderId }) => orderId === id),
      );
    }
    const dead = new Set(database.documents('dead_letters').map((one) => one['data'] as string));
    check(
      'I10 dead letters are the poison',
      [...poison].sort().join() === [...dead].sort().join(),
      () => `${[...dead].join()} instead of ${[...poison].join()}`,
    );
  }

  /** Where nothing went wrong, nothing is published twice: no two replicas publish for the same order. */
  function nothingTwice(broker: Broker): void {
    for (const subject of ['order:created', 'order:cancelled', 'order:refund-required']) {
      const texts = broker.channel(subject).map(({ data }) => data);
      check('only the holder of a lease publishes', new Set(texts).size === texts.length, () =>
        texts.join('\n'),
      );
    }
  }

  function paymentsAreCounted(order: StoredOrder, sent: readonly Payment[]): void {
    const id = String(order._id);
    const expected = [...new Set(sent.map((payment) => payment.id))].sort();
    const recorded = order.payments.map((payment) => payment.id).sort();
    check(
      'I7 each payment is counted once',
      expected.join() === recorded.join(),
      () => `${id}: ${recorded.join()}`,
    );
    const charges = order.payments.filter(({ sameAs }) => sameAs === undefined);
    const kept = charges.filter(({ refund }) => refund === undefined);
    const mayKeep = order.status === 'complete' ? 1 : 0;
    check('I7 one payment is kept by a complete order', kept.length === mayKeep, () => id);
    const refunds = order.outbox.filter(({ subject }) => subject === 'order:refund-required').length;
    check('I7 others are refunded once', refunds === charges.length - kept.length, () => id);
    const providerIds = charges.flatMap(({ stripeId }) => stripeId ?? []);
    const isOnce = new Set(providerIds).size === providerIds.length;
    check('I7 one charge is kept or refunded once', isOnce, () => `${id}: ${JSON.stringify(order.payments)}`);
    const paidInTime = sent.some(({ at }) => at < order.expiresAt);
    check('I7 paid in time is not expired', !(paidInTime && order.reason === 'expired'), () => id);
  }

  return {
    soldElsewhere,
    afterStep,
    becameDurable,
    answered,
    acknowledged,
    delivered,
    published,
    stored,
    unfinished,
    converged,
    atTheEnd,
    nothingTwice,
    checked,
  };
}

interface Payment {
  id: string;
  orderId: string;
  at: Date;
}

function paymentIn({ data, publishedAt }: Stored): Payment | undefined {
  const { id, orderId } = contentOf(data) ?? {};
  return id !== undefined && orderId !== undefined ? { id, orderId, at: publishedAt } : undefined;
}

function isSettled(database: Database, { subject, sequence, publishedAt, data }: Stored): boolean {
  const isPutAside = database.durable('dead_letters', `${subject}:${sequence}:${publishedAt.getTime()}`);
  if (isPutAside) return true;
  const content = contentOf(data);
  if (!content) return false;
  if (subject.startsWith('ticket:')) {
    const copy = database.durable('tickets', content.id ?? '');
    return ((copy?.['version'] ?? -1) as number) >= (content.version ?? 0);
  }
  const order = database.durable('orders', content.orderId ?? '') as StoredOrder | undefined;
  if (!order) return false;
  return subject === 'payment:created'
    ? order.payments.some(({ id }) => id === content.id)
    : order.status !== 'created';
}

interface Content {
  id?: string;
  orderId?: string;
  version?: number;
}

function contentOf(data: string): Content | undefined {
  try {
    return JSON.parse(data) as Content;
  } catch {
    return undefined;
  }
}

interface Ticket {
  version: number;
  orderId?: string | null;
}

export function ticketOf(database: Database, ticketId: string): Ticket | undefined {
  return database.documents('tickets').find(({ _id }) => String(_id) === ticketId) as Ticket | undefined;
}

/**
 * The version counts the changes: cancelled or completed once, and one for each payment that is to be given back or adds
 * another name to a charge.
 */
function isReachable({ version, status, payments, outbox }: StoredOrder): boolean {
  const refunds = payments.filter(({ refund, sameAs }) => (refund ?? sameAs) !== undefined).length;
  const ended = status === 'created' ? 0 : 1;
  const cancellations = outbox.filter(({ subject }) => subject === 'order:cancelled').length;
  return version === ended + refunds && cancellations === (status === 'cancelled' ? 1 : 0);
}

function isLegal(before: StoredOrder, after: StoredOrder): boolean {
  const keepsPast =
    after.version >= before.version &&
    before.outbox.every(({ data }, i) => after.outbox[i]?.data === data) &&
    before.payments.every(({ id }, i) => after.payments[i]?.id === id);
  return keepsPast && (before.status === 'created' || before.status === after.status);
}

function describe(before: StoredOrder, after: StoredOrder): string {
  return `${JSON.stringify(before)} became ${JSON.stringify(after)}`;
}
