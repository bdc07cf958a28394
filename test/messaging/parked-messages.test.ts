import { connectMemoryStore, createMemoryDatabase } from '../../src/adapters/memory/store';
import type { FailedMessage } from '../../src/application/failed-messages';
import { createParkedMessages } from '../../src/messaging/parked-messages';
import type { Handled } from '../../src/messaging/handlers';
import { createTestClock } from '../support/clock';

const DONE: Handled = { type: 'done' };

function setUp(handle: (letterId: string) => Handled = () => DONE) {
  const clock = createTestClock();
  const store = connectMemoryStore(createMemoryDatabase(), { replicaId: 'r', clock, leaseMs: 1 });
  const { failedMessages } = store;
  const tried: { id: string; at: number }[] = [];
  const counted: string[] = [];
  const said: [level: string, fields: object, text: string][] = [];
  const say = (level: string) => (fields: object, text: string) => void said.push([level, fields, text]);
  const parked = createParkedMessages({
    failedMessages,
    async handle({ subject, sequence }) {
      const id = `${subject}:${sequence}`;
      tried.push({ id, at: clock.monotonic() });
      return Promise.resolve(handle(id));
    },
    clock,
    metrics: {
      retried: (operation) => counted.push(operation),
      deadLettered: (subject) => counted.push(`dead ${subject}`),
    },
    log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
  });
  const park = (sequence: number, parts: Partial<FailedMessage> = {}) =>
    failedMessages.put({
      id: `s:${sequence}`,
      subject: 's',
      sequence,
      publishedAt: clock.now(),
      data: '{}',
      reason: 'early',
      attempts: 1,
      retryAt: clock.now(),
      at: clock.now(),
      ...parts,
    });
  return { clock, failedMessages, parked, park, tried, counted, said };
}

describe('parked messages', () => {
  it('are all tried at once when they are due, however many', async () => {
    const { clock, failedMessages, parked, park, tried } = setUp();
    await Promise.all(Array.from({ length: 120 }, (_, i) => park(i + 1)));
    parked.start();
    await clock.advance(1_000);
    expect(new Set(tried.map(({ id }) => id)).size).toBe(120);
    expect(await failedMessages.count()).toEqual({ parked: 0, dead: 0 });
    await parked.stop();
  });

  it('are not looked for any more than once in a while where a poll takes fewer than it could', async () => {
    let polls = 0;
    const { clock, failedMessages, park } = setUp();
    await Promise.all(Array.from({ length: 49 }, (_, i) => park(i + 1)));
    const counting = createParkedMessages({
      failedMessages: {
        ...failedMessages,
        takeDue(until, limit) {
          polls += 1;
          return failedMessages.takeDue(until, limit);
        },
      },
      handle: () => Promise.resolve(DONE),
      clock,
      metrics: { retried() {}, deadLettered() {} },
      log: { debug() {}, info() {}, warn() {}, error() {} },
    });
    counting.start();
    await clock.advance(1_000);
    expect(polls).toBe(1);
    expect(await failedMessages.count()).toEqual({ parked: 0, dead: 0 });
    await counting.stop();
  });

  it('are kept from others while one replica tries them, and for no longer', async () => {
    const { clock, failedMessages, parked, park } = setUp(() => ({ type: 'retry', reason: 'unavailable' }));
    const claims: number[] = [];
    await park(1);
    const takeDue = failedMessages.takeDue.bind(failedMessages);
    jest.spyOn(failedMessages, 'takeDue').mockImplementation((until, limit) => {
      claims.push(until.getTime() - clock.now().getTime());
      return takeDue(until, limit);
    });
    parked.start();
    await clock.advance(1_000);
    expect(claims).toEqual([30_000]);
    await parked.stop();
  });

  it('are tried less and less often, every five minutes in the end, and are dead after the tenth attempt', async () => {
    const { clock, failedMessages, parked, park, tried, counted, said } = setUp(() => ({
      type: 'park',
      reason: 'still unknown',
    }));
    await park(1);
    parked.start();
    await clock.advance(30 * 60_000);

    const pauses = tried.slice(1).map(({ at }, index) => Math.round((at - tried[index]!.at) / 1_000));
    expect(pauses).toEqual([2, 4, 8, 16, 32, 64, 128, 256]);
    expect(await failedMessages.list(1)).toMatchObject([{ attempts: 10, reason: 'still unknown' }]);
    expect(await failedMessages.count()).toEqual({ parked: 0, dead: 1 });
    expect(counted).toEqual([...pauses.map(() => 'parked_message'), 'parked_message', 'dead s']);
    expect(said).toEqual([
      [
        'error',
        { messageId: 's:1', reason: 'still unknown', attempts: 10 },
        expect.stringContaining('waits for a replay'),
      ],
    ]);
    await parked.stop();
  });

  it('keep their attempts while they cannot be handled for want of the database', async () => {
    const { clock, failedMessages, parked, park } = setUp(() => ({ type: 'retry', reason: 'unavailable' }));
    await park(1, { attempts: 9 });
    parked.start();
    await clock.advance(900_000);
    expect(await failedMessages.list(1)).toMatchObject([{ attempts: 9, reason: 'unavailable' }]);
    expect(await failedMessages.count()).toEqual({ parked: 1, dead: 0 });
    await parked.stop();
  });

  it('are dead at once when they turn out to be wrong', async () => {
    const { clock, failedMessages, parked, park, counted } = setUp(() => ({
      type: 'reject',
      reason: 'wrong',
    }));
    await park(1);
    parked.start();
    await clock.advance(1_000);
    expect(await failedMessages.list(1)).toMatchObject([{ attempts: 2, reason: 'wrong' }]);
    expect(await failedMessages.count()).toEqual({ parked: 0, dead: 1 });
    expect(counted).toEqual(['parked_message', 'dead s']);
    await parked.stop();
  });

  it('are gone once they are handled, and that is said', async () => {
    const { clock, failedMessages, parked, park, said } = setUp();
    await park(1, { attempts: 3 });
    parked.start();
    await clock.advance(1_000);
    expect(await failedMessages.list(1)).toEqual([]);
    expect(said).toEqual([['info', { messageId: 's:1', attempts: 3 }, 'a parked message was handled']]);
    await parked.stop();
  });

  it('are looked for again after that failed, and it is said', async () => {
    const { clock, failedMessages, parked, park, tried, said } = setUp();
    await park(1);
    jest.spyOn(failedMessages, 'takeDue').mockRejectedValueOnce(new Error('a mistake'));
    parked.start();
    await clock.advance(1_000);
    expect(tried).toEqual([]);
    expect(said).toEqual([
      ['warn', { err: new Error('a mistake') }, expect.stringMatching(/will be retried$/)],
    ]);
    await clock.advance(1_000);
    expect(tried).toHaveLength(1);
    await parked.stop();
  });
});
