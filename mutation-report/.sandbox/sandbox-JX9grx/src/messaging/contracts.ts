import { z } from 'zod';

/**
 * What peers send. Fields that are not named here are ignored, so that peers may add some; what is named must be
 * right, for a wrong copy would be sold.
 */

const id = z
  .string()
  .regex(/^[0-9a-f]{24}$/i, 'must be 24 hexadecimal characters')
  .transform((hex) => hex.toLowerCase());
/** In UTF-16 units. An order holds its payments' ids twice, and a listing the titles of 200 orders. */
const LONGEST_NAME = 255;
const LONGEST_TITLE = 1_000;
/** What names something must come back from the database as it was: half a surrogate pair does not. */
const text = z
  .string()
  .min(1)
  .max(LONGEST_NAME)
  .regex(/^\P{Surrogate}*$/u, 'must be well-formed Unicode');

export const ticketMessage = z.object({
  id,
  version: z.int().min(0),
  title: z.string().max(LONGEST_TITLE),
  price: z.number().min(0),
  userId: text,
});

export const expirationMessage = z.object({ orderId: id });

export const paymentMessage = z.object({ id: text, orderId: id, stripeId: text });

/** Larger messages are not parsed: none of the contracts comes near it. In bytes. */
const LARGEST_MESSAGE = 64 * 1024;

export type Parsed<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

/** Bytes to a message of this shape, or why not, naming the field. */
export function parse<T>(schema: z.ZodType<T>, data: Buffer): Parsed<T> {
  if (data.length > LARGEST_MESSAGE) {
    return { ok: false, reason: `is larger than ${LARGEST_MESSAGE} bytes: ${data.length}` };
  }
  const text = decodeUtf8(data);
  if (text === undefined) return { ok: false, reason: 'is not UTF-8' };
  const json = parseJson(text);
  if (json === undefined) return { ok: false, reason: 'is not JSON' };
  const result = schema.safeParse(json);
  if (result.success) return { ok: true, value: result.data };
  return { ok: false, reason: result.error.issues.map(describeIssue).join('; ') };
}

/** Undefined for what is not UTF-8. */
export function decodeUtf8(data: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(data);
  } catch {
    return undefined;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function describeIssue({ path, message }: z.core.$ZodIssue): string {
  return path.length > 0 ? `${path.join('.')}: ${message}` : message;
}
