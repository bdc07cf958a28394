import { PublishFailed } from '../../src/application/bus';
import type { Outbox, OutboxEvent, PublishingLease } from '../../src/application/ports';
import { ACK_TIMEOUT_MS, createRelay } from '../../src/application/relay';
import { createTestClock } from '../support/clock';
import { silentMetrics } from '../support/silent';

const ORDER = 'a'.repeat(24);
const LONG_MS = 60_000;

/** A relay whose outbox and broker say what they are told to, and write down what they are asked. */
function setUp(outboxOverrides: Partial<Outbox> = {}) {
  const clock = createTestClock();
  const asked: string[] = [];
  const logged: { level: string; fields: object; text: string }[] = [];
  const note = (level: string) => (fields: object, text: string) => void logged.push({ level, fields, text });
  const broker = {
    isUp: true,
    failure: undefined as PublishFailed | undefined,
    failsAt: '',
    wake() {},
  };
  const outbox: Outbox = {
    earliest: async (ticketId) => (asked.push(`earliest of ${ticketId}`), undefined),
    claimable: async () => (asked.push('claimable'), []),
    claim: async (orderId) => void asked.push(`claim ${orderId}`),
    markPublished: async ({ events, ...rest }, count, haste) => {
      asked.push(
        `mark ${events
          .slice(0, count)
          .map(({ seq }) => seq)
          .join()} ${haste}`,
      );
      return events.length > count ? { ...rest, events: events.slice(count) } : undefined;
    },
    release: async (_, delayMs, attempts) => void asked.push(`release for ${delayMs}, ${attempts} failed`),
    backlog: async () => ({ pending: 0 }),
    ...outboxOverrides,
  };
  const relay = createRelay({
    outbox,
    publisher: {
      available: () => broker.isUp,
      onAvailable: (listener) => (broker.wake = listener),
      async publish(subject, data) {
        asked.push(`publish ${subject} ${data}`);
        if (broker.failure) throw broker.failure;
        if (broker.failsAt === subject) throw new PublishFailed('refused', 'no');
      },
    },
    clock,
    metrics: silentMetrics,
    log: { debug: note('debug'), warn: note('warn'), error: note('error') },
  });
  const event = (seq: number): OutboxEvent => ({
    seq,
    subject: seq === 0 ? 'order:created' : 'order:cancelled',
    data: `data ${seq}`,
    at: clock.now(),
  });
  const lease = (overrides: Partial<PublishingLease> = {}): PublishingLease => ({
    orderId: ORDER,
    ticketId: 'ticket',
    turn: 0,
    events: [event(0)],
    attempts: 2,
    leaseUntil: clock.monotonic() + LONG_MS,
    ...overrides,
  });
  const publish = async (what: PublishingLease) => {
    relay.publish(what);
    await clock.advance(0);
  };
  return { clock, asked, logged, broker, relay, event, lease, publish };
}

