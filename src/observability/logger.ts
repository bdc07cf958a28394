import pino from 'pino';
import type { DestinationStream, Logger } from 'pino';
import type { Config } from '../config';

export interface ServiceLogger {
  readonly logger: Logger;
  /** Writes out what is still on its way; to be called before the process exits. */
  flush(): void;
}

/** One JSON line per entry, written asynchronously, for log lines must not hold up requests. */
export function createLogger(config: Config['log'], instance: string): ServiceLogger {
  const pretty = config.format === 'pretty' ? prettyDestination() : undefined;
  const json = pino.destination({ dest: 1, sync: false });
  const logger = pino(
    {
      level: config.level,
      base: { service: 'order-service', instance },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // A net under everything that is logged on purpose without them.
      redact: {
        paths: ['authorization', 'cookie', 'jwt', 'token', '*.authorization', '*.cookie', '*.jwt', '*.token'],
        censor: '[redacted]',
      },
    },
    pretty ?? json,
  );
  if (config.format === 'pretty' && !pretty) logger.warn('pino-pretty is not installed: the log stays JSON');
  return { logger, flush: () => json.flushSync() };
}

/** Loaded only where a person reads along; production images do not carry it. */
function prettyDestination(): DestinationStream | undefined {
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const pretty = require('pino-pretty') as typeof import('pino-pretty');
    return pretty({ sync: true, ignore: 'pid,hostname,service,instance', translateTime: 'SYS:HH:MM:ss.l' });
  } catch {
    return undefined;
  }
}
