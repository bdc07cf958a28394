import { createCatchUp } from '../../src/application/catch-up';
import { createTestClock } from '../support/clock';

const ORDER = 'a'.repeat(24);

function setUp({ databaseReady = true } = {}) {
  const clock = createTestClock();
  const said: [level: string, fields: object, text: string][] = [];
  const say = (level: string) => (fields: object, text: string) => void said.push([level, fields, text]);
  const catchUp = createCatchUp({
    clock,
    databaseReady,
    catchUpSeconds: 15,
    hardLimitSeconds: 600,
    log: { info: say('info'), warn: say('warn') },
  });
  const warnings = () => said.flatMap(([level, , text]) => (level === 'warn' ? [text] : []));
  const paymentStampedAgo = (ms: number) => catchUp.paymentReceived(new Date(clock.now().getTime() - ms));
  const subscribed = () => {
    catchUp.subscriptionChanged('group')(true);
    catchUp.subscriptionChanged('watch')(true);
  };
  const caughtUp = async () => {
    subscribed();
    await clock.advance(15_000);
  };
  const mayExpireAfter = async (ms: number) => (await clock.advance(ms), catchUp.mayExpire(ORDER));
  return { clock, catchUp, subscribed, caughtUp, mayExpireAfter, said, warnings, paymentStampedAgo };
}

describe('an order may expire', () => {
  it('only after the payments subscription has been up for the whole time', async () => {
    const { catchUp, subscribed, mayExpireAfter } = setUp();
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    expect(await mayExpireAfter(60_000)).toBe(false);
    subscribed();
    expect(await mayExpireAfter(14_999)).toBe(false);
    expect(await mayExpireAfter(1)).toBe(true);
  });

  it('not while the subscription is down, and again only the whole time after it is back', async () => {
    const { catchUp, subscribed, caughtUp, mayExpireAfter } = setUp();
    await caughtUp();
    catchUp.subscriptionChanged('group')(false);
    catchUp.subscriptionChanged('watch')(false);
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    expect(await mayExpireAfter(3_600_000)).toBe(false);
    subscribed();
    expect(await mayExpireAfter(14_999)).toBe(false);
    expect(await mayExpireAfter(1)).toBe(true);
  });

  it.each(['group', 'watch'] as const)('only while it also has its %s subscription', async (missing) => {
    const { catchUp, caughtUp, mayExpireAfter } = setUp();
    await caughtUp();
    catchUp.subscriptionChanged(missing)(false);
    expect(await mayExpireAfter(3_600_000)).toBe(false);
    catchUp.subscriptionChanged(missing)(true);
    expect(await mayExpireAfter(15_000)).toBe(true);
  });

  it('not when a payment for it was heard, whoever is to handle it, before the hard limit', async () => {
    const { clock, catchUp, caughtUp, mayExpireAfter } = setUp();
    await caughtUp();
    catchUp.paymentHeard(ORDER, clock.now());
    expect(await mayExpireAfter(599_999)).toBe(false);
    expect(catchUp.mayExpire('b'.repeat(24))).toBe(true);
    expect(await mayExpireAfter(1)).toBe(true);
  });

  it('not until the whole time has passed since an old payment was heard', async () => {
    const { clock, catchUp, caughtUp, mayExpireAfter } = setUp();
    await caughtUp();
    catchUp.paymentHeard('b'.repeat(24), new Date(clock.now().getTime() - 15_001));
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    expect(await mayExpireAfter(15_000)).toBe(true);
  });

  it('not until the whole time has passed since the last old payment', async () => {
    const { catchUp, caughtUp, mayExpireAfter, paymentStampedAgo } = setUp();
    await caughtUp();
    paymentStampedAgo(15_001);
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    expect(await mayExpireAfter(14_999)).toBe(false);
    expect(await mayExpireAfter(1)).toBe(true);
  });

  it('at once while only fresh payments come', async () => {
    const { catchUp, caughtUp, paymentStampedAgo } = setUp();
    await caughtUp();
    paymentStampedAgo(15_000);
    expect(catchUp.mayExpire(ORDER)).toBe(true);
  });

  it('not while a payment that could not be handled is to come again', async () => {
    const { catchUp, caughtUp } = setUp();
    await caughtUp();
    catchUp.paymentPostponed();
    expect(catchUp.mayExpire(ORDER)).toBe(false);
  });

  it('not while a payment is to come again, however long everything was well before', async () => {
    const { clock, catchUp, subscribed, mayExpireAfter } = setUp();
    subscribed();
    await clock.advance(3_600_000);
    catchUp.paymentPostponed();
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    expect(await mayExpireAfter(15_000)).toBe(true);
  });

  it.each([
    ['while it ran', true],
    ['from its start on', false],
  ])('not when it was paid, however long the database was unavailable %s', async (_, databaseReady) => {
    const { clock, catchUp, subscribed, mayExpireAfter, warnings } = setUp({ databaseReady });
    subscribed();
    await clock.advance(60_000);
    catchUp.databaseChanged(false);
    catchUp.paymentHeard(ORDER, clock.now());
    for (let seconds = 0; seconds < 3_600; seconds += 5) {
      catchUp.paymentPostponed();
      await clock.advance(5_000);
      catchUp.paymentHeard('b'.repeat(24), clock.now());
    }
    catchUp.databaseChanged(true);
    expect(await mayExpireAfter(599_999)).toBe(false);
    expect(warnings()).toEqual([]);
    expect(await mayExpireAfter(1)).toBe(true);
  });

  it('not for all the time a payment could not be handled, until the database has been there for as long', async () => {
    const { clock, catchUp, caughtUp, mayExpireAfter } = setUp();
    await caughtUp();
    catchUp.databaseChanged(false);
    catchUp.paymentPostponed();
    await clock.advance(3_600_000);
    catchUp.databaseChanged(true);
    expect(await mayExpireAfter(14_999)).toBe(false);
    expect(await mayExpireAfter(1)).toBe(true);
  });

  it('not while a payment for it is in flight, whatever becomes of others', async () => {
    const { catchUp, caughtUp } = setUp();
    await caughtUp();
    const first = catchUp.paymentInFlight(ORDER);
    const second = catchUp.paymentInFlight(ORDER);
    first();
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    expect(catchUp.mayExpire('b'.repeat(24))).toBe(true);
    second();
    expect(catchUp.mayExpire(ORDER)).toBe(true);
  });

  it('after the hard limit each time that old payments never cease', async () => {
    const { clock, catchUp, subscribed, warnings, paymentStampedAgo } = setUp();
    subscribed();
    for (let time = 0; time < 2; time += 1) {
      await clock.advance(60_000);
      expect(catchUp.mayExpire(ORDER)).toBe(true);
      for (let seconds = 0; seconds < 600; seconds += 1) {
        paymentStampedAgo(60_000);
        expect(catchUp.mayExpire(ORDER)).toBe(false);
        await clock.advance(1_000);
      }
      expect(catchUp.mayExpire(ORDER)).toBe(true);
    }
    expect(warnings()).toHaveLength(2);
  });

  it('after the hard limit although old payments never cease, and says so', async () => {
    const { clock, catchUp, subscribed, mayExpireAfter, warnings, paymentStampedAgo } = setUp();
    subscribed();
    for (let seconds = 0; seconds < 599; seconds += 1) {
      await clock.advance(1_000);
      paymentStampedAgo(60_000);
    }
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    expect(await mayExpireAfter(1_000)).toBe(true);
    expect(warnings()).toEqual(['payments never caught up: orders expire anyway']);
  });
});

