/** Where a replica can be made to crash by itself. */
export const CRASH_POINTS = [
  'after an insert, before its publish',
  'after a change, before its publish',
  'after a publish, before its acknowledgement',
  'after an acknowledgement, before the bookkeeping',
  'after a consumer’s write, before its acknowledgement',
] as const;

export type CrashPoint = (typeof CRASH_POINTS)[number];
