import { Command } from 'commander';
import type { FailedMessage } from '../application/ports';
import { commandGroup, JSON_OPTION, limitOption, parseText, withExamples } from './arguments';
import type { CommandContext } from './context';
import { CommandFailed, WrongUsage } from './exit-codes';
import { printList, printResult, type Column } from './output';

type Context = Pick<CommandContext, 'openDatabase' | 'output'>;

export function deadLettersCommand(context: Context): Command {
  return commandGroup(
    'dead-letters',
    'Messages that could not be handled and are not retried any more.',
    listCommand(context),
    replayCommand(context),
  );
}

export const FAILED_MESSAGE_COLUMNS: readonly Column<FailedMessage>[] = [
  { title: 'ID', cell: ({ id }) => id },
  { title: 'STORED', cell: ({ at }) => at },
  { title: 'ATTEMPTS', cell: ({ attempts }) => attempts },
  { title: 'REASON', cell: ({ reason }) => reason },
  { title: 'DATA', cell: ({ data }) => data },
];

function listCommand({ openDatabase, output }: Context): Command {
  const command = new Command('list')
    .description('Lists dead letters, the newest first.')
    .addOption(limitOption())
    .option(...JSON_OPTION)
    .action(async ({ limit, json }: { limit: number; json?: boolean }) => {
      const { failedMessages } = await openDatabase();
      const rows = (await failedMessages.list(limit)).filter(({ retryAt }) => retryAt === undefined);
      await printList(output, rows, {
        columns: FAILED_MESSAGE_COLUMNS,
        json,
        empty: 'There are no dead letters.',
      });
    });
  return withExamples(command, 'dead-letters list', 'dead-letters list --limit 1000 --json');
}

function replayCommand({ openDatabase, output }: Context): Command {
  const command = new Command('replay')
    .description('Retries a dead letter at once, with ten new attempts. The running service does the work.')
    .argument('[ID]', 'one of `dead-letters list`', parseText)
    .option('--all', 'all of them')
    .option(...JSON_OPTION)
    .action(async (id: string | undefined, { all, json }: { all?: true; json?: boolean }) => {
      if ((id === undefined) === (all === undefined))
        throw new WrongUsage('name an ID or --all, and not both');
      const { failedMessages } = await openDatabase();
      const replayed = await failedMessages.replay(id);
      if (id !== undefined && replayed === 0) throw new CommandFailed(`there is no dead letter ${id}`);
      await printResult(output, { replayed }, { text: `${replayed} will be retried.`, json });
    });
  return withExamples(
    command,
    'dead-letters replay payment:created:17:1767225600000',
    'dead-letters replay --all',
  );
}
