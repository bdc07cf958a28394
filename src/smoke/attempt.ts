export type Json = Record<string, unknown>;
/** The result, or the reason why there is none yet. */
export type Attempt = Json | string;

/** Timeout of one request. */
export const REQUEST_MS = 5_000;
export const USER = 'smoke-test';

export function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // The error of fetch has no details; its cause has.
  const { code } = (error.cause ?? {}) as { code?: string };
  return code === undefined ? error.message : `${error.message} (${code})`;
}
