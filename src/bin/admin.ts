import { pino } from 'pino';
import { InvalidSettings, loadAdminConfig } from '../config/load-config';
import { parseCommand, USAGE } from '../operator/commands';
import { composeAdmin } from '../wiring/operator';

/** The operator's command line. Prints JSON lines; resolves to the exit code. */
async function run(args: string[]): Promise<number> {
  const command = parseCommand(args);
  if (!command) {
    process.stderr.write(USAGE);
    return 2;
  }
  const config = loadAdminConfig(process.env, { broker: command.needsBroker });
  const log = pino({ level: 'warn' }, pino.destination(2));
  for (const warning of config.warnings) log.warn(warning);
  const admin = await composeAdmin(config, log);
  try {
    await command.run(admin);
    return 0;
  } finally {
    await admin.close();
  }
}

run(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof InvalidSettings) process.stderr.write(error.problems.join('\n') + '\n');
    process.exitCode = 1;
  },
);
