import { open } from 'node:fs/promises';
import { Command } from 'commander';
import { importOrders } from '../application/import/import-orders';
import type { ImportOptions, OldSystem } from '../application/import/ports';
import { needsAttention, type Rejected } from '../application/import/report';
import { JSON_OPTION, parseText, wholeNumber, withExamples } from './arguments';
import type { CommandContext } from './context';
import { CommandFailed } from './exit-codes';
import { textOfReport } from './import-report';
import { createProgress, printable, type Output } from './output';

type Context = Pick<CommandContext, 'openImport' | 'output'>;

const YEAR_SECONDS = 365 * 24 * 3600;

interface Options extends Pick<ImportOptions, 'expirySeconds'> {
  readonly from?: string;
  readonly rejected: string;
  readonly dryRun?: boolean;
  readonly cancelConflicts?: boolean;
  readonly json?: boolean;
}

export function importCommand(context: Context): Command {
  const command = new Command('import')
    .description(
      'Imports the orders and tickets of an earlier order service. Its database is only read; it can still be in use. ' +
        'Run it again to bring the import up to date: docs/migrating.md has the whole way.',
    )
    .option('--from <URL>', 'the old database; others can see arguments, so prefer OLD_MONGO_URL', parseText)
    .option('--dry-run', 'writes nothing but the report and the file of what would not be imported')
    .option(
      '--cancel-conflicts',
      'if several orders hold one ticket, imports all but one cancelled; paid ones get a refund',
    )
    .option(
      '--expiry-seconds <N>',
      'imports open orders without an expiry, with one this long after their creation',
      wholeNumber(1, YEAR_SECONDS),
    )
    .option(
      '--rejected <FILE>',
      'what is not imported, as JSON lines; - for stdout',
      parseText,
      'rejected.ndjson',
    )
    .option(...JSON_OPTION)
    .action((options: Options) => runImport(context, options));
  return withExamples(
    command,
    'import --dry-run',
    'import --rejected /tmp/rejected.ndjson',
    'import --cancel-conflicts --json',
  );
}

async function runImport(
  { openImport, output }: Context,
  { from, rejected, dryRun = false, cancelConflicts = false, expirySeconds, json }: Options,
): Promise<void> {
  const file = await openRejected(rejected, output);
  const progress = createProgress(output, 'orders read');
  try {
    const { source, target } = await openImport(from);
    const report = await importOrders({
      source,
      target,
      dryRun,
      options: { cancelConflicts, ...(expirySeconds !== undefined && { expirySeconds }) },
      reject: (all, begun) =>
        file.write(
          all.map((one) => toLine(one, source)),
          begun,
        ),
      onProgress: progress.reached,
    });
    progress.end();
    await output.print(json ? printable(JSON.stringify(report)) : textOfReport(report, rejected));
    if (needsAttention(report)) output.needsAttention();
  } finally {
    await file.close();
  }
}

function toLine({ document, ...rejected }: Rejected, source: OldSystem): string {
  return printable(`${JSON.stringify(rejected).slice(0, -1)},"document":${source.textOf(document)}}`);
}

/** Opened before anything else: a file that cannot be written must not be noticed at the end. */
async function openRejected(path: string, output: Output) {
  if (path === '-') {
    return {
      async write(lines: readonly string[]): Promise<void> {
        for (const line of lines) await output.print(line);
      },
      close: async () => {},
    };
  }
  // It holds what buyers have ordered.
  const file = await open(path, 'a', 0o600).catch((error: unknown) => {
    throw new CommandFailed(`--rejected: the file ${path} cannot be written (${codeOf(error)})`);
  });
  const isRegular = (await file.stat()).isFile();
  const failed = (error: unknown) => {
    throw new CommandFailed(`--rejected: writing to ${path} failed (${codeOf(error)})`);
  };
  let hasBegun = false;
  return {
    /**
     * Called for each batch. What an earlier import wrote is kept until the first one: an import may be refused before.
     * That of an unfinished one stays: what it has removed is found nowhere else.
     */
    async write(
      lines: readonly string[],
      { continuesUnfinished }: { readonly continuesUnfinished: boolean },
    ): Promise<void> {
      // Not a device or a pipe, such as /dev/null.
      if (!hasBegun && !continuesUnfinished && isRegular) await file.truncate().catch(failed);
      hasBegun = true;
      if (lines.length > 0) await file.appendFile(`${lines.join('\n')}\n`).catch(failed);
    },
    close: () => file.close(),
  };
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown';
}
