import { createInbox } from '../../src/messaging/inbox';
import { createParkedMessages } from '../../src/messaging/parked-messages';
import { Unavailable } from '../../src/application/ports';
import type { FailedMessage, FailedMessages, Message } from '../../src/application/ports';
import type { Ticket } from '../../src/domain/ticket';
import { createTestClock } from '../support/clock';
import { silentLog, silentMetrics } from '../support/silent';
import { receiver } from '../support/subscriptions';

const ORDER = 'a'.repeat(24);
const ticket = { id: 'b'.repeat(24), version: 0, title: 'Concert', price: 10, userId: 'seller' };

function setUp() {
  const clock = createTestClock();
  const failed = new Map<string, FailedMessage>();
  const applied: Ticket[] = [];
  const verdicts: string[] = [];
  const catchUpCalls: string[] = [];
  const outcomes = {
    expire: 'done' as 'done' | 'payments-behind' | 'unknown-order',
    complete: 'done' as 'done' | 'unknown-order' | Error,
    storeDown: false,
    applying: Promise.resolve(),
    expiring: Promise.resolve(),
    expired: [] as string[],
    paid: [] as object[],
  };
  const failIfDown = () => {
    if (outcomes.storeDown) throw new Unavailable('the database is unavailable');
  };
  const failedMessages: FailedMessages = {
    put: async (one) => {
      failIfDown();
      if (!failed.has(one.id)) failed.set(one.id, one);
    },
    takeDue: async (claimedUntil, limit) => {
      const due = [...failed.values()]
        .filter(({ retryAt }) => retryAt && retryAt <= clock.now())
        .slice(0, limit);
      for (const one of due) failed.set(one.id, { ...one, retryAt: claimedUntil });
      return due;
    },
    postpone: async (id, update) => {
      const one = failed.get(id);
      if (!one) return;
      const { retryAt: _, ...rest } = one;
      failed.set(id, { ...rest, ...update });
    },
    remove: async (id) => void failed.delete(id),
    list: async () => [...failed.values()],
    replay: async () => 0,
    count: async () => ({ parked: 0, dead: 0 }),
  };
  const pauses: number[] = [];
  const warnings: string[] = [];
  // Its pauses are noted, and over at once.
  const inboxClock = {
    ...clock,
    after(ms: number, task: () => void) {
      pauses.push(ms);
      setImmediate(task);
      return () => {};
    },
  };
  const inbox = createInbox({
    tickets: {
      apply: async (copy) => {
        failIfDown();
        await outcomes.applying;
        applied.push(copy);
      },
    },
    expireOrder: async (orderId) => {
      failIfDown();
      await outcomes.expiring;
      outcomes.expired.push(orderId);
      return outcomes.expire;
    },
    completeOrder: async (input) => {
      failIfDown();
      if (outcomes.complete instanceof Error) throw outcomes.complete;
      outcomes.paid.push(input);
      return outcomes.complete;
    },
    catchUp: {
      subscriptionChanged: () => () => {},
      databaseChanged() {},
      paymentHeard() {},
      paymentReceived: () => void catchUpCalls.push('received'),
      paymentPostponed: () => void catchUpCalls.push('postponed'),
      paymentInFlight: () => {
        catchUpCalls.push('in flight');
        return () => void catchUpCalls.push('left');
      },
      mayExpire: () => true,
    },
    failedMessages,
    watchPaymentsSeconds: 60,
    clock: inboxClock,
    metrics: { ...silentMetrics, messageHandled: (_, verdict) => verdicts.push(verdict) },
    log: { ...silentLog, warn: (_, text) => warnings.push(text) },
  });
  const parked = createParkedMessages({
    failedMessages,
    handle: inbox.handle,
    clock,
    metrics: silentMetrics,
    log: silentLog,
  });
  let sequence = 0;
  const message = (subject: string, data: unknown): Message => ({
    subject,
    sequence: ++sequence,
    publishedAt: clock.now(),
    redelivered: false,
    data: Buffer.isBuffer(data) ? data : Buffer.from(typeof data === 'string' ? data : JSON.stringify(data)),
  });
  return {
    clock,
    failed,
    applied,
    verdicts,
    catchUpCalls,
    outcomes,
    inbox: { ...inbox, receive: receiver(inbox.subscriptions) },
    parked,
    message,
    pauses,
    warnings,
  };
}

