import { CommanderError, type Command } from 'commander';
import { ImportFailed, ImportRefused } from '../application/import/ports';
import { Unavailable } from '../application/ports';
import { PublishFailed } from '../application/bus';
import { InvalidSettings } from '../config/load-config';
import { CommandFailed, EXIT_CODES, WrongUsage } from './exit-codes';
import { printable, type Output } from './output';

/** Runs one command line. Resolves to the exit code; never rejects. */
export async function runProgram(program: Command, args: readonly string[], output: Output): Promise<number> {
  try {
    await program.parseAsync(args, { from: 'user' });
    return output.exitCode();
  } catch (error) {
    // Commander has printed the help, or what is wrong with the arguments.
    if (error instanceof CommanderError)
      return error.exitCode === 0 ? EXIT_CODES.done : EXIT_CODES.wrongUsage;
    // An interrupted command fails because its connections are closed.
    if (!output.isInterrupted()) for (const line of describe(error)) output.note(line);
    return output.exitCode(codeOf(error));
  }
}

function codeOf(error: unknown): number {
  if (error instanceof WrongUsage || error instanceof InvalidSettings) return EXIT_CODES.wrongUsage;
  return error instanceof ImportRefused ? EXIT_CODES.refused : EXIT_CODES.failed;
}

function describe(error: unknown): readonly string[] {
  if (error instanceof InvalidSettings) return [error.message, ...error.problems].map(printable);
  if (!(error instanceof Error)) return [String(error)];
  const isExpected = [
    CommandFailed,
    WrongUsage,
    ImportRefused,
    ImportFailed,
    Unavailable,
    PublishFailed,
  ].some((kind) => error instanceof kind);
  return [isExpected ? `error: ${printable(error.message)}` : (error.stack ?? error.message)];
}
