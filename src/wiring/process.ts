import { execFile } from 'node:child_process';
import type { AddressInfo } from 'node:net';
import { InvalidSettings, loadConfig, type Config } from '../config/load-config';
import { signToken } from '../http/tokens';
import { readBuild } from '../observability/build';
import { createLogger, type ServiceLogger } from '../observability/logger';
import { compose, type Between, type Service } from './service';

/**
 * A signal this soon after the first is the same request to stop: on Ctrl-C under npm the terminal sends one signal and
 * npm forwards another.
 */
const SAME_REQUEST_MS = 500;
const PROGRAM_PATIENCE_MS = 2_000;

/** The whole life of the process, from its settings to its exit code: 0 after a requested stop, 1 after a failure. */
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
  log.logger.info({ ...readBuild() }, 'starting');
  for (const warning of config.warnings) warn(warning, log);

  const composing = compose(config, log, between);
  const stop = () =>
    composing.then(
      (service) => service.stop(),
      () => true,
    );
  const isAskedToStop = stopOnSignals(stop, log);
  const service = await composing;
  try {
    const address = await service.start();
    const { port } = address;
    log.logger.info({ address: address.address, port, path: config.http.basePath || '/' }, 'listening');
    if (service.embedded) await greet(config, service.embedded, address, env);
  } catch (error) {
    // A start that a stop interrupts has not failed; the stop ends the process.
    if (isAskedToStop()) return;
    // For example, the broker keeps the client id of a connection that was not closed.
    await service.stop();
    log.flush();
    throw error;
  }
}

/** Written whatever LOG_LEVEL is: a lost guarantee must be visible. */
function warn(warning: string, { logger }: ServiceLogger): void {
  if (logger.isLevelEnabled('warn')) logger.warn(warning);
  else process.stderr.write(`${warning}\n`);
}

async function greet(
  config: Config,
  embedded: NonNullable<Service['embedded']>,
  address: AddressInfo,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const [{ announceSampleTickets }, { welcome }] = await Promise.all([
    import('../demo/sample-tickets.js'),
    import('../demo/welcome.js'),
  ]);
  const [hasDocker] = await Promise.all([
    works('docker', ['compose', 'ls', '--quiet'], env),
    announceSampleTickets(embedded.peer, embedded.tickets),
  ]);
  const token = signToken(config.jwt.key, {
    userId: 'sample-buyer',
    email: 'sample-buyer@example.com',
    expiresInSeconds: 24 * 3600,
  });
  process.stdout.write(
    welcome({
      host: hostOf(address),
      port: address.port,
      basePath: config.http.basePath,
      token,
      // An expiry that is too early is redelivered.
      expiresFromSeconds: config.expiration.catchUpSeconds + config.nats.redeliveryWaitSeconds,
      hasDocker,
    }),
  );
}

/** Never a name: another program may listen on another address of that name. */
function hostOf({ address, family }: AddressInfo): string {
  if (address === '0.0.0.0' || address === '::') return '127.0.0.1';
  return family === 'IPv6' ? `[${address}]` : address;
}

function works(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(program, args, { env, timeout: PROGRAM_PATIENCE_MS }, (error) => resolve(error === null));
  });
}

/** After an uncaught exception the state is unknown; pending work is safe in the database. */
function exitOnMistakes({ logger, flush }: ServiceLogger): void {
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'uncaught exception, exiting');
    flush();
    process.exit(1);
  });
}

/** Stops the service and exits on a signal. The returned function: whether a signal has come. */
function stopOnSignals(stop: () => Promise<boolean>, { logger, flush }: ServiceLogger): () => boolean {
  let askedAt: number | undefined;
  const onSignal = (signal: string) => {
    if (askedAt !== undefined) {
      if (performance.now() - askedAt < SAME_REQUEST_MS) return;
      logger.warn({ signal }, 'second signal, exiting at once');
      exit(1);
    }
    askedAt = performance.now();
    logger.info({ signal }, 'stopping');
    void stop().then((inOrder) => {
      if (inOrder) logger.info('stopped');
      else logger.error('not everything ended within the deadline, exiting anyway');
      exit(inOrder ? 0 : 1);
    });
  };
  const exit = (code: number) => {
    flush();
    process.exit(code);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return () => askedAt !== undefined;
}

function describeFailure(error: unknown): string {
  if (error instanceof InvalidSettings) {
    return [error.message, ...error.problems.map((problem) => `  ${problem}`)].join('\n');
  }
  if (!(error instanceof Error)) return String(error);
  // A port in use is a common mistake; a stack would not help.
  const isAddress = 'code' in error && (error.code === 'EADDRINUSE' || error.code === 'EACCES');
  return isAddress ? `${error.message} (set PORT to another one)` : (error.stack ?? error.message);
}
