/** Prints a signed token to try the API with; nothing else goes to stdout. */
import { parseArgs } from 'node:util';
import { InvalidSettings, loadSigningKey } from '../src/config/load-config';
import { signToken } from '../src/http/tokens';

const USAGE = 'usage: npm run --silent token -- --user ID [--email ADDRESS] [--expires-in SECONDS]';
const WEEK_SECONDS = 7 * 24 * 60 * 60;

/** Throws if the arguments are invalid. */
function parse(args: string[]): { userId: string; email: string; expiresInSeconds: number } {
  const { values } = parseArgs({
    args,
    options: { user: { type: 'string' }, email: { type: 'string' }, 'expires-in': { type: 'string' } },
  });
  if (!values.user) throw new Error('--user is missing');
  const expiresInSeconds = Number(values['expires-in'] ?? WEEK_SECONDS);
  if (!Number.isSafeInteger(expiresInSeconds) || expiresInSeconds < 1) {
    throw new Error('--expires-in takes a whole number of seconds');
  }
  return { userId: values.user, email: values.email ?? `${values.user}@example.com`, expiresInSeconds };
}

function complain(lines: readonly string[], exitCode: number): void {
  process.stderr.write(`${lines.join('\n')}\n`);
  process.exitCode = exitCode;
}

function main(): void {
  let request;
  try {
    request = parse(process.argv.slice(2));
  } catch (error) {
    complain([(error as Error).message, USAGE], 2);
    return;
  }
  try {
    process.stdout.write(`${signToken(loadSigningKey(process.env), request)}\n`);
  } catch (error) {
    if (!(error instanceof InvalidSettings)) throw error;
    complain(error.problems, 1);
  }
}

main();
