import type { Conflict, OrderOutcome } from '../application/import/ports';
import type { Counts, ImportReport, RejectedReason, UnimportedHolder } from '../application/import/report';
import { printable, table, type Column } from './output';

/** The report for people. `rejectedFile`: where all that is not imported stands. */
export function textOfReport(report: ImportReport, rejectedFile: string): string {
  const { conflicts, conflictsInTotal, unimportedHolders, unimportedHoldersInTotal, rejected } = report;
  return [
    report.dryRun ? 'Nothing was written. An import now would do this:' : 'The import is done.',
    table(
      [
        { what: 'orders', ...report.orders },
        { what: 'tickets', ...report.tickets },
      ],
      COUNT_COLUMNS,
    ),
    `Orders in the old database: ${listOf(report.statuses)}.`,
    ...section(
      rejected,
      `Not imported or removed, each with its document in ${placeOf(rejectedFile)}:`,
      REASON_COLUMNS,
    ),
    ...sentence('Decided here, because the old database does not say it', toWords(report.assumed)),
    ...sentence('Fields that are not imported, with the number of documents', report.unknownFields),
    ...section(
      conflicts.flatMap(toRows),
      `Tickets that several orders hold: ${conflictsInTotal}${listedOf(conflicts.length, conflictsInTotal)}`,
      CONFLICT_COLUMNS,
    ),
    ...section(
      unimportedHolders,
      `Tickets that an order holds which is not imported: ${unimportedHoldersInTotal}` +
        listedOf(unimportedHolders.length, unimportedHoldersInTotal),
      HOLDER_COLUMNS,
    ),
  ].join('\n\n');
}

const COUNT_COLUMNS: readonly Column<Counts & { what: string }>[] = [
  { title: '', cell: ({ what }) => what },
  { title: 'READ', cell: ({ read }) => read },
  { title: 'IMPORTED', cell: ({ imported }) => imported },
  { title: 'UPDATED', cell: ({ updated }) => updated },
  { title: 'UP TO DATE', cell: ({ upToDate }) => upToDate },
  { title: 'CHANGED HERE, KEPT', cell: ({ keptOurs }) => keptOurs },
  { title: 'NOT IMPORTED', cell: ({ rejected }) => rejected },
  { title: 'REMOVED', cell: ({ removed }) => removed },
];

const REASON_COLUMNS: readonly Column<RejectedReason>[] = [
  { title: 'COUNT', cell: ({ count }) => count },
  { title: 'OF', cell: ({ what }) => what },
  { title: 'REASON', cell: ({ reason }) => reason },
  { title: 'FOR EXAMPLE', cell: ({ examples }) => examples.slice(0, 3).join(', ') },
];

interface ConflictRow {
  readonly ticketId: string;
  readonly orderId?: string;
  readonly status?: string;
  readonly result: string;
}

const NO_KEEPER = 'CAN BE SOLD: the orders below hold it in the old system, and stay cancelled here';

function toRows({ ticketId, kept, others }: Conflict): ConflictRow[] {
  return [
    kept
      ? { ticketId, orderId: kept.id, status: kept.status, result: 'keeps the ticket' }
      : { ticketId, result: NO_KEEPER },
    ...others.map(({ id, status, result }) => ({ ticketId, orderId: id, status, result })),
  ];
}

const CONFLICT_COLUMNS: readonly Column<ConflictRow>[] = [
  { title: 'TICKET', cell: ({ ticketId }) => ticketId },
  { title: 'ORDER', cell: ({ orderId }) => orderId },
  { title: 'STATUS', cell: ({ status }) => status },
  { title: 'RESULT', cell: ({ result }) => result },
];

const HOLDER_COLUMNS: readonly Column<UnimportedHolder>[] = [
  { title: 'TICKET', cell: ({ ticketId }) => ticketId },
  { title: 'ORDERS', cell: ({ orderIds }) => orderIds.join(', ') },
  { title: 'FOR BUYERS', cell: forBuyers },
];

function forBuyers({ keptOrderId, isBlocked }: UnimportedHolder): string {
  if (keptOrderId !== undefined) return `held by order ${keptOrderId}`;
  if (isBlocked) return 'refused until the ticket service announces a newer version';
  return 'CAN BE SOLD: correct or cancel these orders in the old system, and import again';
}

function section<T>(rows: readonly T[], title: string, columns: readonly Column<T>[]): string[] {
  return rows.length === 0 ? [] : [`${title}\n${table(rows, columns)}`];
}

function sentence(title: string, counts: Readonly<Record<string, number>>): string[] {
  return Object.keys(counts).length === 0 ? [] : [`${title}: ${listOf(counts)}.`];
}

const ASSUMED = {
  expiryIsCreation: 'expiry is the creation',
  expiryFromOption: 'expiry from --expiry-seconds',
} satisfies Record<NonNullable<OrderOutcome['assumed']>, string>;

function toWords(assumed: ImportReport['assumed']): Record<string, number> {
  return Object.fromEntries(
    Object.entries(ASSUMED).flatMap(([name, words]) => {
      const count = assumed[name];
      return count === undefined ? [] : [[words, count]];
    }),
  );
}

function listOf(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, count]) => `${count} ${printable(name)}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}

function listedOf(listed: number, total: number): string {
  return listed < total ? `, of which ${listed} are listed` : '';
}

function placeOf(file: string): string {
  return file === '-' ? 'the lines above' : file;
}
