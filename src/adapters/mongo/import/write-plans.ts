import type { Collection, mongo } from 'mongoose';
import {
  ImportFailed,
  type ImportedOrder,
  type OrderWrite,
  type PlannedOrder,
  type TicketPlan,
  type TicketWrite,
} from '../../../application/import/ports';
import { toOutbox } from '../../../application/outbox-events';
import { NO_LEASE, toObjectId, toOrderDocument, type Models, type OrderDocument } from '../documents';
import { isDuplicateKey } from '../errors';
import { toDocument as toTicketDocument } from '../tickets';
import { MARGIN_MS } from './marker';
import { UNTOUCHED } from './stored';

type Operation = mongo.AnyBulkWriteOperation<mongo.BSON.Document>;

/**
 * Carries out plans. Each write is guarded by what was read. A crash in between leaves a part of it: the next import plans
 * from what it finds then.
 */
export async function writePlans(
  { orders, tickets }: Models,
  plans: readonly TicketPlan[],
  { now, hold }: { readonly now: Date; readonly hold: () => Promise<void> },
): Promise<void> {
  const writes = plans.flatMap(({ orderWrites }) => orderWrites);
  const run = async (collection: Collection, operations: readonly Operation[]): Promise<void> => {
    if (operations.length === 0) return;
    await hold();
    await writeAll(collection, operations);
  };
  // Their turns are free before other orders get them.
  await run(orders.collection, writes.flatMap(toRemoval));
  await run(
    orders.collection,
    writes.flatMap((write) => toWrite(write, now)),
  );
  const copies = plans.flatMap(({ ticketWrite }) => (ticketWrite ? [toTicketStep(ticketWrite)] : []));
  await run(tickets.collection, copies);
}

/** Ends while the lease is held: after that another import may plan from what it reads. */
async function writeAll(collection: Collection, operations: readonly Operation[]): Promise<void> {
  const options = { ordered: false, timeoutMS: MARGIN_MS };
  const result = await collection.bulkWrite([...operations], options).catch((error: unknown) => {
    throw isDuplicateKey(error) ? changedMeanwhile({ cause: error }) : error;
  });
  const done = result.insertedCount + result.matchedCount + result.deletedCount;
  if (done !== operations.length) throw changedMeanwhile();
}

function changedMeanwhile(options?: ErrorOptions): ImportFailed {
  return new ImportFailed(
    'this database was changed while orders were imported: stop every service that uses it, and import again',
    options,
  );
}

function toRemoval(write: OrderWrite): Operation[] {
  const isRemoved = write.type === 'remove' || write.type === 'store anew';
  return isRemoved ? [{ deleteOne: { filter: asRead(write.before) } }] : [];
}

function toWrite(write: OrderWrite, now: Date): Operation[] {
  switch (write.type) {
    case 'insert':
    case 'store anew':
      return [{ insertOne: { document: toDocument(write.planned, now) } }];
    case 'update': {
      const { planned, before } = write;
      return [{ updateOne: { filter: asRead(before), update: toUpdate(planned, before, now) } }];
    }
    case 'move':
      return [{ updateOne: { filter: asRead(write.before), update: { $set: { turn: write.turn } } } }];
    case 'remove':
      return [];
  }
}

function asRead({ order, turn, isAnnounced }: ImportedOrder): mongo.Filter<mongo.BSON.Document> {
  return {
    _id: toObjectId(order.id),
    version: order.version,
    turn,
    ...(isAnnounced === false && UNTOUCHED),
  };
}

function toDocument(planned: PlannedOrder, now: Date): OrderDocument {
  const { order, turn, conflictWith } = planned;
  const { version, status, payments } = order;
  const record = { version, status, input: 'place', cause: { type: 'import' }, at: now } as const;
  return {
    ...toOrderDocument(
      { order, turn, events: toOutbox(planned.events, 0, now), record },
      { leaseUntil: NO_LEASE, owner: null, since: now },
    ),
    ...(payments.length > 0 && { allRefunded: false }),
    imported: { version, ...(conflictWith && { conflictWith }) },
  };
}

/** The order is what the import makes of it. Only a cancellation that peers may have received stays as it is. */
function toUpdate(
  planned: PlannedOrder,
  before: ImportedOrder,
  now: Date,
): mongo.UpdateFilter<mongo.BSON.Document> {
  const { _id, outbox, publishing, ...fields } = toDocument(planned, now);
  const absent = (['reason', 'allRefunded'] as const).filter((field) => fields[field] === undefined);
  return {
    $set: { ...fields, ...(!before.isAnnounced && { outbox, publishing }) },
    ...(absent.length > 0 && { $unset: Object.fromEntries(absent.map((field) => [field, ''])) }),
  };
}

function toTicketStep(write: TicketWrite): Operation {
  const { _id, ...fields } = toTicketDocument(write.ticket);
  const document = { ...fields, imported: { version: fields.version } };
  if (write.type === 'insert') return { insertOne: { document: { _id, ...document } } };
  return { updateOne: { filter: { _id, version: write.before.ticket.version }, update: { $set: document } } };
}
