import pino from 'pino';
import type { DestinationStream, Logger } from 'pino';
import type { Config } from '../config';

/** In characters; a log that nobody reads must not take all memory. */
const MOST_UNWRITTEN = 8 * 1024 * 1024;

export interface ServiceLogger {
  readonly logger: Logger;
  /** Calls back for each line that is lost, because nobody reads those before it. */
  onLineLost(listener: () => void): void;
  /** Writes out what is still on its way; to be called before the process exits. */
  flush(): void;
}

/** One JSON line per entry, written asynchronously, for log lines must not hold up requests. */
export function createLogger(config: Config['log'], instance: string): ServiceLogger {
  const pretty = config.format === 'pretty' ? prettyDestination() : undefined;
  const json = pino.destination({ dest: 1, sync: false, maxLength: MOST_UNWRITTEN });
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
  return {
    logger,
    onLineLost: (listener) => void json.on('drop', listener),
    flush: () => json.flushSync(),
  };
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
