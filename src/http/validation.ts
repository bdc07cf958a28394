import type { Request, RequestHandler } from 'express';
import {
  checkSchema,
  matchedData,
  validationResult,
  type ParamSchema,
  type Schema,
  type ValidationError,
} from 'express-validator';
import { ORDER_STATUSES, type OrderStatus } from '../domain/order';
import { decodeCursor, type Position } from './cursor';
import { readIfMatch } from './entity-tags';
import { problem, sendProblem, type ProblemError } from './problems';

/** How long a request may wait for a change of its order. */
export const LONGEST_WAIT_SECONDS = 30;
const MOST_PER_PAGE = 200;
const DEFAULT_PER_PAGE = 100;
/** How many unknown fields are named. */
const MOST_NAMED = 10;
const LONGEST_NAME = 100;

const IDEMPOTENCY_KEY = 'Idempotency-Key';
const IF_MATCH = 'If-Match';
const HEADERS = [IDEMPOTENCY_KEY, IF_MATCH];
/** Visible ASCII; the quotes of a structured header are part of the key. */
const KEY_PATTERN = /^[\x21-\x7e]{1,255}$/;
const ID_PATTERN = /^[0-9a-f]{24}$/i;

// A value may have any type here, and the other validators check the elements of arrays: so the text check comes first.
const text = { isString: { bail: true } } as const;
const id = { ...text, matches: { options: ID_PATTERN, bail: true }, toLowerCase: true } as const;

const TICKET_ID_MESSAGE = 'ticketId must be 24 hexadecimal characters';

const placing: Schema = {
  ticketId: { in: 'body', errorMessage: TICKET_ID_MESSAGE, ...id },
  price: {
    in: 'body',
    errorMessage: 'price must be a number from 0',
    optional: true,
    custom: { options: (value: unknown) => Number.isFinite(value) && (value as number) >= 0 },
  },
  [IDEMPOTENCY_KEY.toLowerCase()]: {
    in: 'headers',
    errorMessage: `${IDEMPOTENCY_KEY} must be 1 to 255 visible ASCII characters`,
    optional: true,
    ...text,
    matches: { options: KEY_PATTERN },
  },
};

const one: Schema = {
  orderId: { in: 'params', errorMessage: 'orderId must be 24 hexadecimal characters', ...id },
};

const showing: Schema = { ...one, wait: wholeNumber('wait', LONGEST_WAIT_SECONDS) };

const cancelling: Schema = {
  ...one,
  [IF_MATCH.toLowerCase()]: {
    in: 'headers',
    errorMessage: `${IF_MATCH} must be * or tags in double quotes, as an ETag is`,
    optional: true,
    ...text,
    custom: { options: (value: string) => readIfMatch(value) !== undefined, bail: true },
    customSanitizer: { options: readIfMatch },
  },
};

const listing: Schema = {
  ticketId: { in: 'query', errorMessage: TICKET_ID_MESSAGE, optional: true, ...id },
  status: {
    in: 'query',
    errorMessage: `status must be one of ${ORDER_STATUSES.join(', ')}; it may be repeated`,
    optional: true,
    custom: { options: (value: unknown) => [value].flat().every(isStatus), bail: true },
    customSanitizer: { options: (value: OrderStatus | OrderStatus[]) => [...new Set([value].flat())] },
  },
  total: {
    in: 'query',
    errorMessage: 'total must be true or false',
    optional: true,
    ...text,
    isIn: { options: [['true', 'false']], bail: true },
    customSanitizer: { options: (value: string) => value === 'true' },
  },
  limit: wholeNumber('limit', MOST_PER_PAGE),
  cursor: {
    in: 'query',
    errorMessage: 'cursor must be one that a listing returned',
    optional: true,
    ...text,
    custom: { options: (value: string) => decodeCursor(value) !== undefined, bail: true },
    customSanitizer: { options: decodeCursor },
  },
};

