import { loadConfig } from '../../src/config/load-config';
import { problemsOf } from './problems';

describe('times that do not fit each other', () => {
  it('are refused where a redelivery would outlast the catch-up', () => {
    expect(problemsOf({ CATCH_UP_SECONDS: '5', REDELIVERY_WAIT_SECONDS: '5' })).toEqual([
      expect.stringMatching(/^CATCH_UP_SECONDS: must be longer than REDELIVERY_WAIT_SECONDS/),
    ]);
    expect(problemsOf({ CATCH_UP_SECONDS: '6', REDELIVERY_WAIT_SECONDS: '5' })).toEqual([]);
  });

  it.each([{ CATCH_UP_LIMIT_SECONDS: '1' }, { CATCH_UP_LIMIT_SECONDS: '15' }, { CATCH_UP_SECONDS: '600' }])(
    'are refused where orders would expire before payments are caught up: %j',
    (env) => {
      expect(problemsOf(env)).toEqual([
        expect.stringMatching(/^CATCH_UP_LIMIT_SECONDS: must be longer than CATCH_UP_SECONDS/),
      ]);
    },
  );

  it('are a warning where the first late payment is not waited for as long as the others', () => {
    expect(loadConfig({ CATCH_UP_LIMIT_SECONDS: '16' }).warnings).toEqual(
      expect.arrayContaining([expect.stringMatching(/^CATCH_UP_LIMIT_SECONDS is shorter than twice/)]),
    );
    expect(loadConfig({ CATCH_UP_LIMIT_SECONDS: '30' }).warnings).toHaveLength(1);
  });

  it('are a warning where catching up takes longer than an order may stay unpaid', () => {
    const times = { EXPIRATION_WINDOW_SECONDS: '10', EXPIRATION_GRACE_SECONDS: '4' };
    expect(loadConfig(times).warnings).toEqual(
      expect.arrayContaining([expect.stringMatching(/^CATCH_UP_SECONDS is longer than EXPIRATION_WINDOW/)]),
    );
    expect(loadConfig({ ...times, EXPIRATION_GRACE_SECONDS: '5' }).warnings).toHaveLength(1);
  });
});
