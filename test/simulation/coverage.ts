/** Everything that the seeds of one run together have to meet: a run that never meets it has not tried it. */
export const TO_BE_MET = [
  // The state table of an order.
  ...['cell: cancel × created → changed', 'cell: cancel × complete → refused'],
  ...['cell: cancel × cancelled → unchanged', 'cell: expire × created → changed'],
  ...['cell: expire × complete → unchanged', 'cell: expire × cancelled → unchanged'],
  ...['cell: pay × created → changed', 'cell: pay × complete → changed'],
  ...['cell: pay × complete → unchanged', 'cell: pay × cancelled → changed'],
  'cell: pay × cancelled → unchanged',
  // Answers.
  ...['place: placed', 'place: replayed', 'place: reserved', 'place: reserved-elsewhere'],
  ...[
    'place: too-many-open-orders',
    'place: key-reused',
    'place: unknown-ticket',
    'place: unavailable',
    'cancel: cancelled',
  ],
  ...['cancel: already-paid', 'cancel: not-found', 'cancel: unavailable'],
  // Where a replica crashes.
  ...['crash point: insertMany orders sent', 'crash point: insertMany orders done, not answered'],
  ...['crash point: updateOne orders sent', 'crash point: updateOne orders done, not answered'],
  ...['crash point: updateMany orders sent', 'crash point: updateMany orders done, not answered'],
  'crash point: findOneAndUpdate orders sent',
  'crash point: findOneAndUpdate orders done, not answered',
  'crash point: insertMany tickets done, not answered',
  'crash point: bulkWrite tickets done, not answered',
  ...['crash point: insertOne dead_letters done, not answered', 'crash point: publish sent'],
  ...['crash point: publish stored, not acknowledged', 'crash point: message in flight'],
  'crash point: message handled, not acknowledged',
  // What goes wrong.
  ...['crash: replica', 'crash: mongod', 'crash: mongod, with writes that are not journalled'],
  ...['crash: mongod, for longer than expiry waits', 'crash: broker', 'freeze: replica'],
  ...['freeze: replica, past its lease', 'freeze: mongod', 'outage', 'stop: replica'],
  ...['stop: all replicas', 'fault: refused', 'fault: answer lost of a read'],
  ...['fault: answer lost of a write', 'fault: write concern timed out', 'fault: late read'],
  ...['fault: late write', 'E11000 on orders _id', 'E11000 on orders ticket.id,turn'],
  ...[
    'E11000 on orders userId,openNumber,openTurn',
    'E11000 on orders idempotencyKey',
    'E11000 on tickets _id',
    'E11000 of an upsert on read_barriers',
  ],
  ...['fault: connection to the broker cut', 'fault: publish lost', 'fault: publish buffered'],
  ...['fault: publish answerLost', 'fault: publish lateAnswer', 'publish timed out'],
  ...['fault: message delivered twice', 'fault: message delayed', 'fault: acknowledgement lost'],
  ...['message delivered again', 'ExpirationComplete is lost', 'poison', 'sold elsewhere'],
  'one charge under two ids',
  // What messages get.
  ...['message: ticket:created done', 'message: ticket:updated done', 'message: ticket:updated retry'],
  ...['message: ticket:updated reject', 'message: payment:created done', 'message: payment:created retry'],
  ...['message: payment:created reject', 'message: expiration:complete done'],
  ...['message: expiration:complete retry', 'message: expiration:complete reject', 'order: expired'],
  ...['order: completed', 'retried: place', 'retried: change', 'retried: insert', 'retried: booking'],
  ...['refund: late', 'refund: second'],
] as const;

export interface Totals {
  readonly hits: Map<string, number>;
  readonly checked: Map<string, number>;
}

export function createTotals(): Totals {
  return { hits: new Map(), checked: new Map() };
}

export function add(to: Map<string, number>, from: ReadonlyMap<string, number>): void {
  for (const [what, count] of from) to.set(what, (to.get(what) ?? 0) + count);
}

/** What was never met. */
export function unmet({ hits }: Totals): readonly string[] {
  return TO_BE_MET.filter((what) => !hits.has(what));
}
