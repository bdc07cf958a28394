import { Command } from 'commander';
import { loadSigningKey } from '../config/load-config';
import { signToken } from '../http/tokens';
import { JSON_OPTION, parseText, wholeNumber, withExamples } from './arguments';
import type { CommandContext } from './context';
import { printResult } from './output';

const WEEK_SECONDS = 7 * 24 * 60 * 60;

interface Options {
  readonly user: string;
  readonly email?: string;
  readonly expiresIn: number;
  readonly json?: boolean;
}

/** The token is the result: nothing else goes to stdout. */
export function tokenCommand({ env, output }: Pick<CommandContext, 'env' | 'output'>): Command {
  const command = new Command('token')
    .description(
      'Prints a token for a user, signed with JWT_KEY or, if that is not set, with the public development key.',
    )
    .requiredOption('--user <ID>', 'the id of the user', parseText)
    .option('--email <ADDRESS>', 'by default ID@example.com', parseText)
    .option(
      '--expires-in <SECONDS>',
      'how long it is valid',
      wholeNumber(1, Number.MAX_SAFE_INTEGER),
      WEEK_SECONDS,
    )
    .option(...JSON_OPTION)
    .action(async ({ user, email, expiresIn, json }: Options) => {
      const request = { userId: user, email: email ?? `${user}@example.com`, expiresInSeconds: expiresIn };
      const token = signToken(loadSigningKey(env), request);
      await printResult(output, { token }, { text: token, json });
    });
  return withExamples(command, 'token --user me', 'token --user me --expires-in 3600');
}
