import { z } from 'zod';
import { DECIMAL, shortened } from '../domain/ticket';

/**
 * The messages of peers. Unknown fields are ignored, so that peers may add some. Known fields must be valid, because a
 * wrong copy would be sold; other spellings of a value are accepted where nothing is lost by it.
 */

const id = z
  .string()
  .regex(/^[0-9a-fA-F]{24}$/, 'must be 24 hexadecimal characters')
  .transform((hex) => hex.toLowerCase());
/** In UTF-16 units: an order holds its payments' ids twice. */
const LONGEST_NAME = 255;
/** Ids must come back from the database unchanged: half a surrogate pair does not. */
const text = z
  .string()
  .min(1)
  .max(LONGEST_NAME)
  .regex(/^\P{Surrogate}*$/u, 'must be well-formed Unicode');

/** Null and an empty text count as absent. */
const optionalText = z
  .union([text, z.literal(''), z.null()], { error: 'must be a text' })
  .optional()
  .transform((value) => (value === null || value === '' ? undefined : value));
/** Any value means that the ticket is held: one that is no order id of ours counts as another service's order. */
const holder = z
  .unknown()
  .optional()
  .transform((value) => (value === undefined || value === null || value === '' ? undefined : nameOf(value)));
const amount = z.number().min(0);
/** A peer that passes on the value of a form sends text. */
const decimal = z.string().regex(DECIMAL).transform(Number).pipe(amount);
const price = z.union([amount, decimal], { error: 'must be a number from 0' });

export const ticketMessage = z
  .object({
    id: id.describe('The id of the ticket.'),
    version: z
      .int()
      .min(0)
      .describe('One higher with each change. The highest version that was received counts.'),
    title: z.string().transform(shortened).describe('Its first 1,000 characters are kept.'),
    price: price.describe('A number from 0. A decimal text is accepted too.'),
    userId: optionalText.describe('The seller. Null and an empty text count as absent.'),
    orderId: holder.describe('The order for which the ticket service holds the ticket, if it does.'),
  })
  .transform(withoutUndefined);

export const expirationMessage = z.object({
  orderId: id.describe('The order whose time to be paid is over.'),
});

export const paymentMessage = z
  .object({
    id: text.describe('The id of the payment: another one for each charge, the same when it is sent again.'),
    orderId: id.describe('The order that was paid.'),
    stripeId: optionalText.describe(
      "The provider's id of the charge, another one for each. Null and an empty text count as absent.",
    ),
  })
  .transform(withoutUndefined);

export type Parsed<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

/** Parses a message of this shape, or returns the reason why not, which names the field. */
export function parse<T>(schema: z.ZodType<T>, data: Buffer): Parsed<T> {
  const text = decodeUtf8(data);
  if (text === undefined) return { ok: false, reason: 'is not UTF-8' };
  const json = parseJson(text);
  if (json === undefined) return { ok: false, reason: 'is not JSON' };
  const result = schema.safeParse(json);
  if (result.success) return { ok: true, value: result.data };
  return { ok: false, reason: result.error.issues.map(describeIssue).join('; ') };
}

function nameOf(value: unknown): string {
  return (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, LONGEST_NAME);
}

function withoutUndefined<T extends object>(fields: T): { [Name in keyof T]: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
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

/** Whether messages of the subject are copies of tickets: concurrent ones are stored together. */
export function isOfTickets(subject: string): boolean {
  return subject.startsWith('ticket:');
}
