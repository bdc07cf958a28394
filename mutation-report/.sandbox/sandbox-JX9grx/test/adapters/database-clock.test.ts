import { createDatabaseClock } from '../../src/adapters/mongo/database-clock';

const BASE = Date.UTC(2026, 0, 1);

/** A database whose answers take as long as the test says. */
function setUp(roundTrips: { there: number; back: number }[]) {
  let elapsed = 0;
  let ahead = 0;
  const clock = createDatabaseClock({ monotonic: () => elapsed }, async () => {
    const { there, back } = roundTrips.shift() ?? { there: 0, back: 0 };
    elapsed += there;
    const time = new Date(BASE + elapsed + ahead);
    elapsed += back;
    return time;
  });
  return {
    clock,
    /** How far this process is from the database. */
    error: () => clock.now().getTime() - (BASE + elapsed + ahead),
    pass: (ms: number) => void (elapsed += ms),
    setDatabase: (ms: number) => void (ahead = ms),
  };
}

describe('database time', () => {
  it('is taken from the quickest of several answers', async () => {
    const { clock, error } = setUp([
      { there: 5, back: 400 },
      { there: 4, back: 6 },
      { there: 900, back: 0 },
    ]);
    await clock.synchronise();

    expect(Math.abs(error())).toBeLessThanOrEqual(1);
  });

  it('goes on with the monotonic clock, whatever is done to the clock of this machine', async () => {
    const { clock, error, pass } = setUp([]);
    await clock.synchronise();

    const spy = jest.spyOn(Date, 'now').mockReturnValue(0);
    pass(60_000);
    expect(error()).toBe(0);
    spy.mockRestore();
  });

  it("follows the database's clock when it is asked again", async () => {
    const { clock, error, setDatabase } = setUp([]);
    await clock.synchronise();
    setDatabase(-30_000);
    expect(error()).toBe(30_000);

    await clock.synchronise();

    expect(error()).toBe(0);
  });

  it('stays as it was when the database does not answer', async () => {
    let fails = false;
    const clock = createDatabaseClock({ monotonic: () => 0 }, async () => {
      if (fails) throw new Error('no answer');
      return new Date(BASE);
    });
    await clock.synchronise();
    fails = true;

    await expect(clock.synchronise()).rejects.toThrow('no answer');
    expect(clock.now()).toEqual(new Date(BASE));
  });
});
