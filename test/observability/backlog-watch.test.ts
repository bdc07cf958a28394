import { createBacklogWatch } from '../../src/observability/backlog-watch';
import { createTestClock } from '../support/clock';

function setUp() {
  const clock = createTestClock();
  const seen: unknown[] = [];
  const said: [fields: object, text: string][] = [];
  const source = {
    backlog: { pending: 4, oldest: new Date(0) },
    failed: { parked: 3, dead: 7 },
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
    clock,
    metrics: {
      setBacklog: (backlog, now) => seen.push({ backlog, now }),
      setFailedMessages: (failed) => seen.push({ failed }),
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
    expect(seen).toEqual([{ backlog: source.backlog, now: clock.now() }, { failed: source.failed }]);
    await clock.advance(10_000);
    expect(seen).toHaveLength(4);
    await watch.stop();
    await clock.advance(60_000);
    expect(seen).toHaveLength(4);
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
    expect(seen).toHaveLength(2);
    await watch.stop();
  });
});
