import { Command } from 'commander';
import { withExamples } from './arguments';
import type { CommandContext } from './context';

export function serveCommand({ serve }: Pick<CommandContext, 'serve'>): Command {
  const command = new Command('serve')
    .description('Runs the service until SIGTERM or SIGINT, as the container does. Reads all settings.')
    .action(serve);
  return withExamples(command, 'serve');
}