describe('the inbox', () => {
  it('hears the four subjects', () => {
    const groups = setUp().inbox.subscriptions.filter(({ mode }) => mode === 'group');
    expect(groups.map(({ subject }) => subject)).toEqual([
      'ticket:created',
      'ticket:updated',
      'expiration:complete',
      'payment:created',
    ]);
  });

  it.each(['ticket:created', 'ticket:updated'])(
    'applies the whole ticket of %s, ignoring what it does not know',
    async (subject) => {
      const { inbox, applied, message } = setUp();
      const data = { ...ticket, id: ticket.id.toUpperCase(), orderId: ORDER, __v: 1 };
      expect(await inbox.receive(message(subject, data))).toBe('done');
      expect(applied).toEqual([{ ...ticket, orderId: ORDER }]);
    },
  );

  const { userId: _, ...anonymous } = ticket;

  it.each<[string, object, Ticket]>([
    ['a ticket without a seller', anonymous, anonymous],
    ['a ticket whose seller is null', { ...ticket, userId: null }, anonymous],
    ['a ticket that is held for nobody', { ...ticket, orderId: null }, ticket],
    ['a ticket that is held for an empty id', { ...ticket, orderId: '' }, ticket],
    ['a ticket that is held for a number', { ...ticket, orderId: 5 }, { ...ticket, orderId: '5' }],
    [
      'a ticket that is held for a long name',
      { ...ticket, orderId: 'x'.repeat(300) },
      { ...ticket, orderId: 'x'.repeat(255) },
    ],
    ['a price as a whole decimal', { ...ticket, price: '45' }, { ...ticket, price: 45 }],
    ['a price as a decimal fraction', { ...ticket, price: ' 45.50 ' }, { ...ticket, price: 45.5 }],
    ['a price of nothing', { ...ticket, price: '0' }, { ...ticket, price: 0 }],
    [
      'a title of more characters than are kept',
      { ...ticket, title: `${'x'.repeat(999)}€${'y'.repeat(70_000)}` },
      { ...ticket, title: `${'x'.repeat(999)}€` },
    ],
    [
      'a title whose characters are two units each',
      { ...ticket, title: '🎟'.repeat(1_001) },
      { ...ticket, title: '🎟'.repeat(1_000) },
    ],
    [
      'a title that ends within a pair',
      { ...ticket, title: `x${'🎟'.repeat(2_000)}` },
      { ...ticket, title: `x${'🎟'.repeat(999)}` },
    ],
    [
      'a title of a thousand characters',
      { ...ticket, title: 'x'.repeat(1_000) },
      { ...ticket, title: 'x'.repeat(1_000) },
    ],
  ])('takes %s for what it is', async (_, data, expected) => {
    const { inbox, applied, message } = setUp();
    expect(await inbox.receive(message('ticket:created', data))).toBe('done');
    expect(applied).toEqual([expected]);
  });

  it('reads a message of a megabyte', async () => {
    const { inbox, applied, verdicts, message } = setUp();
    await inbox.receive(message('ticket:updated', { ...ticket, photo: 'x'.repeat(1024 * 1024) }));
    expect(verdicts).toEqual(['done']);
    expect(applied).toEqual([ticket]);
  });

  it.each([
    ['none', {}],
    ['null', { stripeId: null }],
    ['an empty one', { stripeId: '' }],
    ['one under another name', { paypalId: 'x' }],
  ])('takes a payment that has %s for a provider id', async (_, provider) => {
    const { inbox, outcomes, message, clock } = setUp();
    await inbox.receive(message('payment:created', { id: 'p1', orderId: ORDER, ...provider }));
    expect(outcomes.paid).toEqual([{ orderId: ORDER, payment: { id: 'p1', at: clock.now() } }]);
  });

  it('hands a payment on with the time at which the broker took it', async () => {
    const { inbox, outcomes, message, clock } = setUp();
    const at = clock.now();
    await inbox.receive(message('payment:created', { id: 'p1', orderId: ORDER, stripeId: 's1' }));
    expect(outcomes.paid).toEqual([{ orderId: ORDER, payment: { id: 'p1', stripeId: 's1', at } }]);
  });

  it.each([
    ['is not JSON', 'ticket:created', '{"id":', /not JSON/],
    ['is empty', 'ticket:created', '', /not JSON/],
    ['is not an object', 'ticket:created', '[]', /expected object/],
    ['is not UTF-8', 'ticket:created', Buffer.from([0xff, 0xfe, 0x00]), /not UTF-8/],
    ['has a wrong id', 'ticket:created', { ...ticket, id: 'nonsense' }, /^id: must be 24 hex/],
    ['has an id that is an object', 'ticket:created', { ...ticket, id: { $gt: '' } }, /^id: /],
    ['has a text for a price', 'ticket:updated', { ...ticket, price: 'ten' }, /^price: /],
    ['has no text for a price', 'ticket:updated', { ...ticket, price: '' }, /^price: /],
    ['has a hexadecimal price', 'ticket:updated', { ...ticket, price: '0x10' }, /^price: /],
    ['has an exponent for a price', 'ticket:updated', { ...ticket, price: '1e3' }, /^price: /],
    ['has a negative text for a price', 'ticket:updated', { ...ticket, price: '-1' }, /^price: /],
    ['has a price beyond all numbers', 'ticket:updated', { ...ticket, price: '9'.repeat(400) }, /^price: /],
    [
      'has a price that is not finite',
      'ticket:updated',
      JSON.stringify(ticket).replace('10', '1e999'),
      /^price: /,
    ],
    ['has a text for a version', 'ticket:updated', { ...ticket, version: '1' }, /^version: /],
    [
      'has a number for a provider id',
      'payment:created',
      { id: 'p', orderId: ORDER, stripeId: 5 },
      /^stripeId: /,
    ],
    ['has a negative price', 'ticket:updated', { ...ticket, price: -1 }, /^price: /],
    ['has no version', 'ticket:updated', { ...ticket, version: undefined }, /^version: /],
    ['has a fractional version', 'ticket:updated', { ...ticket, version: 0.5 }, /^version: /],
    ['has a wrong order id', 'expiration:complete', { orderId: 1 }, /^orderId: /],
    ['names no order', 'payment:created', { id: 'p', stripeId: 's' }, /^orderId: /],
    ['has no title', 'ticket:created', { ...ticket, title: undefined }, /^title: /],
    ['names a seller at length', 'ticket:created', { ...ticket, userId: 'x'.repeat(256) }, /^userId: /],
    [
      'names a payment with half a surrogate pair',
      'payment:created',
      `{"id":"p\\ud800","orderId":"${ORDER}","stripeId":"s"}`,
      /^id: must be well-formed/,
    ],
    [
      'names a payment at length',
      'payment:created',
      { id: 'p'.repeat(256), orderId: ORDER, stripeId: 's' },
      /^id: /,
    ],
    ['names no payment', 'payment:created', { orderId: ORDER, stripeId: 's', id: '' }, /^id: /],
  ])('makes a dead letter of a message that %s, and goes on', async (_, subject, data, reason) => {
    const { inbox, failed, verdicts, message } = setUp();
    const bad = message(subject, data);
    expect(await inbox.receive(bad)).toBe('done');
    expect(verdicts).toEqual(['reject']);
    const [one] = failed.values();
    expect(one).toMatchObject({
      subject,
      sequence: 1,
      attempts: 1,
      reason: expect.stringMatching(reason),
    });
    expect(one).not.toHaveProperty('retryAt');
    expect(Buffer.from(one?.data ?? '', one?.encoding ?? 'utf8')).toEqual(bad.data);
    expect(await inbox.receive(message('ticket:created', ticket))).toBe('done');
  });

  it('tells the same message number of two brokers apart', async () => {
    const { inbox, failed, message } = setUp();
    const one = message('ticket:created', 'bad');
    await inbox.receive(one);
    await inbox.receive({ ...one, redelivered: true });
    await inbox.receive({ ...one, publishedAt: new Date(0) });
    expect(failed.size).toBe(2);
  });

  it('leaves everything unacknowledged while the database is unavailable, and does not warn of each', async () => {
    const { inbox, outcomes, applied, failed, message, warnings } = setUp();
    outcomes.storeDown = true;
    const messages = [
      message('ticket:created', ticket),
      message('expiration:complete', { orderId: ORDER }),
      message('payment:created', { id: 'p', orderId: ORDER, stripeId: 's' }),
      message('ticket:created', 'bad'),
    ];
    expect(await Promise.all(messages.map(inbox.receive))).toEqual(['retry', 'retry', 'retry', 'retry']);
    expect(applied).toEqual([]);
    expect(failed.size).toBe(0);
    expect(warnings).toEqual([]);
  });

  it('keeps what it could not handle in flight for a moment, except a payment, for expiry waits for those', async () => {
    const { inbox, outcomes, pauses, message } = setUp();
    outcomes.storeDown = true;
    await inbox.receive(message('payment:created', { id: 'p', orderId: ORDER, stripeId: 's' }));
    expect(pauses).toEqual([]);
    await inbox.receive(message('ticket:created', ticket));
    expect(pauses).toEqual([1_000]);
  });

  it.each<[string, number, string, object]>([
    ['tickets', 2_048, 'ticket:updated', ticket],
    ['expiries', 256, 'expiration:complete', { orderId: ORDER }],
  ])('refuses %s at once that are more than it can have in flight: %d', async (_, most, subject, content) => {
    const { inbox, outcomes, verdicts, message } = setUp();
    let goOn = (): void => {};
    outcomes.applying = outcomes.expiring = new Promise<void>((resolve) => (goOn = resolve));
    const inFlight = Array.from({ length: most }, () => inbox.receive(message(subject, content)));

    expect(await inbox.receive(message(subject, content))).toBe('retry');
    const payment = { id: 'p', orderId: ORDER, stripeId: 's' };
    expect(await inbox.receive(message('payment:created', payment))).toBe('done');
    goOn();

    expect(new Set(await Promise.all(inFlight))).toEqual(new Set(['done']));
    expect(verdicts.filter((verdict) => verdict === 'retry')).toHaveLength(1);
    expect(await inbox.receive(message(subject, content))).toBe('done');
  });

  it('takes expiries while it can take no more tickets', async () => {
    const { inbox, outcomes, message } = setUp();
    let goOn = (): void => {};
    outcomes.applying = new Promise<void>((resolve) => (goOn = resolve));
    const inFlight = Array.from({ length: 2_048 }, () => inbox.receive(message('ticket:created', ticket)));

    expect(await inbox.receive(message('ticket:updated', ticket))).toBe('retry');
    expect(await inbox.receive(message('expiration:complete', { orderId: ORDER }))).toBe('done');
    goOn();
    await Promise.all(inFlight);
  });

  it('leaves an expiry unacknowledged until payments are caught up', async () => {
    const { inbox, outcomes, failed, message } = setUp();
    outcomes.expire = 'payments-behind';
    expect(await inbox.receive(message('expiration:complete', { orderId: ORDER }))).toBe('retry');
    expect(failed.size).toBe(0);
  });

  it('gives a payment that is on its way a moment before it lets a fresh expiry act, an old one none', async () => {
    const { inbox, pauses, message, clock } = setUp();
    const fresh = message('expiration:complete', { orderId: ORDER });
    await inbox.receive(fresh);
    await inbox.receive({ ...fresh, publishedAt: new Date(clock.now().getTime() - 9_999) });
    await inbox.receive({ ...fresh, publishedAt: new Date(clock.now().getTime() - 10_000) });
    await inbox.receive({ ...fresh, publishedAt: new Date(clock.now().getTime() + 10_000) });
    expect(pauses).toEqual([250, 250, 250]);
  });

  it('tells the catch-up of each payment before and after, and of one that could not be handled', async () => {
    const { inbox, outcomes, catchUpCalls, message } = setUp();
    const payment = { id: 'p', orderId: ORDER, stripeId: 's' };
    await inbox.receive(message('payment:created', payment));
    expect(catchUpCalls).toEqual(['received', 'in flight', 'left']);
    outcomes.storeDown = true;
    await inbox.receive(message('payment:created', payment));
    expect(catchUpCalls.slice(3)).toEqual(['received', 'in flight', 'left', 'postponed']);
  });

  it('puts a message aside that it fails at, so that the channel goes on', async () => {
    const { inbox, outcomes, failed, message } = setUp();
    outcomes.complete = new TypeError('a bug');
    expect(await inbox.receive(message('payment:created', { id: 'p', orderId: ORDER, stripeId: 's' }))).toBe(
      'done',
    );
    const [one] = failed.values();
    expect(one).toHaveProperty('retryAt');
    expect(one?.reason).not.toContain('a bug');
  });
});

