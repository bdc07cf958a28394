import { Unavailable } from '../../src/application/ports';
import type { FailedMessage, Message } from '../../src/application/ports';
import { toMessage } from '../../src/messaging/failed-messages';
import { createInbox } from '../../src/messaging/inbox';
import { createTestClock } from '../support/clock';
import { hearer, receiver } from '../support/subscriptions';

const ORDER = 'a'.repeat(24);
const TICKET = { id: 'b'.repeat(24), version: 0, title: 'Concert', price: 10, userId: 'seller' };
const PAYMENT = { id: 'p', orderId: ORDER, stripeId: 's' };

type Line = [level: string, fields: Record<string, unknown>, text: string];

/** An inbox whose use cases and store do what a test says. */
function setUp() {
  const clock = createTestClock();
  const lines: Line[] = [];
  const say = (level: string) => (fields: object, text: string) =>
    void lines.push([level, fields as Record<string, unknown>, text]);
  const failed: FailedMessage[] = [];
  const measured: [subject: string, verdict: string, seconds: number][] = [];
  const deadLettered: string[] = [];
  const heard: [orderId: string, at: Date][] = [];
  const does = {
    apply: async (): Promise<void> => {},
    expire: async (): Promise<'done' | 'payments-behind' | 'unknown-order'> => 'done',
    complete: async (): Promise<'done' | 'unknown-order'> => 'done',
    put: async (): Promise<void> => {},
  };
  const inbox = createInbox({
    tickets: { apply: () => does.apply() },
    expireOrder: () => does.expire(),
    completeOrder: () => does.complete(),
    catchUp: {
      subscriptionChanged: () => () => {},
      databaseChanged() {},
      paymentHeard: (orderId, at) => void heard.push([orderId, at]),
      paymentReceived() {},
      paymentPostponed() {},
      paymentInFlight: () => () => {},
      mayExpire: () => true,
    },
    failedMessages: {
      async put(one) {
        await does.put();
        failed.push(one);
      },
    },
    watchPaymentsSeconds: 60,
    clock,
    metrics: {
      messageHandled: (...what) => measured.push(what),
      deadLettered: (subject) => deadLettered.push(subject),
    },
    log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
  });
  const message = (subject: string, data: unknown): Message => ({
    subject,
    sequence: 7,
    publishedAt: clock.now(),
    redelivered: false,
    data: Buffer.from(typeof data === 'string' ? data : JSON.stringify(data)),
  });
  /** With time for what the inbox waits for. */
  const receive = async (subject: string, data: unknown) => {
    const received = receiver(inbox.subscriptions)(message(subject, data));
    await clock.advance(5_000);
    return received;
  };
  return { clock, inbox, does, lines, failed, measured, deadLettered, heard, message, receive };
}

describe('the log of messages', () => {
  const common = { sequence: 7, redelivered: false, durationMs: expect.any(Number) as number };

  it.each([
    ['ticket:created', TICKET, { ticketId: TICKET.id }],
    ['ticket:updated', TICKET, { ticketId: TICKET.id }],
    ['expiration:complete', { orderId: ORDER }, { orderId: ORDER }],
    ['payment:created', PAYMENT, { orderId: ORDER }],
  ])('says of %s that it was handled, and what it was about', async (subject, data, about) => {
    const { receive, lines } = setUp();
    expect(await receive(subject, data)).toBe('done');
    expect(lines).toEqual([['info', { ...common, subject, ...about, verdict: 'done' }, 'message handled']]);
  });

  it('warns of one that is put aside, with the reason', async () => {
    const { receive, does, lines } = setUp();
    does.complete = async () => 'unknown-order';
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
    const { receive, does, lines } = setUp();
    does.expire = async () => 'payments-behind';
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
    const { receive, does, lines, failed } = setUp();
    const mistake = new TypeError('a mistake');
    does.complete = () => Promise.reject(mistake);
    expect(await receive('payment:created', PAYMENT)).toBe('done');
    expect(lines[0]).toEqual([
      'error',
      { err: mistake, subject: 'payment:created', sequence: 7, redelivered: false },
      'handling a message failed unexpectedly',
    ]);
    expect(failed).toMatchObject([{ reason: 'an unexpected error; see the log' }]);
  });

  it('tells why a message could not be put aside, unless the database is unavailable', async () => {
    const { receive, does, lines } = setUp();
    does.put = () => Promise.reject(new Unavailable('unavailable'));
    expect(await receive('ticket:created', 'not json')).toBe('retry');
    expect(lines.map(([level, { reason }]) => [level, reason])).toEqual([
      ['debug', 'the failed message could not be stored'],
    ]);
    lines.length = 0;
    const mistake = new TypeError('a mistake');
    does.put = () => Promise.reject(mistake);
    expect(await receive('ticket:created', 'not json')).toBe('retry');
    expect(lines[0]).toEqual([
      'error',
      { err: mistake, subject: 'ticket:created', sequence: 7, redelivered: false },
      'storing a failed message failed',
    ]);
  });
});

