import { Command } from 'commander';
import { readBuild } from '../observability/build';
import { withExamples } from './arguments';
import type { CommandContext } from './context';
import { checkConfigCommand } from './check-config';
import { deadLettersCommand } from './dead-letters';
import { eventsCommand } from './events';
import { importCommand } from './import';
import { ordersCommand } from './orders';
import { outboxCommand } from './outbox';
import { parkedCommand } from './parked';
import { refundsCommand } from './refunds';
import { serveCommand } from './serve';
import { smokeCommand } from './smoke';
import { tokenCommand } from './token';

const EXIT_CODES_HELP = `
Exit codes:
  0    done
  1    failed; it can be run again
  2    wrong usage or wrong settings
  3    done, and something needs attention
  4    refused: running it again does not help
  130  interrupted by Ctrl-C; it can be run again
  143  the same, by SIGTERM`;

const COMMANDS: readonly ((context: CommandContext) => Command)[] = [
  serveCommand,
  checkConfigCommand,
  tokenCommand,
  smokeCommand,
  ordersCommand,
  parkedCommand,
  deadLettersCommand,
  refundsCommand,
  outboxCommand,
  eventsCommand,
  importCommand,
];

/** The whole command line. */
export function createProgram(context: CommandContext): Command {
  const program = new Command('order-service')
    .description('The Order Service, and the commands for its operator.')
    .version(readBuild().version);
  for (const create of COMMANDS) program.addCommand(create(context));
  withExamples(program, 'serve', 'dead-letters list --help').addHelpText('after', EXIT_CODES_HELP);
  throwInsteadOfExit(program);
  return program;
}

/** Commander does not hand this on to commands that are added. */
function throwInsteadOfExit(command: Command): void {
  command.exitOverride();
  command.commands.forEach((sub) => throwInsteadOfExit(sub));
}
