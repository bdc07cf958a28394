import pino, { type DestinationStream, type Logger } from 'pino';
import type { Config } from '../config/load-config';

/** A log that nobody reads must not take all memory. */
const MOST_UNWRITTEN_BYTES = 8 * 1024 * 1024;
/** How long a full pipe may block the process before it continues, or exits. */
const FLUSH_PATIENCE_MS = 1_000;

export interface ServiceLogger {
  readonly logger: Logger;
  /** Calls back for each line that is dropped because earlier lines are not read fast enough. */
  onLineDropped(listener: () => void): void;
  /** Writes the lines that are still buffered, if somebody reads them; call it before the process exits. */
  flush(): void;
}

/** One JSON line per entry, written asynchronously, so that logging does not delay requests. */
export function createLogger(config: Config['log'], instance: string): ServiceLogger {
  const pretty = config.format === 'pretty' ? prettyDestination() : undefined;
  const json = pino.destination({
    dest: 1,
    sync: false,
    maxLength: MOST_UNWRITTEN_BYTES,
    retryEAGAIN: isStillPatient(),
  });
  const logger = pino(
    {
      level: config.level,
      base: { service: 'order-service', instance },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // A second safeguard: no log line contains these on purpose.
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
    onLineDropped: (listener) => void json.on('drop', listener),
    flush() {
      try {
        json.flushSync();
      } catch {
        // Nobody reads the log. Without this, the exit would try again.
        json.destroy();
      }
    },
  };
}

/**
 * Called each time a write finds the pipe full. Asynchronous writes may retry for ever, each in its own turn of the
 * event loop; a synchronous write blocks the process.
 */
function isStillPatient(): () => boolean {
  let since: number | undefined;
  return () => {
    if (since === undefined) {
      since = performance.now();
      setImmediate(() => (since = undefined));
    }
    return performance.now() - since < FLUSH_PATIENCE_MS;
  };
}

/** Loaded only for the pretty format; production images do not contain it. */
function prettyDestination(): DestinationStream | undefined {
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const pretty = require('pino-pretty') as typeof import('pino-pretty');
    return pretty({ sync: true, ignore: 'pid,hostname,service,instance', translateTime: 'SYS:HH:MM:ss.l' });
  } catch {
    return undefined;
  }
}
