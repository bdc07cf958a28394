import type { Writable } from 'node:stream';
import { CommandFailed, EXIT_CODES } from './exit-codes';

/** What a command prints: results on stdout, everything else on stderr. */
export interface Output {
  /**
   * A line on stdout, as it is; resolves when it is written, or when nobody reads any more. Rejects with
   * {@link CommandFailed} if it cannot be written.
   */
  print(line: string): Promise<void>;
  /** One or more lines on stderr, made printable. */
  note(lines: string): void;
  /** The command is done, and something that it printed needs attention: it ends with another exit code. */
  needsAttention(): void;
  /** The command was asked to stop: it ends with this exit code, whatever becomes of it. */
  interrupted(exitCode: number): void;
  isInterrupted(): boolean;
  /** The exit code so far; `ofFailure` if the command has failed. */
  exitCode(ofFailure?: number): number;
}

export function createOutput(stdout: Writable, stderr: Writable): Output {
  let ofSuccess: number = EXIT_CODES.done;
  let ofInterruption: number | undefined;
  // Of what is printed here the write is told. What commander prints to a full disk is lost.
  for (const stream of [stdout, stderr]) stream.on('error', () => {});

  return {
    print: (line) =>
      new Promise((resolve, reject) => {
        stdout.write(`${line}\n`, (error) => {
          if (!error || isClosedPipe(error)) resolve();
          else reject(new CommandFailed(`the output cannot be written: ${error.message}`));
        });
      }),
    note: (lines) => void stderr.write(`${printableLines(lines)}\n`),
    needsAttention: () => void (ofSuccess = EXIT_CODES.needsAttention),
    interrupted: (exitCode) => void (ofInterruption ??= exitCode),
    isInterrupted: () => ofInterruption !== undefined,
    exitCode: (ofFailure = ofSuccess) => ofInterruption ?? ofFailure,
  };
}

/** A reader such as `head` may end before the command: the rest is printed to nobody. */
function isClosedPipe({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED';
}

export interface Column<T> {
  readonly title: string;
  readonly cell: (row: T) => string | number | Date | undefined;
}

/** A list: a table for people; with `json` one line for each row, as it is. */
export async function printList<T extends object>(
  output: Output,
  rows: readonly T[],
  { columns, json, empty }: { columns: readonly Column<T>[]; json: boolean | undefined; empty: string },
): Promise<void> {
  if (json) {
    for (const row of rows) await output.print(JSON.stringify(row));
  } else {
    await output.print(rows.length === 0 ? empty : table(rows, columns));
  }
}

/** One result: text for people, made printable; with `json` one line, as it is. */
export async function printResult(
  output: Output,
  result: object,
  { text, json }: { text: string; json: boolean | undefined },
): Promise<void> {
  await output.print(json ? JSON.stringify(result) : printableLines(text));
}

/** Such as `1 event` or `2 events`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

const LONGEST_CELL = 100;

/** Columns as wide as their longest cell. */
export function table<T>(rows: readonly T[], columns: readonly Column<T>[]): string {
  const lines = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ cell }) => cut(printable(textOf(cell(row)))))),
  ];
  const widths = columns.map((_, column) =>
    lines.reduce((widest, cells) => Math.max(widest, cells[column]?.length ?? 0), 0),
  );
  return lines
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Text from outside must not control the terminal, nor break a line of the table. JSON keeps its meaning. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/gu, (character) =>
    character
      .split('')
      .map((unit) => SHORT_ESCAPES[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

/** The same for text of several lines. Texts from outside in it must be made printable before, or they add lines. */
function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function textOf(cell: string | number | Date | undefined): string {
  if (cell === undefined) return '-';
  return cell instanceof Date ? cell.toISOString() : String(cell);
}

function cut(text: string): string {
  return text.length <= LONGEST_CELL ? text : `${text.slice(0, LONGEST_CELL - 1)}…`;
}

const PROGRESS_EVERY_MS = 1_000;

/** Counts long work, and says on stderr about once a second how far it is. */
export function createProgress(output: Output, what: string) {
  let count = 0;
  let saidAt = performance.now();
  let hasSaid = false;
  return {
    count: () => count,
    step: () => reached(count + 1),
    /** So many in total. */
    reached,
    /** Says how many it were, if it has said how far it was. */
    end(): void {
      if (hasSaid) output.note(`${count} ${what}`);
    },
  };

  function reached(total: number): void {
    count = total;
    if (performance.now() - saidAt < PROGRESS_EVERY_MS) return;
    saidAt = performance.now();
    hasSaid = true;
    output.note(`${count} ${what} ...`);
  }
}
