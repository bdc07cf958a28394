import { constants, createReadStream } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { Argument, Command } from 'commander';
import {
  LONGEST_INJECTED_BYTES,
  type Inject,
  type InjectableSubject,
  type Injected,
} from '../messaging/injection';
import { commandGroup, JSON_OPTION, parseText, parseTime, withExamples } from './arguments';
import type { CommandContext } from './context';
import { CommandFailed, WrongUsage } from './exit-codes';
import { readLines } from './lines';
import { createProgress, printable, printResult } from './output';

type Context = Pick<CommandContext, 'openDatabase' | 'output' | 'stdin'>;

const SUBJECTS: readonly InjectableSubject[] = [
  'ticket:created',
  'ticket:updated',
  'expiration:complete',
  'payment:created',
];

const TOO_LONG: Injected = {
  verdict: 'rejected',
  reason: `is longer than ${LONGEST_INJECTED_BYTES / 1024 / 1024} MB`,
};

interface Options {
  readonly publishedAt?: Date;
  readonly dryRun?: true;
  readonly json?: boolean;
}

export function eventsCommand(context: Context): Command {
  return commandGroup('events', 'The messages of other services.', injectCommand(context));
}

function injectCommand(context: Context): Command {
  const command = new Command('inject')
    .description(
      'Handles messages from a file as if the broker had delivered them, and prints a verdict for each line: done; ' +
        'parked, if it must wait (the order is not known yet, or payments must be caught up before it expires), then ' +
        'the running service finishes it; dead-letter or discarded, if an earlier run parked it and that became of it; or ' +
        'rejected, with the reason. Rejected lines are not stored.',
    )
    .addArgument(new Argument('<SUBJECT>', 'what the messages are').choices(SUBJECTS))
    .argument('<FILE>', 'one message in JSON on each line; - for stdin', parseText)
    .option('--published-at <TIME>', 'when they were published; by default now', parseTime)
    .option('--dry-run', 'decides about each line as the database is now, and writes nothing')
    .option(...JSON_OPTION)
    .action((subject: InjectableSubject, file: string, options: Options) =>
      injectFile(context, subject, file, options),
    );
  return withExamples(
    command,
    'events inject payment:created payments.ndjson --dry-run',
    'events inject ticket:updated - < tickets.ndjson',
  );
}

async function injectFile(
  { openDatabase, output, stdin }: Context,
  subject: InjectableSubject,
  file: string,
  { publishedAt, dryRun, json }: Options,
): Promise<void> {
  if (file !== '-') await checkFile(file);
  const { inject, decide, now } = await openDatabase();
  const handle = dryRun ? decide : inject;
  const progress = createProgress(output, 'lines handled');
  const counts = new Map<Injected['verdict'], number>();
  let line = 0;
  const input = file === '-' ? stdin() : createReadStream(file);
  for await (const data of readLines(input, LONGEST_INJECTED_BYTES)) {
    line += 1;
    if (data.length === 0) continue;
    const injected =
      data === 'too long'
        ? TOO_LONG
        : await handleLine(handle, { subject, data, publishedAt: publishedAt ?? now(), line });
    counts.set(injected.verdict, (counts.get(injected.verdict) ?? 0) + 1);
    if (injected.verdict !== 'done') output.needsAttention();
    const { about, ...rest } = injected;
    await printResult(output, { line, ...rest, ...about }, { text: toText(line, injected), json });
    progress.step();
  }
  output.note(summary(counts, dryRun ?? false));
}

async function handleLine(
  handle: Inject,
  {
    subject,
    data,
    publishedAt,
    line,
  }: { subject: InjectableSubject; data: Buffer; publishedAt: Date; line: number },
): Promise<Injected> {
  try {
    return await handle(subject, data, publishedAt);
  } catch (error) {
    throw new CommandFailed(`line ${line}: ${(error as Error).message}`, { cause: error });
  }
}

async function checkFile(path: string): Promise<void> {
  try {
    await access(path, constants.R_OK);
    if ((await stat(path)).isDirectory()) throw new Error('it is a directory');
  } catch (error) {
    throw new WrongUsage(`FILE cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function toText(line: number, { verdict, reason }: Injected): string {
  return `line ${line}: ${verdict}${reason === undefined ? '' : `: ${printable(reason)}`}`;
}

function summary(counts: ReadonlyMap<string, number>, dryRun: boolean): string {
  const parts = [...counts].map(([verdict, count]) => `${count} ${verdict}`);
  return `${parts.length === 0 ? 'no lines' : parts.join(', ')}${dryRun ? '; nothing was written' : ''}`;
}
