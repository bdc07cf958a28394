export type Json = Record<string, unknown>;
/** What was looked for, else the reason why it is not there yet. */
export type Attempt = Json | string;

/** One request. */
export const REQUEST_MS = 5_000;
export const USER = 'smoke-test';

export function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // fetch says only that it failed, and its cause why.
  const { code } = (error.cause ?? {}) as { code?: string };
  return code === undefined ? error.message : `${error.message} (${code})`;
}
