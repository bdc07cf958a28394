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
