import {
  FOREIGN_ORDER_PREFIX,
  type Answer,
  type ChannelMessage,
  type StoredOrder,
  type HistoryLine,
  type Invoke,
  type Remains,
} from '../history';

/** The same, but it may be changed. */
export type Mutable<T> = T extends Date
  ? T
  : T extends ReadonlyMap<infer K, infer V>
    ? Map<K, Mutable<V>>
    : { -readonly [K in keyof T]: Mutable<T[K]> };

export type ExampleOrder = Mutable<StoredOrder>;
type Asked = Omit<Invoke, 'kind' | 't' | 'call' | 'replica'>;
type Answered = Omit<Answer, 'kind' | 't' | 'call'>;

export const WALL_MS = 1_700_000_000_000;
const WINDOW_MS = 4_000;
const MEGABYTE = 1024 * 1024;
const FOREIGN = FOREIGN_ORDER_PREFIX + '1'.repeat(16);

export const TICKETS = {
  resold: 'a1'.repeat(12),
  expired: 'a2'.repeat(12),
  unsold: 'a3'.repeat(12),
  givenUp: 'a4'.repeat(12),
};
export const PAYMENT = (n: number): string => `payment-${n}`;
const CHARGE = (n: number) => `charge-${n}`;

export const at = (t: number): Date => new Date(WALL_MS + t);

/** An order of the buyer as it is placed `t` milliseconds after the start, and its announcement. */
export function order(n: number, userId: string, ticketId: string, turn: number, t: number): ExampleOrder {
  const id = `0${n}`.repeat(12);
  const expiresAt = at(t + WINDOW_MS);
  const announced = { id, version: 0, status: 'created', userId, expiresAt: expiresAt.toISOString() };
  const data = JSON.stringify({ ...announced, ticket: { id: ticketId, price: 20 } });
  return {
    ...{ id, version: 0, userId, status: 'created', createdAt: at(t), expiresAt, ticketId, turn },
    payments: [],
    outbox: [{ seq: 0, subject: 'order:created', data, at: at(t) }],
    publishing: { next: 1, pending: 0 },
  };
}

export function bodyOf({ id, userId, createdAt, expiresAt, ticketId }: ExampleOrder): string {
  const ticket = { id: ticketId, title: 'A concert', price: 20 };
  return JSON.stringify({ id, version: 0, status: 'created', userId, expiresAt, createdAt, ticket });
}

function announce(to: ExampleOrder, subject: string, content: object, t: number): void {
  to.outbox.push({ seq: to.outbox.length, subject, data: JSON.stringify(content), at: at(t) });
  to.publishing.next += 1;
}

export function cancel(it: ExampleOrder, reason: 'user' | 'expired', t: number): ExampleOrder {
  Object.assign(it, { status: 'cancelled', reason, version: it.version + 1 });
  announce(it, 'order:cancelled', { id: it.id, version: it.version, ticket: { id: it.ticketId } }, t);
  return it;
}

export function refund(to: ExampleOrder, id: string, reason: 'late' | 'second', t: number): void {
  const content = { orderId: to.id, userId: to.userId, paymentId: id, reason };
  const paidInTime = at(t) < to.expiresAt;
  announce(
    to,
    'order:refund-required',
    { ...content, paidInTime, ticket: { id: to.ticketId, price: 20 } },
    t,
  );
}

/** What it does with a payment that the broker takes at `t`. */
export function pay(it: ExampleOrder, n: number, t: number): ExampleOrder {
  const id = PAYMENT(n);
  const charge = { id, stripeId: CHARGE(n), at: at(t) };
  it.version += 1;
  if (it.status === 'created') {
    it.status = 'complete';
    it.payments.push(charge);
    return it;
  }
  const reason = it.status === 'cancelled' ? 'late' : 'second';
  it.payments.push({ ...charge, refund: reason });
  refund(it, id, reason, t);
  return it;
}

/** Payment `n` is another name of a charge that is recorded already. */
function payAgain(it: ExampleOrder, n: number, known: number, t: number): ExampleOrder {
  it.version += 1;
  it.payments.push({ id: PAYMENT(n), stripeId: CHARGE(known), at: at(t), sameAs: PAYMENT(known) });
  return it;
}

export type Example = ReturnType<typeof createExample>;

