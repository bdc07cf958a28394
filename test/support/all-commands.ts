import type { Command } from 'commander';
import type { CommandContext } from '../../src/commands/context';
import { createProgram } from '../../src/commands/program';

/** The words of every command of `order-service`, such as `orders show`, without those of groups. */
export function allCommands(): string[] {
  // Nothing of it is used before a command runs.
  return leaves(createProgram({} as CommandContext)).map((words) => words.slice(1).join(' '));
}

function leaves(command: Command): string[][] {
  if (command.commands.length === 0) return [[command.name()]];
  return command.commands.flatMap(leaves).map((words) => [command.name(), ...words]);
}
