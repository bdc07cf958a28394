import { Command } from 'commander';
import { loadEffectiveSettings } from '../config/effective-settings';
import { InvalidSettings } from '../config/load-config';
import { JSON_OPTION, withExamples } from './arguments';
import type { CommandContext } from './context';
import { printResult, table, type Column } from './output';

type Settings = ReturnType<typeof loadEffectiveSettings>;

const COLUMNS: readonly Column<Settings['settings'][number]>[] = [
  { title: 'SETTING', cell: ({ name }) => name },
  { title: 'VALUE', cell: ({ value, server }) => (server === undefined ? textOf(value) : `set: ${server}`) },
  { title: 'FROM', cell: ({ from }) => from },
];

export function checkConfigCommand({ env, output }: Pick<CommandContext, 'env' | 'output'>): Command {
  const command = new Command('check-config')
    .description(
      'Checks all settings of the service, as its start does. Prints all problems at once, or the settings as they ' +
        'take effect; of a secret only whether it is set.',
    )
    .option(...JSON_OPTION)
    .action(async ({ json }: { json?: boolean }) => {
      let settings;
      try {
        settings = loadEffectiveSettings(env);
      } catch (error) {
        if (json && error instanceof InvalidSettings) {
          await output.print(JSON.stringify({ problems: error.problems }));
        }
        throw error;
      }
      await printResult(output, settings, { text: toText(settings), json });
    });
  return withExamples(command, 'check-config', 'check-config --json');
}

function toText({ settings, warnings }: Settings): string {
  const warned = warnings.length === 0 ? 'No warnings.' : `Warnings:\n${warnings.join('\n')}`;
  return `${table(settings, COLUMNS)}\n\n${warned}`;
}

function textOf(value: Settings['settings'][number]['value']): string {
  return value === undefined || String(value) === '' ? 'not set' : String(value);
}
