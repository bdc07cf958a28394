import { Command } from 'commander';
import { commandGroup, JSON_OPTION, limitOption, withExamples } from './arguments';
import type { CommandContext } from './context';
import { LISTED_MESSAGE_COLUMNS } from './dead-letters';
import { printList, type Column } from './output';
import type { ListedMessage } from '../application/failed-messages';

type Context = Pick<CommandContext, 'openDatabase' | 'output'>;

export function parkedCommand(context: Context): Command {
  return commandGroup(
    'parked',
    'Messages that cannot be handled yet; the service retries them by itself.',
    listCommand(context),
  );
}

const COLUMNS: readonly Column<ListedMessage>[] = [
  ...LISTED_MESSAGE_COLUMNS.slice(0, 3),
  { title: 'RETRY AT', cell: ({ retryAt }) => retryAt },
  ...LISTED_MESSAGE_COLUMNS.slice(3),
];

function listCommand({ openDatabase, output }: Context): Command {
  const command = new Command('list')
    .description(
      'Lists parked messages, the newest first, without their data: `dead-letters show ID` has it.',
    )
    .addOption(limitOption())
    .option(...JSON_OPTION)
    .action(async ({ limit, json }: { limit: number; json?: boolean }) => {
      const { failedMessages } = await openDatabase();
      const rows = await failedMessages.list(limit, 'parked');
      await printList(output, rows, { columns: COLUMNS, json, empty: 'There are no parked messages.' });
    });
  return withExamples(command, 'parked list', 'parked list --json');
}
