import { InvalidSettings, loadConfig } from './config';
import type { Config } from './config';
import { compose } from './compose';
import type { Service } from './compose';
import { createLogger } from './observability/logger';
import type { ServiceLogger } from './observability/logger';
import { announceSampleTickets, signToken, welcome } from './welcome';

async function main(): Promise<void> {
  const config = loadConfig(process.env, { isTerminal: process.stdout.isTTY });
  const log = createLogger(config.log, config.nats.clientId);
  for (const warning of config.warnings) log.logger.warn(warning);

  const service = await compose(config, log);
  stopOnSignals(service, log);
  const { address, port } = await service.start();
  log.logger.info({ address, port, path: config.http.basePath }, 'listening');
  if (service.embeddedPeer && config.mongoUrl === undefined) await greet(config, service.embeddedPeer, port);
}

async function greet(config: Config, peer: NonNullable<Service['embeddedPeer']>, port: number): Promise<void> {
  await announceSampleTickets(peer);
  const token = signToken(config.jwt.key, {
    userId: 'sample-buyer',
    email: 'sample-buyer@example.com',
    expiresInSeconds: 24 * 3600,
  });
  process.stdout.write(welcome({ ordersUrl: `http://localhost:${port}${config.http.basePath}`, token }));
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

main().catch((error: unknown) => {
  if (error instanceof InvalidSettings) {
    process.stderr.write(`The Order Service cannot start: ${error.message}\n`);
    for (const problem of error.problems) process.stderr.write(`  ${problem}\n`);
  } else {
    process.stderr.write(`The Order Service cannot start: ${error instanceof Error ? error.stack : String(error)}\n`);
  }
  process.exit(1);
});
