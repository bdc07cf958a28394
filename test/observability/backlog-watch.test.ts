import { createBacklogWatch } from '../../src/observability/backlog-watch';
import { orderOf } from '../support/http-app';
import { createTestClock } from '../support/clock';

function setUp() {
  const clock = createTestClock();
  const seen: unknown[] = [];
  const said: [fields: object, text: string][] = [];
  const source = {
    backlog: { pending: 4, oldest: new Date(0) },
    failed: { parked: 3, dead: 7 },
    refunding: [
      orderOf({
        payments: [
          { id: 'kept', at: new Date(0) },
          { id: 'late', at: new Date(0), refund: 'late' },
          { id: 'paid back', at: new Date(0), refund: 'late', refunded: { at: new Date(0), reference: 'r' } },
        ],
      }),
    ],
    fails: false,
  };
  const watch = createBacklogWatch({
    outbox: {
      async backlog() {
        if (source.fails) throw new Error('unavailable');
        return Promise.resolve(source.backlog);
      },
    },
    failedMessages: { count: () => Promise.resolve(source.failed) },
    orders: { withOpenRefunds: () => Promise.resolve(source.refunding) },
    clock,
    metrics: {
      setBacklog: (backlog, now) => seen.push({ backlog, now }),
      setFailedMessages: (failed) => seen.push({ failed }),
      setOpenRefunds: (openRefunds) => seen.push({ openRefunds }),
    },
    log: { debug: (fields, text) => void said.push([fields, text]) },
  });
  return { clock, seen, said, source, watch };
}

describe('the watch over what waits', () => {
  it('measures it every ten seconds, by the time of the database', async () => {
    const { clock, seen, source, watch } = setUp();
    watch.start();
    await clock.advance(9_999);
    expect(seen).toEqual([]);
    await clock.advance(1);
    expect(seen).toEqual([
      { backlog: source.backlog, now: clock.now() },
      { failed: source.failed },
      { openRefunds: 1 },
    ]);
    await clock.advance(10_000);
    expect(seen).toHaveLength(6);
    await watch.stop();
    await clock.advance(60_000);
    expect(seen).toHaveLength(6);
  });

  it('goes on when it could not be measured, and is quiet about it', async () => {
    const { clock, seen, said, source, watch } = setUp();
    source.fails = true;
    watch.start();
    await clock.advance(10_000);
    expect(seen).toEqual([]);
    expect(said).toEqual([[{ err: new Error('unavailable') }, expect.stringMatching(/\w/)]]);
    source.fails = false;
    await clock.advance(10_000);
    expect(seen).toHaveLength(3);
    await watch.stop();
  });
});
