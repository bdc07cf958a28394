import { Command } from 'commander';
import type { OrderHistory } from '../application/operator-ports';
import type { Cause, RecordedChange } from '../application/ports';
import { replacementOf, type CancelReason, type Payment } from '../domain/order';
import { INJECTED_SEQUENCE } from '../messaging/injection';
import { JSON_OPTION, parseId, withExamples } from './arguments';
import type { CommandContext } from './context';
import { CommandFailed } from './exit-codes';
import { printable, printResult, table, type Column } from './output';
import { paidAt, textOfRefund } from './payments';

type Context = Pick<CommandContext, 'openDatabase' | 'output'>;

export function showCommand({ openDatabase, output }: Context): Command {
  const command = new Command('show')
    .description(
      'Shows the history of an order: each change with its cause, its payments and refunds, and its events with the ' +
        'times when they were published.',
    )
    .argument('<ID>', 'the id of the order', parseId)
    .option(...JSON_OPTION)
    .action(async (orderId: string, { json }: { json?: boolean }) => {
      const { orderHistory } = await openDatabase();
      const history = await orderHistory(orderId);
      if (!history) throw new CommandFailed(`there is no order ${orderId}`);
      const result = { ...history, changesNotRecorded: changesNotRecorded(history) };
      await printResult(output, result, { text: toText(history), json });
    });
  return withExamples(
    command,
    'orders show 65a1c0ffee00000000000001',
    'orders show 65a1c0ffee00000000000001 --json',
  );
}

/**
 * Orders of earlier releases have no records; those that were changed since have some. What happened to an order before
 * its import is not a change of this service.
 */
function changesNotRecorded({ order, changes }: OrderHistory): number {
  return order.version - (importOf(changes)?.version ?? 0) + 1 - changes.length;
}

/** The first record of an imported order. */
function importOf([first]: OrderHistory['changes']): RecordedChange | undefined {
  return first?.cause.type === 'import' ? first : undefined;
}

function toText(history: OrderHistory): string {
  const { order, turn, publishing, imported } = history;
  const { ticket, reason } = order;
  const facts = [
    `Order    ${order.id}`,
    `Status   ${order.status}${reason ? ` (${textOfReason(reason, imported)})` : ''}, version ${order.version}`,
    `User     ${printable(order.userId)}`,
    `Ticket   ${ticket.id}, turn ${turn}, price ${ticket.price}, ${printable(ticket.title)}`,
    `Created  ${order.createdAt.toISOString()}`,
    `Expires  ${order.expiresAt.toISOString()}`,
  ];
  const missing = changesNotRecorded(history);
  const first = importOf(history.changes);
  const notes = [
    ...(first
      ? [
          `The order was imported with version ${first.version}. Changes and payments from before are known to the earlier service only.`,
        ]
      : []),
    ...(missing > 0 ? [`Changes whose cause was not recorded, by an earlier release: ${missing}.`] : []),
    ...(publishing.attempts > 0
      ? [`Publishing failed ${publishing.attempts} times and is tried again.`]
      : []),
    ...(publishing.owner ? [`The publishing lease is held by ${printable(publishing.owner)}.`] : []),
  ];
  const rows = order.payments.map((payment) => ({
    ...payment,
    receivedAs: replacementOf(order, payment)?.id,
  }));
  const payments =
    rows.length === 0 ? `No payments${first ? ' since the import' : ''}.` : table(rows, PAYMENT_COLUMNS);
  return [facts.join('\n'), table(timeline(history), TIMELINE_COLUMNS), payments, ...notes].join('\n\n');
}

interface Entry {
  readonly at: Date;
  readonly what: string;
  readonly detail: string;
}

const TIMELINE_COLUMNS: readonly Column<Entry>[] = [
  { title: 'TIME', cell: ({ at }) => at },
  { title: 'WHAT', cell: ({ what }) => what },
  { title: 'CAUSE, OR WHEN IT WAS PUBLISHED', cell: ({ detail }) => detail },
];

/** `receivedAs`: of a placeholder, the payment that was received in its place. */
type PaymentRow = Payment & { readonly receivedAs: string | undefined };

const PAYMENT_COLUMNS: readonly Column<PaymentRow>[] = [
  { title: 'PAYMENT', cell: ({ id }) => id },
  { title: 'CHARGE', cell: ({ stripeId }) => stripeId },
  { title: 'PAID AT', cell: paidAt },
  { title: 'STATE', cell: stateOf },
];

/** Changes and events in the order of their time; each change comes before its events. */
export function timeline({ order, changes, events, imported }: OrderHistory): Entry[] {
  const placed = importOf(changes)
    ? { what: 'place', detail: 'by the earlier service' }
    : { what: 'place: created, version 0', detail: 'not recorded' };
  const isPlacedHere = changes.some(({ input, cause }) => input === 'place' && cause.type !== 'import');
  return [
    ...(isPlacedHere ? [] : [{ at: order.createdAt, ...placed }]),
    ...changes.map(({ at, input, status, version, cause }) => ({
      at,
      what: `${cause.type === 'import' ? 'import' : input}: ${status}, version ${version}`,
      detail: textOf(cause, imported),
    })),
    ...events.map(({ at, seq, subject, isPublished, publishedAt }) => ({
      at,
      what: `event ${seq}: ${subject}`,
      detail: publishedAt
        ? `published ${publishedAt.toISOString()}`
        : isPublished
          ? 'published; when was not recorded'
          : 'not published yet',
    })),
  ].sort((a, b) => a.at.getTime() - b.at.getTime());
}

function textOfReason(reason: CancelReason, imported: OrderHistory['imported']): string {
  return imported?.conflictWith === undefined ? reason : textOfConflict(imported.conflictWith);
}

function textOfConflict(keptOrderId: string): string {
  return `by the import: order ${keptOrderId} keeps the ticket`;
}

function textOf(cause: Cause, imported: OrderHistory['imported']): string {
  switch (cause.type) {
    case 'request':
      return `request ${cause.requestId}`;
    case 'message': {
      const isInjected = cause.sequence === INJECTED_SEQUENCE;
      return isInjected
        ? `injected message ${cause.subject}`
        : `message ${cause.subject}, sequence ${cause.sequence}`;
    }
    case 'sweep':
      return 'sweep: the order was overdue';
    case 'operator':
      return `operator: ${cause.reason}`;
    case 'import':
      return imported?.conflictWith === undefined
        ? 'the order is as the earlier service had it'
        : `cancelled ${textOfConflict(imported.conflictWith)}`;
  }
}

function stateOf(payment: PaymentRow): string {
  const { refund, refunded, sameAs, receivedAs } = payment;
  if (receivedAs !== undefined) return `received as ${receivedAs}`;
  if (sameAs !== undefined) return `another id of ${sameAs}`;
  if (refunded) return `refunded ${refunded.at.toISOString()}, ${refunded.reference}`;
  return refund === undefined ? 'kept' : `to be refunded: ${textOfRefund(payment)}`;
}