/** Each refuses with 400 what its reader below cannot read. */
export const validatePlacing = validate(placing, ({ body }) =>
  unknownBodyFields(body, ['ticketId', 'price']),
);
export const validateShowing = validate(showing);
export const validateCancelling = validate(cancelling);
export const validateListing = validate(listing);

export function readPlacing(req: Request): { ticketId: string; price?: number; idempotencyKey?: string } {
  const data = matchedData<{ ticketId: string; price?: number; 'idempotency-key'?: string }>(req);
  const { 'idempotency-key': idempotencyKey, ...body } = data;
  return { ...body, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) };
}

export function readOrderId(req: Request): string {
  return matchedData<{ orderId: string }>(req).orderId;
}

export function readWait(req: Request): number | undefined {
  return matchedData<{ wait?: number }>(req).wait;
}

export function readCancelling(req: Request): { versions?: readonly number[] } {
  const { 'if-match': versions } = matchedData<{ 'if-match'?: 'any' | readonly number[] }>(req);
  return versions === undefined || versions === 'any' ? {} : { versions };
}

/** What a listing is asked for. */
export interface Listing {
  readonly ticketId?: string;
  readonly statuses?: readonly OrderStatus[];
  readonly withTotal?: boolean;
  readonly limit: number;
  readonly after?: Position;
}

export function readListing(req: Request): Listing {
  const { ticketId, status, total, limit, cursor } = matchedData<{
    ticketId?: string;
    status?: OrderStatus[];
    total?: boolean;
    limit?: number;
    cursor?: Position;
  }>(req);
  return {
    limit: limit ?? DEFAULT_PER_PAGE,
    ...(ticketId === undefined ? {} : { ticketId }),
    ...(status === undefined ? {} : { statuses: status }),
    ...(total === true ? { withTotal: true } : {}),
    ...(cursor === undefined ? {} : { after: cursor }),
  };
}

function isStatus(value: unknown): boolean {
  return (ORDER_STATUSES as readonly unknown[]).includes(value);
}

function wholeNumber(name: string, max: number): ParamSchema {
  return {
    in: 'query',
    errorMessage: `${name} must be a whole number from 1 to ${max}`,
    optional: true,
    ...text,
    isInt: { options: { min: 1, max, allow_leading_zeroes: false }, bail: true },
    toInt: true,
  };
}

function validate(
  schema: Schema,
  unknownElsewhere: (req: Request) => ProblemError[] = () => [],
): RequestHandler {
  const chains = checkSchema(schema);
  const inQuery = Object.keys(schema).filter((name) => schema[name]?.in === 'query');
  const invalid = problem('invalid-request');
  return async function validateHandler(req, res, next) {
    await chains.run(req);
    const errors = [
      ...validationResult(req).array().map(toProblemError),
      ...unknownElsewhere(req),
      ...unknownFields(req.query, inQuery),
    ];
    if (errors.length === 0) next();
    else sendProblem(res, { ...invalid, errors });
  };
}

function toProblemError(error: ValidationError): ProblemError {
  const message = String(error.msg);
  if (error.type !== 'field') return { message };
  return { message, field: HEADERS.find((name) => name.toLowerCase() === error.path) ?? error.path };
}

function unknownBodyFields(body: unknown, known: readonly string[]): ProblemError[] {
  if (body === undefined) return [];
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return [{ message: 'The body must be a JSON object', field: 'body' }];
  }
  return unknownFields(body, known);
}

/**
 * Replaces express-validator's checkExact(), which looks names up in a plain object: that accepts `constructor` and
 * `__proto__` as known fields, and throws if such a field is null.
 */
function unknownFields(fields: object, known: readonly string[]): ProblemError[] {
  return Object.keys(fields)
    .filter((name) => !known.includes(name))
    .slice(0, MOST_NAMED)
    .map((name) => name.slice(0, LONGEST_NAME))
    .map((field) => ({ message: `${field} is not known here`, field }));
}
