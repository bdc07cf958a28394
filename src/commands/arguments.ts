/** Parsers of arguments. What they refuse is reported with the name of the argument, and ends with exit code 2. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';

export function parseId(text: string): string {
  if (!/^[0-9a-f]{24}$/i.test(text)) throw new InvalidArgumentError('It must be 24 hexadecimal characters.');
  return text.toLowerCase();
}

/** An empty value, as of a variable that is not set, must never count as "no filter". */
export function parseText(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`It must be a whole number between ${least} and ${most}.`);
  };
}

const TIME = z.union([z.iso.datetime({ offset: true }), z.iso.date()]);

/** With a time zone; a date is its beginning in UTC. */
export function parseTime(text: string): Date {
  if (TIME.safeParse(text).success) return new Date(text);
  throw new InvalidArgumentError('It must be a time such as 2026-01-31T15:00:00Z, or a date.');
}

const MOST_LISTED = 100_000;

export const JSON_OPTION = ['--json', 'prints JSON: one object on each line'] as const;

export function limitOption(): Option {
  return new Option('--limit <N>', 'prints at most this many')
    .argParser(wholeNumber(1, MOST_LISTED))
    .default(100);
}

/** Commands that share their first word. */
export function commandGroup(name: string, description: string, ...commands: readonly Command[]): Command {
  const group = new Command(name).description(description);
  for (const command of commands) group.addCommand(command);
  return withExamples(group, ...commands.map((command) => `${name} ${command.name()} --help`));
}

/** The end of a command's help. */
export function withExamples(command: Command, ...examples: readonly string[]): Command {
  const lines = examples.map((example) => `  $ order-service ${example}`);
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}
