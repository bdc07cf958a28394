/** Makes this process's clock on the wall wrong, before anything else looks at it. */
const skewMs = Number(process.env['CHAOS_CLOCK_SKEW_MS'] ?? 0);

const RightDate = Date;
const now = (): number => RightDate.now() + skewMs;

if (skewMs !== 0) {
  // A proxy, for libraries ask what is called `Date` and what is an instance of it.
  globalThis.Date = new Proxy(RightDate, {
    // The date of a given moment is what it always was; only the present is wrong.
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget) as object,
    get: (target, key): unknown => (key === 'now' ? now : Reflect.get(target, key)),
  });
}