describe('a lease', () => {
  it('is published event by event and marked at once, each event in the log', async () => {
    const { asked, logged, event, lease, publish } = setUp();
    await publish(lease({ events: [event(0), event(1)] }));
    expect(asked.slice(0, 3)).toEqual([
      `publish order:created data 0`,
      `publish order:cancelled data 1`,
      'mark 0,1 now',
    ]);
    expect(logged).toEqual(
      ['order:created', 'order:cancelled'].map((subject, seq) => ({
        level: 'debug',
        fields: { orderId: ORDER, seq, subject },
        text: 'event published',
      })),
    );
  });

  it.each([
    ['a creation, which nothing waits for, can wait', [0], ['mark 0 can wait']],
    [
      'a cancellation is at once, and the ticket’s next order follows',
      [1],
      ['mark 1 now', 'earliest of ticket'],
    ],
    ['both is at once too', [0, 1], ['mark 0,1 now', 'earliest of ticket']],
  ])('whose mark is of %s', async (_, seqs, expected) => {
    const { asked, event, lease, publish } = setUp();
    await publish(lease({ events: seqs.map(event) }));
    expect(asked.filter((what) => !what.startsWith('publish'))).toEqual(expected);
  });

  it('is given back as it is while the broker is unavailable', async () => {
    const { asked, broker, lease, publish } = setUp();
    broker.isUp = false;
    await publish(lease());
    expect(asked).toEqual(['release for 0, 2 failed']);
  });

  it('without events is nothing to publish', async () => {
    const { asked, lease, publish } = setUp();
    await publish(lease({ events: [] }));
    expect(asked).toEqual([]);
  });

  it('is given back as it is where the connection was lost, and with a pause where it was refused', async () => {
    const { asked, logged, broker, lease, publish } = setUp();
    broker.failure = new PublishFailed('disconnected', 'lost');
    await publish(lease());
    expect(asked.slice(1)).toEqual(['release for 0, 2 failed']);
    expect(logged).toEqual([]);

    broker.failure = new PublishFailed('refused', 'no');
    await publish(lease());
    expect(asked.slice(3)).toEqual(['release for 4000, 3 failed']);
    expect(logged).toEqual([
      {
        level: 'error',
        fields: { err: broker.failure, orderId: ORDER, seq: 0, attempts: 3, retryInMs: 4_000 },
        text: 'the broker did not acknowledge an event; it will be retried',
      },
    ]);
  });

  it.each([
    [1, 0, 'asks whether it is its turn', ['earliest of ticket']],
    [0, 0, 'needs not ask in the first turn', []],
    [1, 1, 'needs not ask after its first event', []],
  ])('in turn %i at event %i %s', async (turn, seq, _, expected) => {
    const { asked, event, lease, publish } = setUp({
      earliest: async (ticketId) => (asked.push(`earliest of ${ticketId}`), ORDER),
    });
    await publish(lease({ turn, events: [event(seq)] }));
    const published = asked.findIndex((what) => what.startsWith('publish'));
    expect(published).toBeGreaterThanOrEqual(0);
    expect(asked.slice(0, published)).toEqual(expected);
  });

  it('whose turn has not come is given back at once, and the earliest of the ticket is published', async () => {
    const { asked, lease, publish } = setUp({ earliest: async () => 'earlier' });
    await publish(lease({ turn: 1 }));
    expect(asked).toEqual(['release for 0, 2 failed', 'claim earlier']);
  });

  it('that fails in its second event marks the first, and gives the rest back', async () => {
    const { asked, broker, event, lease, publish } = setUp();
    broker.failsAt = 'order:cancelled';
    await publish(lease({ events: [event(0), event(1)] }));
    expect(asked.slice(2)).toEqual(['mark 0 now', 'release for 4000, 3 failed']);
  });

  it('whose lease comes to its end marks what was published, and publishes nothing more under it', async () => {
    const { asked, clock, event, lease, publish } = setUp();
    const running = lease({ events: [event(0), event(1)] });
    Object.defineProperty(running, 'leaseUntil', {
      get: () => clock.monotonic() + (asked.length === 0 ? LONG_MS : 0),
    });
    await publish(running);
    expect(asked).toEqual([`publish order:created data 0`, 'mark 0 now']);
  });

  it.each([
    [0, true],
    [-1, false],
  ])('is begun only with a whole acknowledgement left of its lease: %i ms more', async (more, isBegun) => {
    const { asked, clock, lease, publish } = setUp();
    await publish(lease({ leaseUntil: clock.monotonic() + ACK_TIMEOUT_MS + more }));
    expect(asked.length > 0).toBe(isBegun);
  });

  it('whose mark fails stops there, and it is said', async () => {
    const failure = new Error('no');
    const { logged, asked, lease, publish } = setUp({ markPublished: () => Promise.reject(failure) });
    await publish(lease());
    expect(asked).toHaveLength(1);
    expect(logged.at(-1)).toEqual({
      level: 'warn',
      fields: { err: failure, ticketId: 'ticket' },
      text: 'publishing stopped; it continues when the lease has run out',
    });
  });
});

describe('the relay', () => {
  it('looks for work as soon as the broker is available', async () => {
    const { asked, broker, clock, relay } = setUp();
    relay.start();
    broker.wake();
    await clock.advance(0);
    expect(asked).toEqual(['claimable']);
    await relay.stop();
  });

  it('claims what it is nudged about, unless the broker is unavailable', async () => {
    const { asked, broker, clock, relay } = setUp();
    relay.nudge({ orderId: ORDER, ticketId: 'ticket' });
    await clock.advance(0);
    expect(asked).toEqual([`claim ${ORDER}`]);
    broker.isUp = false;
    relay.nudge({ orderId: ORDER, ticketId: 'ticket' });
    await clock.advance(0);
    expect(asked).toHaveLength(1);
  });

  it('says when looking for work fails, and ends in order where the last look does', async () => {
    const failure = new Error('no');
    const { logged, clock, relay } = setUp({ claimable: () => Promise.reject(failure) });
    relay.start();
    await clock.advance(1_000);
    expect(logged).toEqual([
      {
        level: 'warn',
        fields: { err: failure },
        text: 'the search for events to publish failed and will be retried',
      },
    ]);
    await relay.stop();
    expect(logged.at(-1)).toEqual({
      level: 'warn',
      fields: { err: failure },
      text: 'the last search for events to publish failed; another replica will publish them',
    });
  });
});
