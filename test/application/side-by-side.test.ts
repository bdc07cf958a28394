import { createMemoryDatabase } from '../../src/adapters/memory/database';
import { createFailedMessages } from '../../src/adapters/memory/failed-messages';
import { createExpirySweep } from '../../src/application/expire-order';
import type { FailedMessage } from '../../src/application/failed-messages';
import { allOf, type Loop } from '../../src/application/schedule';
import { createParkedMessages } from '../../src/messaging/parked-messages';
import { createBacklogWatch } from '../../src/observability/backlog-watch';
import { createTestClock, type TestClock } from '../support/clock';
import { silentLog, silentMetrics } from '../support/silent';

const LONG_MS = 60_000;

/** A piece of work that ends when it is told to, beside one that fails at once. */
function createPieces() {
  let begun = 0;
  let finish = (): void => {};
  return {
    begun: () => begun,
    finish: () => finish(),
    fail: () => Promise.reject(new Error('no')),
    slow<T>(result: T): Promise<T> {
      begun += 1;
      return new Promise((resolve) => (finish = () => resolve(result)));
    },
  };
}

type Pieces = ReturnType<typeof createPieces>;

const one = (id: string): FailedMessage => ({
  id,
  subject: 'payment:created',
  sequence: 1,
  publishedAt: new Date(),
  data: id,
  reason: 'r',
  attempts: 1,
  at: new Date(),
});

/** Each runs pieces side by side, the failing one first. */
const LOOPS: Record<string, (pieces: Pieces, clock: TestClock) => Loop> = {
  'the expiry sweep': (pieces, clock) =>
    createExpirySweep({
      orders: { overdue: async () => ['failing', 'slow'] },
      expireOrder: (id) => (id === 'slow' ? pieces.slow('done') : pieces.fail()),
      clock,
      graceSeconds: 1,
      log: silentLog,
    }),
  'trying parked messages': (pieces, clock) =>
    createParkedMessages({
      failedMessages: {
        ...createFailedMessages(createMemoryDatabase(), clock),
        takeDue: async () => [one('failing'), one('slow')],
      },
      handle: ({ data }) => (data.toString() === 'slow' ? pieces.slow({ type: 'done' }) : pieces.fail()),
      clock,
      metrics: silentMetrics,
      log: silentLog,
    }),
  'counting what waits': (pieces, clock) =>
    createBacklogWatch({
      outbox: { backlog: pieces.fail },
      failedMessages: { count: () => pieces.slow({ parked: 0, dead: 0 }) },
      clock,
      orders: { withOpenRefunds: () => Promise.resolve([]) },
      metrics: { setBacklog() {}, setFailedMessages() {}, setOpenRefunds() {} },
      log: silentLog,
    }),
};

describe.each(Object.entries(LOOPS))('%s, of which one piece fails', (_, create) => {
  it('is one run until the others have ended, and is stopped only then', async () => {
    const clock = createTestClock();
    const pieces = createPieces();
    const loop = create(pieces, clock);
    loop.start();
    await clock.advance(LONG_MS);
    expect(pieces.begun()).toBe(1);

    let stopped = false;
    const stopping = loop.stop().then(() => (stopped = true));
    await clock.advance(LONG_MS);
    expect(stopped).toBe(false);
    pieces.finish();
    await stopping;
  });
});

describe('all of several pieces', () => {
  it('are what each of them came to', async () => {
    expect(await allOf([Promise.resolve(1), Promise.resolve('a')])).toEqual([1, 'a']);
  });

  it('are begun once, also where they begin when somebody waits for them', async () => {
    let begun = 0;
    const query = { then: (resolve: (value: string) => void) => ((begun += 1), resolve('found')) };
    expect(await allOf([query])).toEqual(['found']);
    expect(begun).toBe(1);
  });

  it('fail when all have ended, as the first in the list that failed', async () => {
    let ended = false;
    const last = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      ended = true;
      throw new Error('one');
    });
    await expect(allOf([last, Promise.reject(new Error('another'))])).rejects.toThrow('one');
    expect(ended).toBe(true);
  });
});
