import { Command } from 'commander';
import type { FailedMessage, ListedMessage } from '../application/failed-messages';
import { commandGroup, JSON_OPTION, limitOption, parseText, withExamples } from './arguments';
import type { CommandContext, OperatorDatabase } from './context';
import { CommandFailed, WrongUsage } from './exit-codes';
import { counted, printable, printList, printResult, type Column } from './output';

type Context = Pick<CommandContext, 'openDatabase' | 'output'>;

export function deadLettersCommand(context: Context): Command {
  return commandGroup(
    'dead-letters',
    'Messages that could not be handled and are not retried any more.',
    listCommand(context),
    showCommand(context),
    replayCommand(context),
    discardCommand(context),
  );
}

export const LISTED_MESSAGE_COLUMNS: readonly Column<ListedMessage>[] = [
  { title: 'ID', cell: ({ id }) => id },
  { title: 'STORED', cell: ({ at }) => at },
  { title: 'ATTEMPTS', cell: ({ attempts }) => attempts },
  { title: 'REASON', cell: ({ reason }) => reason },
];

const DISCARDED_COLUMNS: readonly Column<ListedMessage>[] = [
  ...LISTED_MESSAGE_COLUMNS,
  { title: 'DISCARDED', cell: ({ discarded }) => discarded?.at },
  { title: 'WHY', cell: ({ discarded }) => discarded?.reason },
];

const EXAMPLE_ID = 'payment:created:17:1767225600000';

function listCommand({ openDatabase, output }: Context): Command {
  const command = new Command('list')
    .description('Lists dead letters, the newest first, without their data: `dead-letters show ID` has it.')
    .option('--discarded', 'those that were discarded, instead')
    .addOption(limitOption())
    .option(...JSON_OPTION)
    .action(async ({ discarded, limit, json }: { discarded?: true; limit: number; json?: boolean }) => {
      const { failedMessages } = await openDatabase();
      const rows = await failedMessages.list(limit, discarded ? 'discarded' : 'dead');
      const columns = discarded ? DISCARDED_COLUMNS : LISTED_MESSAGE_COLUMNS;
      const empty = discarded ? 'No dead letter was discarded.' : 'There are no dead letters.';
      await printList(output, rows, { columns, json, empty });
    });
  return withExamples(
    command,
    'dead-letters list',
    'dead-letters list --limit 1000 --json',
    'dead-letters list --discarded',
  );
}

function showCommand({ openDatabase, output }: Context): Command {
  const command = new Command('show')
    .description('Shows one message with all of its data: a dead letter, parked or discarded.')
    .argument('<ID>', 'one of `dead-letters list` or `parked list`', parseText)
    .option(...JSON_OPTION)
    .action(async (id: string, { json }: { json?: boolean }) => {
      const message = await findOne(await openDatabase(), id);
      await printResult(output, message, { text: toText(message), json });
    });
  return withExamples(command, `dead-letters show ${EXAMPLE_ID}`);
}

function replayCommand({ openDatabase, output }: Context): Command {
  const command = new Command('replay')
    .description(
      'Retries a dead letter at once, with ten new attempts; also a parked or a discarded one. The running service ' +
        'does the work.',
    )
    .argument('[ID]', 'one of `dead-letters list` or `parked list`', parseText)
    .option('--all', 'all that are dead letters or parked')
    .option(...JSON_OPTION)
    .action(async (id: string | undefined, { all, json }: { all?: true; json?: boolean }) => {
      if ((id === undefined) === (all === undefined))
        throw new WrongUsage('name an ID or --all, and not both');
      const { failedMessages } = await openDatabase();
      const replayed = await failedMessages.replay(id);
      if (id !== undefined && replayed === 0) throw new CommandFailed(`there is no dead letter ${id}`);
      const text =
        replayed === 0
          ? 'There is nothing to retry.'
          : `${counted(replayed, 'message')} will be retried by the running service.`;
      await printResult(output, { replayed }, { text, json });
    });
  return withExamples(command, `dead-letters replay ${EXAMPLE_ID}`, 'dead-letters replay --all');
}

function discardCommand({ openDatabase, output }: Context): Command {
  const command = new Command('discard')
    .description(
      'Ends a dead letter: it is not retried, not counted and not listed any more. It is kept for the record, with ' +
        'the reason, and `dead-letters replay ID` takes it back.',
    )
    .argument('<ID>', 'one of `dead-letters list` or `parked list`', parseText)
    .requiredOption('--reason <TEXT>', 'why, for the record', parseText)
    .option(...JSON_OPTION)
    .action(async (id: string, { reason, json }: { reason: string; json?: boolean }) => {
      const database = await openDatabase();
      const changed = await database.failedMessages.discard(id, reason);
      // Not there, or discarded before.
      const { discarded } = await findOne(database, id);
      const name = printable(id);
      const text = changed ? `${name} is discarded.` : `${name} was discarded already. Nothing was changed.`;
      await printResult(output, { id, discarded, changed }, { text, json });
    });
  return withExamples(command, `dead-letters discard ${EXAMPLE_ID} --reason 'a test of the payment team'`);
}

async function findOne({ failedMessages }: OperatorDatabase, id: string): Promise<FailedMessage> {
  const found = await failedMessages.find(id);
  if (!found) throw new CommandFailed(`there is no message ${id}`);
  return found;
}

function toText(message: FailedMessage): string {
  const { retryAt, discarded, encoding } = message;
  const state = discarded
    ? `discarded ${discarded.at.toISOString()}: ${discarded.reason}`
    : retryAt
      ? `parked, retried at ${retryAt.toISOString()}`
      : 'dead letter';
  return [
    `Message    ${message.id}`,
    `State      ${state}`,
    `Subject    ${message.subject}, sequence ${message.sequence}, published ${message.publishedAt.toISOString()}`,
    `Reason     ${message.reason}`,
    `Attempts   ${message.attempts}`,
    `Stored     ${message.at.toISOString()}`,
    `Data${encoding ? ` (${encoding})` : ''}`,
    message.data,
  ]
    .map(printable)
    .join('\n');
}
