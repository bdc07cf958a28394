import { createMemoryDatabase } from '../../src/adapters/memory/database';
import { createFailedMessages } from '../../src/adapters/memory/failed-messages';
import type { Message } from '../../src/application/bus';
import type { FailedMessage, FailedMessages } from '../../src/application/failed-messages';
import { Unavailable } from '../../src/application/ports';
import type { Ticket } from '../../src/domain/ticket';
import { toMessage } from '../../src/messaging/failed-messages';
import { createInbox } from '../../src/messaging/inbox';
import { createParkedMessages } from '../../src/messaging/parked-messages';
import { createTestClock } from '../support/clock';
import { silentLog, silentMetrics } from '../support/silent';
import { hearer, receiver } from '../support/subscriptions';

const ORDER = 'a'.repeat(24);
const ticket = { id: 'b'.repeat(24), version: 0, title: 'Concert', price: 10, userId: 'seller' };
const PAYMENT = { id: 'p', orderId: ORDER, stripeId: 's' };

type Line = [level: string, fields: Record<string, unknown>, text: string];

const FIRST_PAYMENT = { type: 'message', subject: 'payment:created', sequence: 1 };

/** An inbox whose use cases and store do what a test says. Its pauses are noted, and over at once. */
function setUp() {
  const clock = createTestClock();
  const database = createMemoryDatabase();
  const applied: Ticket[] = [];
  const catchUpCalls: string[] = [];
  const pauses: number[] = [];
  const lines: Line[] = [];
  const say = (level: string) => (fields: object, text: string) =>
    void lines.push([level, fields as Record<string, unknown>, text]);
  const measured: [subject: string, verdict: string, seconds: number][] = [];
  const deadLettered: string[] = [];
  const heard: [orderId: string, at: Date][] = [];
  const outcomes = {
    expire: 'done' as 'done' | 'payments-behind' | 'unknown-order',
    complete: 'done' as 'done' | 'unknown-order' | Error,
    put: undefined as Error | undefined,
    storeDown: false,
    applying: Promise.resolve(),
    expiring: Promise.resolve(),
    paid: [] as object[],
    expired: [] as object[],
  };
  const failIfDown = () => {
    if (outcomes.storeDown) throw new Unavailable('the database is unavailable');
  };
  const stored = createFailedMessages(database, clock);
  const failedMessages: FailedMessages = {
    ...stored,
    put: async (one) => {
      failIfDown();
      if (outcomes.put) throw outcomes.put;
      await stored.put(one);
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
    expireOrder: async (orderId, cause) => {
      failIfDown();
      await outcomes.expiring;
      outcomes.expired.push({ orderId, cause });
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
      paymentHeard: (orderId, at) => void heard.push([orderId, at]),
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
    clock: { ...clock, after: (ms, task) => (pauses.push(ms), setImmediate(task), () => {}) },
    metrics: {
      messageHandled: (...what) => measured.push(what),
      deadLettered: (subject) => deadLettered.push(subject),
    },
    log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
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
  const take = receiver(inbox.subscriptions);
  return {
    clock,
    failed: database.failedMessages,
    reasons: () => [...database.failedMessages.values()].map(({ reason }) => reason),
    ...{ applied, catchUpCalls, outcomes, parked, message, pauses, lines, measured, deadLettered, heard },
    verdicts: () => measured.map(([, verdict]) => verdict),
    inbox: { subscriptions: inbox.subscriptions, receive: take },
    receive: (subject: string, data: unknown) => take(message(subject, data)),
  };
}

describe('the inbox', () => {
  it.each(['ticket:created', 'ticket:updated'])(
    'applies the whole ticket of %s, ignoring what it does not know',
    async (subject) => {
      const { applied, receive } = setUp();
      const data = { ...ticket, id: ticket.id.toUpperCase(), orderId: ORDER, __v: 1 };
      expect(await receive(subject, data)).toBe('done');
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
    const { applied, receive } = setUp();
    expect(await receive('ticket:created', data)).toBe('done');
    expect(applied).toEqual([expected]);
  });

  it('reads a message of a megabyte', async () => {
    const { applied, verdicts, receive } = setUp();
    await receive('ticket:updated', { ...ticket, photo: 'x'.repeat(1024 * 1024) });
    expect(verdicts()).toEqual(['done']);
    expect(applied).toEqual([ticket]);
  });

  it.each([
    ['none', {}],
    ['null', { stripeId: null }],
    ['an empty one', { stripeId: '' }],
    ['one under another name', { paypalId: 'x' }],
  ])('takes a payment that has %s for a provider id', async (_, provider) => {
    const { clock, outcomes, receive } = setUp();
    await receive('payment:created', { id: 'p1', orderId: ORDER, ...provider });
    expect(outcomes.paid).toEqual([
      { orderId: ORDER, payment: { id: 'p1', at: clock.now() }, cause: FIRST_PAYMENT },
    ]);
  });

  it('hands a payment on with the time at which the broker took it', async () => {
    const { clock, outcomes, receive } = setUp();
    const at = clock.now();
    await receive('payment:created', { id: 'p1', orderId: ORDER, stripeId: 's1' });
    expect(outcomes.paid).toEqual([
      { orderId: ORDER, payment: { id: 'p1', stripeId: 's1', at }, cause: FIRST_PAYMENT },
    ]);
  });

  it('hands an expiry on with the message that caused it', async () => {
    const { outcomes, receive } = setUp();
    await receive('expiration:complete', { orderId: ORDER });
    const cause = { type: 'message', subject: 'expiration:complete', sequence: 1 };
    expect(outcomes.expired).toEqual([{ orderId: ORDER, cause }]);
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
    const { inbox, failed, verdicts, message, receive } = setUp();
    const bad = message(subject, data);
    expect(await inbox.receive(bad)).toBe('done');
    expect(verdicts()).toEqual(['reject']);
    const [one] = failed.values();
    expect(one).toMatchObject({
      subject,
      sequence: 1,
      attempts: 1,
      reason: expect.stringMatching(reason),
    });
    expect(one).not.toHaveProperty('retryAt');
    expect(Buffer.from(one?.data ?? '', one?.encoding ?? 'utf8')).toEqual(bad.data);
    expect(await receive('ticket:created', ticket)).toBe('done');
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
    const { inbox, outcomes, applied, failed, message, lines } = setUp();
    outcomes.storeDown = true;
    const messages = [
      message('ticket:created', ticket),
      message('expiration:complete', { orderId: ORDER }),
      message('payment:created', PAYMENT),
      message('ticket:created', 'bad'),
    ];
    expect(await Promise.all(messages.map(inbox.receive))).toEqual(['retry', 'retry', 'retry', 'retry']);
    expect(applied).toEqual([]);
    expect(failed.size).toBe(0);
    expect(lines.filter(([level]) => level !== 'debug')).toEqual([]);
  });

  it('keeps what it could not handle in flight for a moment, except a payment, for expiry waits for those', async () => {
    const { outcomes, pauses, receive } = setUp();
    outcomes.storeDown = true;
    await receive('payment:created', PAYMENT);
    expect(pauses).toEqual([]);
    await receive('ticket:created', ticket);
    expect(pauses).toEqual([1_000]);
  });

  it.each<[string, number, string, object]>([
    ['tickets', 2_048, 'ticket:updated', ticket],
    ['expiries', 256, 'expiration:complete', { orderId: ORDER }],
  ])('refuses %s at once that are more than it can have in flight: %d', async (_, most, subject, content) => {
    const { outcomes, verdicts, receive } = setUp();
    let goOn = (): void => {};
    outcomes.applying = outcomes.expiring = new Promise<void>((resolve) => (goOn = resolve));
    const inFlight = Array.from({ length: most }, () => receive(subject, content));

    expect(await receive(subject, content)).toBe('retry');
    expect(await receive('payment:created', PAYMENT)).toBe('done');
    goOn();

    expect(new Set(await Promise.all(inFlight))).toEqual(new Set(['done']));
    expect(verdicts().filter((verdict) => verdict === 'retry')).toHaveLength(1);
    expect(await receive(subject, content)).toBe('done');
  });

  it('takes expiries while it can take no more tickets', async () => {
    const { outcomes, receive } = setUp();
    let goOn = (): void => {};
    outcomes.applying = new Promise<void>((resolve) => (goOn = resolve));
    const inFlight = Array.from({ length: 2_048 }, () => receive('ticket:created', ticket));

    expect(await receive('ticket:updated', ticket)).toBe('retry');
    expect(await receive('expiration:complete', { orderId: ORDER })).toBe('done');
    goOn();
    await Promise.all(inFlight);
  });

  it('gives a payment that is on its way a moment before it lets a fresh expiry act, an old one none', async () => {
    const { clock, inbox, message, pauses } = setUp();
    const fresh = message('expiration:complete', { orderId: ORDER });
    await inbox.receive(fresh);
    await inbox.receive({ ...fresh, publishedAt: new Date(clock.now().getTime() - 9_999) });
    await inbox.receive({ ...fresh, publishedAt: new Date(clock.now().getTime() - 10_000) });
    await inbox.receive({ ...fresh, publishedAt: new Date(clock.now().getTime() + 10_000) });
    expect(pauses).toEqual([250, 250, 250]);
  });

  it('tells the catch-up of each payment before and after, and of one that could not be handled', async () => {
    const { outcomes, catchUpCalls, receive } = setUp();
    await receive('payment:created', PAYMENT);
    expect(catchUpCalls).toEqual(['received', 'in flight', 'left']);
    outcomes.storeDown = true;
    await receive('payment:created', PAYMENT);
    expect(catchUpCalls.slice(3)).toEqual(['received', 'in flight', 'left', 'postponed']);
  });
});

describe('a message about an unknown order', () => {
  it('is parked and acknowledged, and handled once its order is known', async () => {
    const { clock, parked, outcomes, failed, receive } = setUp();
    outcomes.complete = 'unknown-order';
    const paidAt = clock.now();
    expect(await receive('payment:created', PAYMENT)).toBe('done');
    expect(failed.size).toBe(1);
    parked.start();
    await clock.advance(3_000);
    expect(failed.size).toBe(1);
    outcomes.complete = 'done';
    await clock.advance(600_000);
    expect(failed.size).toBe(0);
    const payment = { id: 'p', stripeId: 's', at: paidAt };
    expect(outcomes.paid.at(-1)).toEqual({ orderId: ORDER, payment, cause: FIRST_PAYMENT });
    await parked.stop();
  });

  it('is parked as well when it is an expiry', async () => {
    const { outcomes, failed, verdicts, receive } = setUp();
    outcomes.expire = 'unknown-order';
    expect(await receive('expiration:complete', { orderId: ORDER })).toBe('done');
    expect(verdicts()).toEqual(['park']);
    expect([...failed.values()]).toEqual([expect.objectContaining({ reason: `no order ${ORDER}` })]);
  });
});

describe('the log of messages', () => {
  const common = {
    sequence: expect.any(Number) as number,
    redelivered: false,
    durationMs: expect.any(Number) as number,
  };

  it.each([
    ['ticket:created', ticket, { ticketId: ticket.id }],
    ['ticket:updated', ticket, { ticketId: ticket.id }],
    ['expiration:complete', { orderId: ORDER }, { orderId: ORDER }],
    ['payment:created', PAYMENT, { orderId: ORDER }],
  ])('says of %s that it was handled, and what it was about', async (subject, data, about) => {
    const { receive, lines } = setUp();
    expect(await receive(subject, data)).toBe('done');
    expect(lines).toEqual([['info', { ...common, subject, ...about, verdict: 'done' }, 'message handled']]);
  });

  it('warns of one that is put aside, with the reason', async () => {
    const { outcomes, receive, lines } = setUp();
    outcomes.complete = 'unknown-order';
    await receive('payment:created', PAYMENT);
    await receive('ticket:created', 'not json');
    const reason = `no order ${ORDER}`;
    expect(lines).toEqual([
      [
        'warn',
        { ...common, subject: 'payment:created', orderId: ORDER, verdict: 'park', reason },
        'message not handled',
      ],
      [
        'warn',
        { ...common, subject: 'ticket:created', verdict: 'reject', reason: 'is not JSON' },
        'message not handled',
      ],
    ]);
  });

  it('is quiet about one that comes again by itself', async () => {
    const { outcomes, receive, lines } = setUp();
    outcomes.expire = 'payments-behind';
    expect(await receive('expiration:complete', { orderId: ORDER })).toBe('retry');
    expect(lines).toEqual([
      [
        'debug',
        {
          ...common,
          subject: 'expiration:complete',
          orderId: ORDER,
          verdict: 'retry',
          reason: 'payments are not caught up',
        },
        'message not handled yet',
      ],
    ]);
  });

  it('tells of a mistake with the error and the message, and only there', async () => {
    const { outcomes, failed, receive, lines } = setUp();
    const mistake = new TypeError('a mistake');
    outcomes.complete = mistake;
    expect(await receive('payment:created', PAYMENT)).toBe('done');
    expect(lines[0]).toEqual([
      'error',
      { err: mistake, subject: 'payment:created', sequence: expect.any(Number), redelivered: false },
      'handling a message failed unexpectedly',
    ]);
    expect([...failed.values()]).toMatchObject([{ reason: 'an unexpected error; see the log' }]);
  });

  it('tells why a message could not be put aside, unless the database is unavailable', async () => {
    const { outcomes, receive, lines } = setUp();
    outcomes.put = new Unavailable('unavailable');
    expect(await receive('ticket:created', 'not json')).toBe('retry');
    expect(lines.map(([level, { reason }]) => [level, reason])).toEqual([
      ['debug', 'the failed message could not be stored'],
    ]);
    lines.length = 0;
    const mistake = new TypeError('a mistake');
    outcomes.put = mistake;
    expect(await receive('ticket:created', 'not json')).toBe('retry');
    expect(lines[0]).toEqual([
      'error',
      { err: mistake, subject: 'ticket:created', sequence: expect.any(Number), redelivered: false },
      'storing a failed message failed',
    ]);
  });
});

describe('a message', () => {
  it('is measured by how long handling it took, in seconds', async () => {
    const { clock, outcomes, receive, measured } = setUp();
    await clock.advance(60_000);
    outcomes.applying = new Promise((resolve) => void clock.after(1_500, resolve));
    const receiving = receive('ticket:created', ticket);
    await clock.advance(1_500);
    await receiving;
    expect(measured).toEqual([['ticket:created', 'done', 1.5]]);
  });

  it('is counted as a dead letter when it is wrong, not when it is early', async () => {
    const { outcomes, receive, deadLettered } = setUp();
    outcomes.complete = 'unknown-order';
    await receive('payment:created', PAYMENT);
    expect(deadLettered).toEqual([]);
    await receive('payment:created', 'not json');
    expect(deadLettered).toEqual(['payment:created']);
  });

  it('is tried again a second after it was parked', async () => {
    const { clock, outcomes, failed, receive } = setUp();
    outcomes.complete = 'unknown-order';
    const parkedAt = clock.now().getTime();
    await receive('payment:created', PAYMENT);
    expect([...failed.values()].map(({ retryAt, at }) => [retryAt?.getTime(), at.getTime()])).toEqual([
      [parkedAt + 1_000, parkedAt],
    ]);
  });

  it('of a subject that nobody subscribed to is put aside', async () => {
    const { failed, receive } = setUp();
    expect(await receive('order:created', {})).toBe('done');
    expect([...failed.values()]).toMatchObject([{ reason: 'no such subject: order:created' }]);
    expect([...failed.values()][0]).not.toHaveProperty('retryAt');
  });

  it('comes back from where it was put aside as it was, redelivered', async () => {
    const { clock, failed, receive } = setUp();
    await receive('ticket:created', '{"title":"ä€😀"');
    const publishedAt = clock.now();
    const one = { ...[...failed.values()][0]!, publishedAt };
    expect(toMessage(one)).toEqual({
      subject: 'ticket:created',
      sequence: 1,
      publishedAt,
      redelivered: true,
      data: Buffer.from('{"title":"ä€😀"'),
    });
    const bytes = Buffer.from([0xff, 0x00, 0xfe]);
    const encoded: FailedMessage = { ...one, data: bytes.toString('base64'), encoding: 'base64' };
    expect(toMessage(encoded).data).toEqual(bytes);
  });

  it.each([
    ['more before it', `x${ticket.id}`],
    ['more behind it', `${ticket.id}x`],
    ['23 characters', ticket.id.slice(1)],
  ])('is wrong where its id has %s', async (_, id) => {
    const { failed, receive } = setUp();
    await receive('ticket:created', { ...ticket, id });
    expect([...failed.values()]).toMatchObject([{ reason: 'id: must be 24 hexadecimal characters' }]);
  });

  it('names everything that is wrong with it, and of what is no object that', async () => {
    const { receive, reasons } = setUp();
    await receive('ticket:created', { ...ticket, id: 'x', version: -1 });
    await receive('ticket:created', '7');
    expect(reasons()).toEqual([
      expect.stringMatching(/^id: [^;]+; version: [^;]+$/),
      expect.not.stringMatching(/^:/),
    ]);
  });
});

describe('a payment that is heard', () => {
  it('keeps its order from expiring from the time on that the broker took it, whoever handles it', () => {
    const { clock, inbox, message, heard } = setUp();
    hearer(inbox.subscriptions)(message('payment:created', PAYMENT));
    expect(heard).toEqual([[ORDER, clock.now()]]);
  });

  it('means nothing where it cannot be read', () => {
    const { inbox, message, heard } = setUp();
    hearer(inbox.subscriptions)(message('payment:created', { ...PAYMENT, orderId: 'x' }));
    hearer(inbox.subscriptions)(message('payment:created', 'not json'));
    expect(heard).toEqual([]);
  });
});
