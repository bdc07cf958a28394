/** The local copy of a ticket. Ticket events carry the whole ticket, so only the newest version counts. */
export interface Ticket {
  /** 24 hexadecimal characters. */
  readonly id: string;
  readonly version: number;
  readonly title: string;
  readonly price: number;
  /** The seller. Not every ticket service sends one. */
  readonly userId?: string;
  /** The order for which the ticket service holds the ticket; it may belong to another service. */
  readonly orderId?: string;
}

/** Newest version wins: an update may arrive before its creation, twice, or long after its successor. */
export function supersedes(incoming: Ticket, stored: Ticket | undefined): boolean {
  return stored === undefined || incoming.version > stored.version;
}

/** In characters: a listing holds the titles of 200 orders. */
const LONGEST_TITLE = 1_000;
/** A price as text, as from a peer that passes on the value of a form. */
export const DECIMAL = /^\s*\d+(\.\d+)?\s*$/;

/** The first characters of a long title. */
export function shortened(title: string): string {
  return firstCharacters(title, LONGEST_TITLE);
}

/** Cuts no character in two: none is longer than two units. */
export function firstCharacters(text: string, longest: number): string {
  if (text.length <= longest) return text;
  return Array.from(text.slice(0, 2 * longest))
    .slice(0, longest)
    .join('');
}
