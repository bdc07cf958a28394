import type { Types } from 'mongoose';
import { Unavailable, type TicketStore } from '../../application/ports';
import { supersedes, type Ticket } from '../../domain/ticket';
import type { MongoConnection } from './connection';
import { toObjectId, type Models, type TicketDocument } from './documents';
import { grouped } from './grouped';
import { insertEach } from './insert-each';

const LARGEST_GROUP = 500;

/** Local copies of tickets. The version is the ticket service's, so the guard is ours, not the plugin's. */
export function createTicketStore(
  { tickets }: Models,
  connection: Pick<MongoConnection, 'ask'>,
  confirmReads: () => Promise<void>,
): TicketStore {
  async function findAll(ids: readonly Types.ObjectId[]): Promise<(Ticket | undefined)[]> {
    const found = await tickets.collection.find<TicketDocument>({ _id: { $in: [...ids] } }).toArray();
    const byId = new Map(found.map((document) => [document._id.toHexString(), toTicket(document)]));
    return ids.map((id) => byId.get(id.toHexString()));
  }

  /** Most are new: only those that exist already need a second step. */
  async function applyAll(copies: readonly Ticket[]): Promise<undefined[]> {
    const newest = newestOfEach(copies);
    const existing = await insert(newest);
    if (existing.length > 0) await update(existing);
    return new Array<undefined>(copies.length).fill(undefined);
  }

  /** Resolves to those that existed before. */
  async function insert(copies: readonly Ticket[]): Promise<Ticket[]> {
    const outcomes = await insertEach(tickets.collection, copies.map(toDocument));
    if (outcomes.includes('unknown')) throw new Unavailable('whether the ticket was stored is not known');
    return copies.filter((_, index) => outcomes[index] === 'duplicate');
  }

  async function update(copies: readonly Ticket[]): Promise<void> {
    const { matchedCount } = await tickets.collection.bulkWrite(
      copies.map(toDocument).map(({ _id, ...fields }) => ({
        updateOne: { filter: { _id, version: { $lt: fields.version } }, update: { $set: fields } },
      })),
      { ordered: false },
    );
    // That a newer copy exists was only read: it must be durable before the acknowledgement.
    if (matchedCount < copies.length) await confirmReads();
  }

  const find = grouped(findAll, LARGEST_GROUP);
  const apply = grouped(applyAll, LARGEST_GROUP);
  return {
    find: (id) => connection.ask(() => find(toObjectId(id))),
    apply: (ticket) => connection.ask(() => apply(ticket)),
  };
}

function newestOfEach(copies: readonly Ticket[]): Ticket[] {
  const newest = new Map<string, Ticket>();
  for (const copy of copies) if (supersedes(copy, newest.get(copy.id))) newest.set(copy.id, copy);
  return [...newest.values()];
}

/** Absent fields are written as null, to replace those of an earlier version. */
export function toDocument({ id, version, title, price, userId, orderId }: Ticket): TicketDocument {
  const _id = toObjectId(id);
  return { _id, version, title, price, userId: userId ?? null, orderId: orderId ?? null };
}

export function toTicket({ _id, version, title, price, userId, orderId }: TicketDocument): Ticket {
  return {
    id: _id.toHexString(),
    version,
    title,
    price,
    ...(userId ? { userId } : {}),
    ...(orderId ? { orderId } : {}),
  };
}
