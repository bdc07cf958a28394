import { Command } from 'commander';
import { commandGroup, JSON_OPTION, parseId, parseTime, withExamples } from './arguments';
import type { CommandContext } from './context';
import { WrongUsage } from './exit-codes';
import { counted, createProgress, printResult } from './output';

type Context = Pick<CommandContext, 'openDatabase' | 'openDatabaseAndBroker' | 'output'>;

interface Options {
  readonly ticket?: string;
  readonly since?: Date;
  readonly all?: true;
  readonly dryRun?: true;
  readonly json?: boolean;
}

export function outboxCommand(context: Context): Command {
  return commandGroup('outbox', 'The events of orders, as they were published.', republishCommand(context));
}

function republishCommand(context: Context): Command {
  const command = new Command('republish')
    .description(
      'Publishes events again, for a broker that lost its store: ticket by ticket, in the order of their first time. ' +
        'Peers receive them once more with each run.',
    )
    .option('--ticket <ID>', 'only events of this ticket', parseId)
    .option('--since <TIME>', 'only events that were recorded at or after this time', parseTime)
    .option('--all', 'the events of all tickets')
    .option('--dry-run', 'only counts what would be published; needs no broker')
    .option(...JSON_OPTION)
    .action((options: Options) => republish(context, options));
  return withExamples(
    command,
    'outbox republish --ticket 5f00c0ffee00000000000001',
    'outbox republish --since 2026-01-31T15:00:00Z --dry-run',
    'outbox republish --all',
  );
}

async function republish(context: Context, options: Options): Promise<void> {
  const { ticket, since, all, dryRun, json } = options;
  if (all && ticket !== undefined) throw new WrongUsage('--ticket and --all exclude each other');
  if (!all && ticket === undefined && since === undefined) {
    throw new WrongUsage('name the events: --ticket ID, --since TIME or --all');
  }
  const { database, publish } = await open(context, dryRun ?? false);
  const filter = { ...(ticket && { ticketId: ticket }), ...(since && { since }) };
  const progress = createProgress(context.output, dryRun ? 'events counted' : 'events published');
  try {
    // One after the other: their order must be kept.
    for await (const { subject, data } of database.outboxHistory.published(filter)) {
      await publish(subject, data);
      progress.step();
    }
  } finally {
    // Also after a failure in the middle.
    const count = progress.count();
    const result = dryRun ? { wouldRepublish: count } : { republished: count };
    const events = counted(count, 'event');
    const text = dryRun ? `${events} would be published again.` : `${events} published again.`;
    await printResult(context.output, result, { text, json });
  }
}

async function open({ openDatabase, openDatabaseAndBroker }: Context, dryRun: boolean) {
  if (dryRun) return { database: await openDatabase(), publish: async () => {} };
  const { database, publisher } = await openDatabaseAndBroker();
  return { database, publish: publisher.publish };
}
