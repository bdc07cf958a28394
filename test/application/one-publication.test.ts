import type { Outbox, OutboxEvent, Publication } from '../../src/application/ports';
import { PublishFailed } from '../../src/application/ports';
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
  const broker = { isUp: true, failure: undefined as PublishFailed | undefined, wake: () => {} };
  const outbox: Outbox = {
    pendingBefore: async (ticketId, turn) => (asked.push(`earlier than ${ticketId} ${turn}`), []),
    claimable: async () => (asked.push('claimable'), []),
    claim: async (orderId) => void asked.push(`claim ${orderId}`),
    book: async ({ events: [first, ...others], ...rest }) => {
      asked.push(`book ${first?.seq}`);
      return others.length > 0 ? { ...rest, events: others } : undefined;
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
      async publish(subject, data, messageId) {
        asked.push(`publish ${subject} ${data} ${messageId}`);
        if (broker.failure) throw broker.failure;
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
  const publication = (overrides: Partial<Publication> = {}): Publication => ({
    orderId: ORDER,
    ticketId: 'ticket',
    turn: 0,
    events: [event(0)],
    attempts: 2,
    leaseUntil: clock.monotonic() + LONG_MS,
    ...overrides,
  });
  const publish = async (what: Publication) => {
    relay.publish(what);
    await clock.advance(0);
  };
  return { clock, asked, logged, broker, relay, event, publication, publish };
}

describe('a publication', () => {
  it('is published event by event, each booked before the next, and each in the log', async () => {
    const { asked, logged, event, publication, publish } = setUp();
    await publish(publication({ events: [event(0), event(1)] }));
    expect(asked).toEqual([
      `publish order:created data 0 ${ORDER}:0`,
      'book 0',
      `publish order:cancelled data 1 ${ORDER}:1`,
      'book 1',
    ]);
    expect(logged).toEqual(
      ['order:created', 'order:cancelled'].map((subject, seq) => ({
        level: 'debug',
        fields: { orderId: ORDER, seq, subject },
        text: 'event published',
      })),
    );
  });

  it('is given back as it is while the broker is unavailable', async () => {
    const { asked, broker, publication, publish } = setUp();
    broker.isUp = false;
    await publish(publication());
    expect(asked).toEqual(['release for 0, 2 failed']);
  });

  it('without events is nothing to publish', async () => {
    const { asked, publication, publish } = setUp();
    await publish(publication({ events: [] }));
    expect(asked).toEqual([]);
  });

  it('is given back as it is where the connection was lost, and with a pause where it was refused', async () => {
    const { asked, logged, broker, publication, publish } = setUp();
    broker.failure = new PublishFailed('disconnected', 'lost');
    await publish(publication());
    expect(asked.slice(1)).toEqual(['release for 0, 2 failed']);
    expect(logged).toEqual([]);

    broker.failure = new PublishFailed('refused', 'no');
    await publish(publication());
    expect(asked.slice(3)).toEqual(['release for 4000, 3 failed']);
    expect(logged).toEqual([
      {
        level: 'error',
        fields: { err: broker.failure, orderId: ORDER, seq: 0, attempts: 3, retryInMs: 4_000 },
        text: 'the broker did not take an event; it will be tried again',
      },
    ]);
  });

  it.each([
    [1, 0, 'asks whether earlier turns are out', ['earlier than ticket 1']],
    [0, 0, 'needs not ask in the first turn', []],
    [1, 1, 'needs not ask after its first event', []],
  ])('in turn %i at event %i %s', async (turn, seq, _, expected) => {
    const { asked, event, publication, publish } = setUp();
    await publish(publication({ turn, events: [event(seq)] }));
    expect(asked.filter((what) => what.startsWith('earlier'))).toEqual(expected);
    expect(asked.at(-1)).toBe(`book ${seq}`);
  });

  it.each([
    [500, 100],
    [5_000, 500],
    [50_000, 1_000],
  ])('that has waited for %i ms for its turn asks again after %i', async (ageMs, delayMs) => {
    const { asked, clock, event, publication, publish } = setUp({ pendingBefore: async () => ['earlier'] });
    const waiting = { ...event(0), at: new Date(clock.now().getTime() - ageMs) };
    await publish(publication({ turn: 1, events: [waiting] }));
    expect(asked).toEqual([`release for ${delayMs}, 2 failed`, 'claim earlier']);
  });

  it.each([
    [0, true],
    [-1, false],
  ])('is begun only with a whole acknowledgement left of its lease: %i ms more', async (more, isBegun) => {
    const { asked, clock, publication, publish } = setUp();
    await publish(publication({ leaseUntil: clock.monotonic() + ACK_TIMEOUT_MS + more }));
    expect(asked.length > 0).toBe(isBegun);
  });

  it('whose booking fails stops there, and it is said', async () => {
    const failure = new Error('no');
    const { logged, asked, publication, publish } = setUp({ book: () => Promise.reject(failure) });
    await publish(publication());
    expect(asked).toHaveLength(1);
    expect(logged.at(-1)).toEqual({
      level: 'warn',
      fields: { err: failure, orderId: ORDER },
      text: 'publishing stopped; it goes on when the lease has run out',
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
    relay.nudge(ORDER);
    await clock.advance(0);
    expect(asked).toEqual([`claim ${ORDER}`]);
    broker.isUp = false;
    relay.nudge(ORDER);
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
        text: 'looking for events to publish failed and will be tried again',
      },
    ]);
    await relay.stop();
    expect(logged.at(-1)).toEqual({
      level: 'warn',
      fields: { err: failure },
      text: 'the last look for events to publish failed; another replica will publish them',
    });
  });
});