describe('what is remembered of payments that were heard', () => {
  it('is forgotten once it keeps no order from expiring any more', async () => {
    const { clock, catchUp, caughtUp } = setUp();
    const id = (n: number) => n.toString(16).padStart(24, '0');
    /** Whatever it keeps them in. */
    const memories = new Set<Map<unknown, unknown>>();
    const set = Map.prototype.set;
    const spy = jest.spyOn(Map.prototype, 'set').mockImplementation(function (
      this: Map<unknown, unknown>,
      key: unknown,
      value: unknown,
    ) {
      if (typeof key === 'string' && key.length === 24) memories.add(this);
      return set.call(this, key, value);
    });

    for (let n = 0; n < 10; n += 1) catchUp.paymentHeard(id(n), clock.now());
    const sizes = () => [...memories].map(({ size }) => size);
    expect(sizes()).toEqual([10]);
    await clock.advance(300_000);
    catchUp.paymentHeard(id(3), clock.now());
    await clock.advance(300_000);
    catchUp.paymentHeard(id(10), clock.now());
    spy.mockRestore();

    expect(sizes()).toEqual([2]);
    await caughtUp();
    expect([0, 3, 10].map((n) => catchUp.mayExpire(id(n)))).toEqual([true, false, false]);
  });
});

describe('what the log says of payments', () => {
  it('is once that they are caught up, and once more after each loss', async () => {
    const { catchUp, caughtUp, mayExpireAfter, said } = setUp();
    const line = ['info', {}, 'payments are caught up: orders may expire'];
    await caughtUp();
    for (let times = 0; times < 3; times += 1) expect(catchUp.mayExpire(ORDER)).toBe(true);
    expect(said).toEqual([line]);
    catchUp.subscriptionChanged('watch')(false);
    catchUp.subscriptionChanged('watch')(true);
    expect(await mayExpireAfter(15_000)).toBe(true);
    expect(said).toEqual([line, line]);
  });

  it('is after how long they never were', async () => {
    const { clock, catchUp, subscribed, said } = setUp();
    subscribed();
    for (let seconds = 0; seconds < 600; seconds += 10) {
      catchUp.paymentPostponed();
      await clock.advance(10_000);
    }
    expect(catchUp.mayExpire(ORDER)).toBe(true);
    expect(said).toEqual([['warn', { hardLimitSeconds: 600 }, expect.stringContaining('never caught up')]]);
  });
});
