import { contentOf, orderIdIn, paymentIn, ticketIn } from '../invariants/content';
import { checkPaymentsOf, type Fact, type PaymentRules } from '../invariants/payments';
import {
  changesOf,
  isBookKept,
  isOpen,
  overdueFrom,
  readOrder,
  staleCopy,
  tellsItsEnd,
  whatIsWrongWithTheOutbox,
  type OrderDocument,
  type StoredOrder,
} from '../invariants/stored-order';
import type { Broker, Stored } from './broker';
import type { Database } from './database';
import type { World } from './world';

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

export function createInvariants(world: World, { maxOpenOrdersPerUser }: { maxOpenOrdersPerUser: number }) {
  /** How often each was checked. */
  const checked = new Map<string, number>();
  const arrived = new Map<string, Set<number>>();
  const promised: { placed: Map<string, string>; cancelled: Set<string> } = {
    placed: new Map(),
    cancelled: new Set(),
  };

  const fact =
    (invariant: string): Fact =>
    (holds, detail) =>
      check(invariant, holds, detail);
  const isCounted = fact('I7 each payment is counted once');
  const isRefunded = fact('I7 others are refunded once');
  const paymentRules: PaymentRules = {
    isCounted,
    wasSent: isCounted,
    keepsOne: fact('I7 one payment is kept by a complete order'),
    isRefunded,
    isOwed: isRefunded,
    isOneCharge: fact('I7 one charge is kept or refunded once'),
    staysPaid: fact('I7 paid in time is not expired'),
  };

  function check(invariant: string, holds: boolean, detail: () => string): void {
    checked.set(invariant, (checked.get(invariant) ?? 0) + 1);
    if (!holds) throw new Violation(invariant, detail());
  }

  function ordersOf(database: Database): StoredOrder[] {
    return (database.documents('orders') as unknown as OrderDocument[]).map(readOrder);
  }

  /** After each step: what anyone can read, as far as the step has changed it. */
  function afterStep(database: Database, changed: ReadonlySet<OrderDocument>): void {
    const orders = ordersOf(database);
    for (const order of [...changed].map(readOrder)) {
      check('I6 the state is one that can be reached', isReachable(order), () => JSON.stringify(order));
      check('I3 bookkeeping', isBookKept(order), () => JSON.stringify(order));
      if (order.status !== 'cancelled') holdsAlone(orders, order);
      hasItsKeyAlone(orders, order);
      openOrdersAreLimited(orders, order);
    }
  }

  /** As it is stored: with its user, and for a day. */
  function hasItsKeyAlone(orders: readonly StoredOrder[], { idempotencyKey }: StoredOrder): void {
    const same = orders.filter((other) => other.idempotencyKey === idempotencyKey);
    check('one order for each idempotency key', same.length <= 1, () => String(idempotencyKey));
  }

  function openOrdersAreLimited(orders: readonly StoredOrder[], order: StoredOrder): void {
    if (maxOpenOrdersPerUser === 0) return;
    const open = orders.filter(({ userId, status }) => userId === order.userId && isOpen(status));
    const detail = () => `${order.userId} has ${open.map(({ id }) => id).join(' and ')}`;
    check('the open orders of a user are limited', open.length <= maxOpenOrdersPerUser, detail);
  }

  function holdsAlone(orders: readonly StoredOrder[], { ticketId }: StoredOrder): void {
    const holders = orders.filter((order) => order.status !== 'cancelled' && order.ticketId === ticketId);
    const detail = () => `${ticketId} is held by ${holders.map(({ id }) => id).join(' and ')}`;
    check('I1 one holder', holders.length <= 1, detail);
  }

  /** What was durable can never change back. */
  function becameDurable(before: OrderDocument | undefined, after: OrderDocument): void {
    if (!before) return;
    check('I6 the transition is legal', isLegal(before, after), () => describe(before, after));
  }

  /** What a client was told is durable by then. */
  function answered(database: Database, what: 'placed' | 'cancelled', id: string, userId: string): void {
    const order = database.durable('orders', id) as OrderDocument | undefined;
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
    const isOurs = ordersOf(database).some(({ id }) => id === heldFor);
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
    const orders = new Map(ordersOf(database).map((order) => [order.id, order]));
    for (const [id, userId] of promised.placed) {
      check('I5 every 201 is kept', orders.get(id)?.userId === userId, () => id);
    }
    for (const id of promised.cancelled) {
      check('I5 every 204 is kept', orders.get(id)?.status === 'cancelled', () => id);
    }
  }

  function stored(database: Database, { subject, data }: Stored): void {
    if (!EVENTS.test(subject)) return;
    const { id: ownId, orderId = ownId } = contentOf(data) ?? {};
    const id = String(orderId);
    const orders = ordersOf(database);
    const order = orders.find((each) => each.id === id);
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
      if (other.ticketId !== order.ticketId || other.turn >= order.turn) continue;
      const missing = other.outbox.filter(
        ({ seq, subject }) => subject !== 'order:refund-required' && !arrived.get(other.id)?.has(seq),
      );
      check('I3 a ticket’s earlier orders first', missing.length === 0, () => `${other.id} is not out`);
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
    if (pending) return `order ${pending.id} has events that are not published`;
    const overdue = orders.find((order) => overdueFrom(order, expected.graceMs) < now);
    if (overdue) return `order ${overdue.id} is overdue`;
    const unacknowledged = broker.unacknowledged(HEARD)[0];
    if (unacknowledged) return `${unacknowledged.subject} ${unacknowledged.sequence} is not acknowledged`;
    const tickets = new Map(
      database.documents('tickets').map((ticket) => [String(ticket._id), ticket['version'] as number]),
    );
    for (const ticket of expected.newestTickets) {
      const stale = staleCopy(ticket, tickets);
      if (stale !== undefined) return stale;
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
    const payments = broker.channel('payment:created');
    for (const order of ordersOf(database)) {
      const { id, outbox } = order;
      for (const { seq, subject, data } of outbox) {
        const isThere = broker.channel(subject).some((message) => message.data === data);
        check('I2 every event is in its channel', isThere, () => `${id} seq ${seq}`);
      }
      const wrong = whatIsWrongWithTheOutbox(order);
      check('I6 the outbox tells the state', wrong === undefined, () => `${id} ${wrong}`);
      checkPaymentsOf(order, paymentsSentFor(id, payments), paymentRules);
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

function paymentsSentFor(orderId: string, messages: readonly Stored[]): Map<string, number[]> {
  const sent = new Map<string, number[]>();
  for (const { data, publishedAt } of messages) {
    const payment = paymentIn(data);
    if (payment?.orderId !== orderId) continue;
    sent.set(payment.id, [...(sent.get(payment.id) ?? []), publishedAt.getTime()]);
  }
  return sent;
}

function isSettled(database: Database, { subject, sequence, publishedAt, data }: Stored): boolean {
  const isPutAside = database.durable('dead_letters', `${subject}:${sequence}:${publishedAt.getTime()}`);
  if (isPutAside) return true;
  if (subject.startsWith('ticket:')) {
    const ticket = ticketIn(data);
    const copy = ticket && database.durable('tickets', ticket.id);
    return copy !== undefined && (copy['version'] as number) >= ticket!.version;
  }
  const order = database.durable('orders', orderIdIn(data) ?? '') as OrderDocument | undefined;
  if (!order) return false;
  return subject === 'payment:created'
    ? order.payments.some(({ id }) => id === paymentIn(data)?.id)
    : order.status !== 'created';
}

interface Ticket {
  version: number;
  orderId?: string | null;
}

export function ticketOf(database: Database, ticketId: string): Ticket | undefined {
  return database.documents('tickets').find(({ _id }) => String(_id) === ticketId) as Ticket | undefined;
}

function isReachable(order: StoredOrder): boolean {
  return order.version === changesOf(order) && tellsItsEnd(order);
}

function isLegal(before: OrderDocument, after: OrderDocument): boolean {
  const keepsPast =
    after.version >= before.version &&
    before.outbox.every(({ data }, i) => after.outbox[i]?.data === data) &&
    before.payments.every(({ id }, i) => after.payments[i]?.id === id);
  return keepsPast && (before.status === 'created' || before.status === after.status);
}

function describe(before: OrderDocument, after: OrderDocument): string {
  return `${JSON.stringify(before)} became ${JSON.stringify(after)}`;
}