/** A small campaign in which everything goes well, with something of everything. Each part of it may be changed. */
export function createExample() {
  const { resold, expired, unsold } = TICKETS;
  const orders = {
    /** Given up by its buyer, and paid anyway. */
    givenUp: pay(cancel(order(1, 'ann', resold, 0, 1_002), 'user', 2_005), 1, 3_000),
    /** Bought after that, paid twice, and the first charge announced under a second id. */
    boughtNext: payAgain(pay(pay(order(2, 'bob', resold, 1, 2_505), 2, 3_000), 3, 3_500), 5, 2, 3_600),
    /** Nobody heard that it was placed, and nobody paid it. */
    expired: cancel(order(3, 'cid', expired, 0, 1_005), 'expired', 5_100),
    bought: pay(order(4, 'ann', expired, 1, 6_004), 4, 6_500),
    lastGivenUp: cancel(order(5, 'eve', TICKETS.givenUp, 0, 7_002), 'user', 7_505),
  };
  const history: Mutable<HistoryLine>[] = [
    {
      ...{ kind: 'start', t: 0, wallMs: WALL_MS, seed: 7, minutes: 0.5, windowSeconds: WINDOW_MS / 1000 },
      ...{ graceSeconds: 3, replicas: ['a', 'witness'] },
    },
  ];
  const remains: Mutable<Remains> = {
    orders: Object.values(orders),
    tickets: [],
    failedMessages: [],
    channels: new Map(),
  };
  let calls = 0;

  /** A request and, `tookMs` later, its answer. */
  function ask(t: number, asked: Asked, tookMs: number, answer: Answered): Mutable<Answer> {
    const call = (calls += 1);
    const answered: Mutable<Answer> = { kind: 'answer', t: t + tookMs, call, ...answer };
    history.push({ kind: 'invoke', t, call, replica: 'a', ...asked }, answered);
    return answered;
  }

  /** A message as the broker takes it. */
  function send(subject: string, content: unknown, t: number): Mutable<ChannelMessage> {
    const channel = remains.channels.get(subject) ?? [];
    remains.channels.set(subject, channel);
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    const message = { subject, sequence: channel.length + 1, at: (WALL_MS + t) * 1e6, text };
    channel.push(message);
    return message;
  }

  function putAside({ subject, sequence, at: ns, text }: ChannelMessage, parked: boolean): void {
    remains.failedMessages.push({ id: `${subject}:${sequence}:${Math.floor(ns / 1e6)}`, data: text, parked });
  }

  const sendPayment = (n: number, orderId: string, t: number, charge = n) =>
    send('payment:created', { id: PAYMENT(n), orderId, stripeId: CHARGE(charge) }, t);

  Object.values(TICKETS).forEach((id, i) => {
    const ticket = { id, title: 'A concert', price: 20, userId: 'seller' };
    send('ticket:created', { ...ticket, version: 0 }, i);
    send('ticket:updated', { ...ticket, version: 1 }, i + 10);
    remains.tickets.push({ id, version: 1 });
  });
  putAside(send('ticket:updated', 'not JSON: poison', 900), false);
  putAside(send('payment:created', { id: 'p', orderId: FOREIGN, stripeId: 'stripe' }, 950), true);

  const { givenUp, boughtNext, bought, lastGivenUp } = orders;
  const placed = (it: ExampleOrder): Answered => ({ status: 201, orderId: it.id, body: bodyOf(it) });
  ask(400, { op: 'place', user: 'ann', ticketId: '9'.repeat(24) }, 5, { status: 404 });
  ask(1_000, { op: 'place', user: 'ann', ticketId: resold, key: 'k' }, 10, placed(givenUp));
  ask(1_000, { op: 'place', user: 'cid', ticketId: expired }, 200, { status: 0 });
  ask(1_020, { op: 'place', user: 'ann', ticketId: resold, key: 'k' }, 10, placed(givenUp));
  ask(1_500, { op: 'place', user: 'bob', ticketId: resold }, 10, { status: 409 });
  ask(2_000, { op: 'cancel', user: 'ann', orderId: givenUp.id }, 10, { status: 204 });
  ask(2_100, show(givenUp), 10, { status: 200, order: { status: 'cancelled', version: 1 } });
  ask(2_500, { op: 'place', user: 'bob', ticketId: resold }, 20, placed(boughtNext));
  ask(2_600, { op: 'place', user: 'bob', ticketId: resold }, 20, { status: 409, orderId: boughtNext.id });
  ask(3_000, { op: 'place', user: 'dan', ticketId: expired }, 10, { status: 409 });
  ask(3_200, show(boughtNext), 10, { status: 200, order: { status: 'complete', version: 1 } });
  ask(3_600, { op: 'cancel', user: 'bob', orderId: boughtNext.id }, 10, { status: 409 });
  // Whoever did not get an answer may have held the ticket until the database crashed.
  ask(5_000, { op: 'place', user: 'ann', ticketId: unsold }, 100, { status: 503 });
  ask(5_200, { op: 'place', user: 'bob', ticketId: unsold }, 10, { status: 409 });
  ask(6_000, { op: 'place', user: 'ann', ticketId: expired }, 10, placed(bought));
  ask(6_900, { op: 'list', user: 'ann' }, 10, { status: 200 });
  ask(7_000, { op: 'place', user: 'eve', ticketId: TICKETS.givenUp }, 10, placed(lastGivenUp));
  ask(7_500, { op: 'cancel', user: 'eve', orderId: lastGivenUp.id }, 10, { status: 204 });

  sendPayment(1, givenUp.id, 3_000);
  sendPayment(2, boughtNext.id, 3_000);
  sendPayment(2, boughtNext.id, 3_100);
  sendPayment(3, boughtNext.id, 3_500);
  sendPayment(4, bought.id, 6_500);
  sendPayment(5, boughtNext.id, 3_600, 2);
  for (const { outbox } of Object.values(orders)) {
    for (const event of outbox) send(event.subject, event.data, event.at.getTime() - WALL_MS + 6);
  }
  send('order:created', givenUp.outbox[0]!.data, 5_000);

  for (let i = 0; i < 40; i += 1) {
    const t = i * 700 + 100;
    const [heapBytes, residentBytes] = [40 * MEGABYTE, 120 * MEGABYTE];
    history.push({
      kind: 'vitals',
      t,
      replica: 'witness',
      heapBytes,
      residentBytes,
      clients: 40,
      handles: 30,
      listeners: 90,
    });
    history.push({ kind: 'sample', t, pending: i % 3, tickets: 4, twiceHeld: [] });
  }
  history.push(
    { kind: 'fault', t: 5_040, id: 1, phase: 'begin', fault: 'SIGKILL', target: 'replica a' },
    { kind: 'exit', t: 5_042, target: 'replica a', code: null, signal: 'SIGKILL', expected: true },
    { kind: 'fault', t: 5_900, id: 1, phase: 'end', fault: 'SIGKILL', target: 'replica a' },
    { kind: 'exit', t: 5_400, target: 'database', code: null, signal: 'SIGKILL', expected: true },
    { kind: 'faults over', t: 28_000 },
    { kind: 'end', t: 30_000, converged: true },
  );

  return {
    ...{ history, remains, orders, ask, send, sendPayment, line, answerTo, unask },
    channel: (subject: string) => remains.channels.get(subject)!,
  };

  function answerTo(isIt: (asked: Invoke) => boolean): Mutable<Answer> {
    const asked = history.find((each) => each.kind === 'invoke' && isIt(each)) as Invoke;
    return history.flatMap((each) => (each.kind === 'answer' && each.call === asked.call ? [each] : []))[0]!;
  }

  /** Takes back that somebody asked, and what was answered. */
  function unask(isIt: (asked: Invoke) => boolean): void {
    const taken = new Set(
      history.flatMap((each) => (each.kind === 'invoke' && isIt(each) ? [each.call] : [])),
    );
    const left = history.filter((each) => !('call' in each && taken.has(each.call)));
    history.splice(0, history.length, ...left);
  }

  /** The first line of its kind, to be changed. */
  function line<K extends HistoryLine['kind']>(kind: K): Mutable<HistoryLine & { kind: K }> {
    return history.find((each) => each.kind === kind) as Mutable<HistoryLine & { kind: K }>;
  }
}

function show({ id, userId }: ExampleOrder): Asked {
  return { op: 'show', user: userId, orderId: id };
}