describe('a message', () => {
  it('is measured by how long handling it took, in seconds', async () => {
    const { clock, receive, does, measured } = setUp();
    await clock.advance(60_000);
    does.apply = () => new Promise((resolve) => void clock.after(1_500, resolve));
    await receive('ticket:created', TICKET);
    expect(measured).toEqual([['ticket:created', 'done', 1.5]]);
  });

  it('is counted as a dead letter when it is wrong, not when it is early', async () => {
    const { receive, does, deadLettered } = setUp();
    does.complete = async () => 'unknown-order';
    await receive('payment:created', PAYMENT);
    expect(deadLettered).toEqual([]);
    await receive('payment:created', 'not json');
    expect(deadLettered).toEqual(['payment:created']);
  });

  it('is tried again a second after it was parked', async () => {
    const { clock, receive, does, failed } = setUp();
    does.complete = async () => 'unknown-order';
    const parkedAt = clock.now().getTime();
    await receive('payment:created', PAYMENT);
    expect(failed.map(({ retryAt, at }) => [retryAt?.getTime(), at.getTime()])).toEqual([
      [parkedAt + 1_000, parkedAt],
    ]);
  });

  it('of a subject that nobody subscribed to is put aside', async () => {
    const { receive, failed } = setUp();
    expect(await receive('order:created', {})).toBe('done');
    expect(failed).toMatchObject([{ reason: 'no such subject: order:created' }]);
    expect(failed[0]).not.toHaveProperty('retryAt');
  });

  it('comes back from where it was put aside as it was, redelivered', async () => {
    const { receive, failed, clock } = setUp();
    await receive('ticket:created', '{"title":"ä€😀"');
    const publishedAt = clock.now();
    const one = { ...failed[0]!, publishedAt };
    expect(toMessage(one)).toEqual({
      subject: 'ticket:created',
      sequence: 7,
      publishedAt,
      redelivered: true,
      data: Buffer.from('{"title":"ä€😀"'),
    });
    const bytes = Buffer.from([0xff, 0x00, 0xfe]);
    const encoded: FailedMessage = { ...one, data: bytes.toString('base64'), encoding: 'base64' };
    expect(toMessage(encoded).data).toEqual(bytes);
  });

  it.each([
    ['more before it', `x${TICKET.id}`],
    ['more behind it', `${TICKET.id}x`],
    ['23 characters', TICKET.id.slice(1)],
  ])('is wrong where its id has %s', async (_, id) => {
    const { receive, failed } = setUp();
    await receive('ticket:created', { ...TICKET, id });
    expect(failed).toMatchObject([{ reason: 'id: must be 24 hexadecimal characters' }]);
  });

  it('names everything that is wrong with it, and of what is no object that', async () => {
    const { receive, failed } = setUp();
    await receive('ticket:created', { ...TICKET, id: 'x', version: -1 });
    await receive('ticket:created', '7');
    expect(failed.map(({ reason }) => reason)).toEqual([
      expect.stringMatching(/^id: [^;]+; version: [^;]+$/),
      expect.not.stringMatching(/^:/),
    ]);
  });
});

describe('a payment that is heard', () => {
  it('keeps its order from expiring from the time on that the broker took it, whoever handles it', () => {
    const { inbox, heard, message, clock } = setUp();
    hearer(inbox.subscriptions)(message('payment:created', PAYMENT));
    expect(heard).toEqual([[ORDER, clock.now()]]);
  });

  it('means nothing where it cannot be read', () => {
    const { inbox, heard, message } = setUp();
    hearer(inbox.subscriptions)(message('payment:created', { ...PAYMENT, orderId: 'x' }));
    hearer(inbox.subscriptions)(message('payment:created', 'not json'));
    expect(heard).toEqual([]);
  });
});
