import { wholeNumber, type Given } from './environment';

const seconds = (least: number) => wholeNumber(least, 365 * 24 * 3600);

const REDELIVERY = { REDELIVERY_WAIT_SECONDS: wholeNumber(1, 3600).default(5) };

// A payment taken at the last moment needs some time to arrive.
export const GRACE_SECONDS = seconds(1).default(60);

const EXPIRATION = {
  EXPIRATION_WINDOW_SECONDS: seconds(1).default(900),
  EXPIRATION_GRACE_SECONDS: GRACE_SECONDS,
  CATCH_UP_SECONDS: seconds(1).default(15),
  CATCH_UP_LIMIT_SECONDS: seconds(1).default(600),
};

/** Times that must be consistent, or orders paid in time expire. Undefined: at least one was refused. */
export function readTimes(given: Given) {
  const redelivery = given.read(REDELIVERY);
  const env = given.read(EXPIRATION);
  if (!redelivery || !env) return undefined;
  const expiration = {
    /** How long an order may stay unpaid. */
    windowSeconds: env.EXPIRATION_WINDOW_SECONDS,
    /** How long after that the sweep still waits for ExpirationComplete. */
    graceSeconds: env.EXPIRATION_GRACE_SECONDS,
    catchUpSeconds: env.CATCH_UP_SECONDS,
    catchUpLimitSeconds: env.CATCH_UP_LIMIT_SECONDS,
  };
  const times = { redeliveryWaitSeconds: redelivery.REDELIVERY_WAIT_SECONDS, expiration };
  checkPairs(given, times);
  return times;
}

function checkPairs(
  given: Given,
  { redeliveryWaitSeconds, expiration }: NonNullable<ReturnType<typeof readTimes>>,
): void {
  const { windowSeconds, graceSeconds, catchUpSeconds, catchUpLimitSeconds } = expiration;
  if (catchUpSeconds <= redeliveryWaitSeconds) {
    given.refuse(
      'CATCH_UP_SECONDS',
      'must be longer than REDELIVERY_WAIT_SECONDS, else a redelivery would be missed',
    );
  }
  if (catchUpLimitSeconds <= catchUpSeconds) {
    given.refuse(
      'CATCH_UP_LIMIT_SECONDS',
      'must be longer than CATCH_UP_SECONDS, else orders expire before their payments are caught up',
    );
  } else if (catchUpLimitSeconds < 2 * catchUpSeconds) {
    given.warn(
      'CATCH_UP_LIMIT_SECONDS is shorter than twice CATCH_UP_SECONDS: ' +
        'orders may expire before CATCH_UP_SECONDS have passed since the first late payment',
    );
  }
  if (catchUpSeconds > windowSeconds + graceSeconds) {
    given.warn(
      'CATCH_UP_SECONDS is longer than EXPIRATION_WINDOW_SECONDS and EXPIRATION_GRACE_SECONDS together: ' +
        'after each start and each reconnect no order expires for longer than it may stay unpaid',
    );
  }
}
