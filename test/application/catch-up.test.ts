import { createCatchUp } from '../../src/application/catch-up';
import { createTestClock } from '../support/clock';
import { silentLog } from '../support/silent';

const ORDER = 'a'.repeat(24);

function setUp({ databaseReady = true } = {}) {
  const clock = createTestClock();
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (_: object, text: string) => warnings.push(text) };
  const catchUp = createCatchUp({
    clock,
    databaseReady,
    catchUpSeconds: 15,
    hardLimitSeconds: 600,
    log,
  });
  const paymentStampedAgo = (ms: number) => catchUp.paymentReceived(new Date(clock.now().getTime() - ms));
  const subscribed = () => {
    catchUp.subscriptionChanged('group')(true);
    catchUp.subscriptionChanged('watch')(true);
  };
  return { clock, catchUp, subscribed, warnings, paymentStampedAgo };
}

describe('an order may expire', () => {
  it('only after the payments subscription has been up for the whole time', async () => {
    const { clock, catchUp, subscribed } = setUp();
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    await clock.advance(60_000);
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    subscribed();
    await clock.advance(14_999);
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    await clock.advance(1);
    expect(catchUp.mayExpire(ORDER)).toBe(true);
  });

  it('not while the subscription is down, and again only the whole time after it is back', async () => {
    const { clock, catchUp, subscribed } = setUp();
    subscribed();
    await clock.advance(15_000);
    catchUp.subscriptionChanged('group')(false);
    catchUp.subscriptionChanged('watch')(false);
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    await clock.advance(3_600_000);
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    subscribed();
    await clock.advance(14_999);
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    await clock.advance(1);
    expect(catchUp.mayExpire(ORDER)).toBe(true);
  });

  it.each(['group', 'watch'] as const)('only while it also has its %s subscription', async (missing) => {
    const { clock, catchUp, subscribed } = setUp();
    subscribed();
    await clock.advance(15_000);
    catchUp.subscriptionChanged(missing)(false);
    await clock.advance(3_600_000);
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    catchUp.subscriptionChanged(missing)(true);
    await clock.advance(15_000);
    expect(catchUp.mayExpire(ORDER)).toBe(true);
  });

  it('not when a payment for it was heard, whoever is to handle it, before the hard limit', async () => {
    const { clock, catchUp, subscribed } = setUp();
    subscribed();
    await clock.advance(15_000);
    catchUp.paymentHeard(ORDER, clock.now());
    await clock.advance(599_999);
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    expect(catchUp.mayExpire('b'.repeat(24))).toBe(true);
    await clock.advance(1);
    expect(catchUp.mayExpire(ORDER)).toBe(true);
  });

  it('not until the whole time has passed since an old payment was heard', async () => {
    const { clock, catchUp, subscribed } = setUp();
    subscribed();
    await clock.advance(15_000);
    catchUp.paymentHeard('b'.repeat(24), new Date(clock.now().getTime() - 15_001));
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    await clock.advance(15_000);
    expect(catchUp.mayExpire(ORDER)).toBe(true);
  });

  it('not until the whole time has passed since the last old payment', async () => {
    const { clock, catchUp, subscribed, paymentStampedAgo } = setUp();
    subscribed();
    await clock.advance(15_000);
    paymentStampedAgo(15_001);
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    await clock.advance(14_999);
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    await clock.advance(1);
    expect(catchUp.mayExpire(ORDER)).toBe(true);
  });

  it('at once while only fresh payments come', async () => {
    const { clock, catchUp, subscribed, paymentStampedAgo } = setUp();
    subscribed();
    await clock.advance(15_000);
    paymentStampedAgo(15_000);
    expect(catchUp.mayExpire(ORDER)).toBe(true);
  });

  it('not while a payment that could not be handled is to come again', async () => {
    const { clock, catchUp, subscribed } = setUp();
    subscribed();
    await clock.advance(15_000);
    catchUp.paymentPostponed();
    expect(catchUp.mayExpire(ORDER)).toBe(false);
  });

  it('not while a payment is to come again, however long everything was well before', async () => {
    const { clock, catchUp, subscribed } = setUp();
    subscribed();
    await clock.advance(3_600_000);
    catchUp.paymentPostponed();
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    await clock.advance(15_000);
    expect(catchUp.mayExpire(ORDER)).toBe(true);
  });

  it.each([
    ['while it ran', true],
    ['from its start on', false],
  ])('not when it was paid, however long the database was unavailable %s', async (_, databaseReady) => {
    const { clock, catchUp, subscribed, warnings } = setUp({ databaseReady });
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
    await clock.advance(599_999);
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    expect(warnings).toEqual([]);
    await clock.advance(1);
    expect(catchUp.mayExpire(ORDER)).toBe(true);
  });

  it('not for all the time a payment could not be handled, until the database has been there for as long', async () => {
    const { clock, catchUp, subscribed } = setUp();
    subscribed();
    await clock.advance(15_000);
    catchUp.databaseChanged(false);
    catchUp.paymentPostponed();
    await clock.advance(3_600_000);
    catchUp.databaseChanged(true);
    await clock.advance(14_999);
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    await clock.advance(1);
    expect(catchUp.mayExpire(ORDER)).toBe(true);
  });

  it('not while a payment for it is in flight, whatever becomes of others', async () => {
    const { clock, catchUp, subscribed } = setUp();
    subscribed();
    await clock.advance(15_000);
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
    expect(warnings).toHaveLength(2);
  });

  it('after the hard limit although old payments never cease, and says so', async () => {
    const { clock, catchUp, subscribed, warnings, paymentStampedAgo } = setUp();
    subscribed();
    for (let seconds = 0; seconds < 599; seconds += 1) {
      await clock.advance(1_000);
      paymentStampedAgo(60_000);
    }
    expect(catchUp.mayExpire(ORDER)).toBe(false);
    await clock.advance(1_000);
    expect(catchUp.mayExpire(ORDER)).toBe(true);
    expect(warnings).toEqual(['payments never caught up: orders expire anyway']);
  });
});