describe('a message about an unknown order', () => {
  const payment = { id: 'p', orderId: ORDER, stripeId: 's' };

  it('is parked and acknowledged, and handled once its order is known', async () => {
    const { clock, inbox, parked, outcomes, failed, message } = setUp();
    outcomes.complete = 'unknown-order';
    const paidAt = clock.now();
    expect(await inbox.receive(message('payment:created', payment))).toBe('done');
    expect(failed.size).toBe(1);
    parked.start();
    await clock.advance(3_000);
    expect(failed.size).toBe(1);
    outcomes.complete = 'done';
    await clock.advance(600_000);
    expect(failed.size).toBe(0);
    expect(outcomes.paid.at(-1)).toEqual({ orderId: ORDER, payment: { id: 'p', stripeId: 's', at: paidAt } });
    await parked.stop();
  });

  it('is parked as well when it is an expiry', async () => {
    const { inbox, outcomes, failed, verdicts, message } = setUp();
    outcomes.expire = 'unknown-order';
    expect(await inbox.receive(message('expiration:complete', { orderId: ORDER }))).toBe('done');
    expect(verdicts).toEqual(['park']);
    expect([...failed.values()]).toEqual([expect.objectContaining({ reason: `no order ${ORDER}` })]);
  });

  it('is dead after ten attempts, and kept', async () => {
    const { clock, inbox, parked, outcomes, failed, message } = setUp();
    outcomes.complete = 'unknown-order';
    await inbox.receive(message('payment:created', payment));
    parked.start();
    await clock.advance(900_000);
    const [one] = failed.values();
    expect(one).toMatchObject({ attempts: 10, reason: `no order ${ORDER}` });
    expect(one).not.toHaveProperty('retryAt');
    const tries = outcomes.paid.length;
    await clock.advance(900_000);
    expect(outcomes.paid).toHaveLength(tries);
    await parked.stop();
  });

  it('does not use up its attempts while the database is unavailable', async () => {
    const { clock, inbox, parked, outcomes, failed, message } = setUp();
    outcomes.complete = 'unknown-order';
    await inbox.receive(message('payment:created', payment));
    parked.start();
    outcomes.storeDown = true;
    await clock.advance(1_200_000);
    outcomes.storeDown = false;
    outcomes.complete = 'done';
    await clock.advance(600_000);
    expect(failed.size).toBe(0);
    await parked.stop();
  });
});
