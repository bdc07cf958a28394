import { InvalidSettings, loadConfig } from './config';
import type { Config } from './config';
import { compose } from './compose';
import type { Between, Service } from './compose';
import { createLogger } from './observability/logger';
import type { ServiceLogger } from './observability/logger';
import { announceSampleTickets, signToken, welcome } from './welcome';

/**
 * The whole life of the process: from its settings to its exit code, which is 0 where it was asked to end and 1 where
 * it could not go on.
 */
export function run(env: NodeJS.ProcessEnv, between?: Between): void {
  start(env, between).catch((error: unknown) => {
    process.stderr.write(`The Order Service cannot start: ${describeFailure(error)}\n`);
    process.exit(1);
  });
}

async function start(env: NodeJS.ProcessEnv, between?: Between): Promise<void> {
  const config = loadConfig(env, { isTerminal: process.stdout.isTTY });
  const log = createLogger(config.log, config.nats.clientId);
  exitOnMistakes(log);
  for (const warning of config.warnings) log.logger.warn(warning);

  const service = await compose(config, log, between);
  stopOnSignals(service, log);
  const { address, port } = await service.start();
  log.logger.info({ address, port, path: config.http.basePath }, 'listening');
  if (service.embedded) await greet(config, service.embedded, port);
}

async function greet(
  config: Config,
  embedded: NonNullable<Service['embedded']>,
  port: number,
): Promise<void> {
  await announceSampleTickets(embedded.peer, embedded.tickets);
  const token = signToken(config.jwt.key, {
    userId: 'sample-buyer',
    email: 'sample-buyer@example.com',
    expiresInSeconds: 24 * 3600,
  });
  process.stdout.write(welcome({ ordersUrl: `http://localhost:${port}${config.http.basePath}`, token }));
}

/** After an error that nobody handled the state is unknown: what is pending is safe in the database. */
function exitOnMistakes({ logger, flush }: ServiceLogger): void {
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'an error that nobody handled: ending');
    flush();
    process.exit(1);
  });
}

function stopOnSignals(service: Service, { logger, flush }: ServiceLogger): void {
  let asked = false;
  const onSignal = (signal: string) => {
    if (asked) {
      logger.warn({ signal }, 'asked again: ending at once');
      exit(1);
    }
    asked = true;
    logger.info({ signal }, 'stopping');
    void service.stop().then((inOrder) => {
      if (inOrder) logger.info('stopped');
      else logger.error('not everything ended within the deadline; ending all the same');
      exit(inOrder ? 0 : 1);
    });
  };
  const exit = (code: number) => {
    flush();
    process.exit(code);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

function describeFailure(error: unknown): string {
  if (error instanceof InvalidSettings) {
    return [error.message, ...error.problems.map((problem) => `  ${problem}`)].join('\n');
  }
  if (!(error instanceof Error)) return String(error);
  // Two services on one port is a mistake that everyone makes; a stack would not help.
  const isAddress = 'code' in error && (error.code === 'EADDRINUSE' || error.code === 'EACCES');
  return isAddress ? `${error.message} (set PORT to another one)` : (error.stack ?? error.message);
}
