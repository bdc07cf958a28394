import { mongo } from 'mongoose';
import type { OldOrder, OldTicket, Refused, RefusedOrder } from '../../../application/import/ports';
import { ORDER_STATUSES } from '../../../domain/order';
import { DECIMAL, firstCharacters, shortened } from '../../../domain/ticket';
import { whyNoUserId } from '../../../domain/user-id';

export type Document = Readonly<Record<string, unknown>>;

const ORDER_FIELDS = ['_id', 'version', '__v', 'userId', 'status', 'expiresAt', 'ticket'];
/** In characters: of an id that is none, a status or the name of a field. */
const LONGEST_TEXT = 60;
const TICKET_FIELDS = ['_id', 'version', '__v', 'title', 'price'];

/** Whether the fields by which an order of such a system is known are there, whatever is in them. */
export function looksLikeOldOrder(document: Document): boolean {
  return ['userId', 'status', 'ticket'].every((field) => field in document) && !('turn' in document);
}

/** The id as text, if it is one. */
export function idOf(value: unknown): string | undefined {
  return value instanceof mongo.ObjectId ? value.toHexString() : undefined;
}

/**
 * The id of a ticket that an order names in another form: as text, in a document with it, or in a reference. The order is not
 * imported; its ticket is not free either.
 */
export function idInOtherForm(value: unknown): string | undefined {
  if (value instanceof mongo.DBRef) return textIdOf(value.oid);
  if (typeof value !== 'object' || value === null) return textIdOf(value);
  const { _id, id, $id } = value as Document;
  return textIdOf(_id) ?? textIdOf(id) ?? textIdOf($id);
}

function textIdOf(value: unknown): string | undefined {
  if (typeof value !== 'string') return idOf(value);
  return /^[0-9a-f]{24}$/i.test(value) ? value.toLowerCase() : undefined;
}

/** An order whose fields are all valid, or the first reason why not. */
export function readOldOrder(
  document: Document,
): { readonly order: OldOrder } | { readonly refused: RefusedOrder } {
  const { _id, userId, status, expiresAt, ticket } = document;
  const knownStatus = ORDER_STATUSES.find((known) => known === status);
  const refuse = (reason: string) => ({
    refused: {
      id: textOf(_id),
      reason,
      source: document,
      ...(knownStatus && { status: knownStatus }),
      mayHoldTicket: status !== 'cancelled',
    },
  });
  const id = idOf(_id);
  const version = versionOf(document);
  const noUser = userId === undefined || userId === null ? 'is missing' : whyUnreadable(userId);
  if (id === undefined) return refuse('_id: is not an ObjectId');
  if (ticket === undefined || ticket === null) return refuse('ticket: is missing');
  if (idOf(ticket) === undefined) return refuse('ticket: is not an ObjectId');
  if (noUser !== undefined) return refuse(`userId: ${noUser}`);
  if (knownStatus === undefined)
    return refuse(`status: ${status === undefined ? 'is missing' : `${jsonOf(status)} is not a known one`}`);
  if (typeof version !== 'number') return refuse(version.reason);
  const isMissing = expiresAt === undefined || expiresAt === null;
  if (!isMissing && !isTime(expiresAt)) return refuse('expiresAt: is not a date');
  return {
    order: {
      ...createdAs(id, _id),
      version,
      userId: userId as string,
      status: knownStatus,
      ...(isTime(expiresAt) && { expiresAt }),
      source: document,
    },
  };
}

/** The copy of a ticket, or why it is not valid. */
export function readOldTicket(
  document: Document,
): { readonly copy: OldTicket['copy'] & object } | { readonly refused: Refused } {
  const refuse = (reason: string) => ({ refused: { id: textOf(document['_id']), reason, source: document } });
  const id = idOf(document['_id']);
  const version = versionOf(document);
  const { title } = document;
  const given = document['price'];
  const price = typeof given === 'string' && DECIMAL.test(given) ? Number(given) : given;
  if (id === undefined) return refuse('_id: is not an ObjectId');
  if (typeof version !== 'number') return refuse(version.reason);
  if (typeof title !== 'string') return refuse('title: is not a text');
  if (typeof price !== 'number' || !Number.isFinite(price)) return refuse('price: is not a number');
  if (price < 0) return refuse('price: is below 0');
  return { copy: { id, version, title: shortened(title), price } };
}

export function unknownOrderFields(document: Document): string[] {
  return Object.keys(document)
    .filter((field) => !ORDER_FIELDS.includes(field))
    .map(cut);
}

export function unknownTicketFields(document: Document): string[] {
  return Object.keys(document)
    .filter((field) => !TICKET_FIELDS.includes(field))
    .map(cut);
}

/** Mongoose's own version key, where the plugin did not rename it. */
function versionOf({ version, __v }: Document): number | { reason: string } {
  const field = version === undefined ? '__v' : 'version';
  const value = version === undefined ? __v : version;
  if (value === undefined) return { reason: 'version: is missing' };
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    return { reason: `${field}: is not a whole number` };
  return value as number;
}

/** Bytes that are no text come from the driver as this character: the id would be another one. */
const REPLACEMENT = '\uFFFD';

function whyUnreadable(userId: unknown): string | undefined {
  if (typeof userId === 'string' && userId.includes(REPLACEMENT)) return 'is not well-formed Unicode';
  return whyNoUserId(userId);
}

function createdAs(id: string, _id: unknown): Pick<OldOrder, 'id' | 'createdAt'> {
  return { id, createdAt: (_id as mongo.ObjectId).getTimestamp() };
}

function isTime(value: unknown): value is Date {
  return value instanceof Date && !Number.isNaN(value.getTime());
}

function textOf(value: unknown): string {
  if (value instanceof mongo.ObjectId) return value.toHexString();
  return typeof value === 'string' ? cut(value) : jsonOf(value);
}

function jsonOf(value: unknown): string {
  return cut(mongo.BSON.EJSON.stringify(value));
}

/** The report has only the beginning; the file of what is not imported has the whole document. */
function cut(text: string): string {
  return text.length <= LONGEST_TEXT ? text : `${firstCharacters(text, LONGEST_TEXT)}…`;
}
