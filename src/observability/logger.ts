import pino from 'pino';
import type { DestinationStream, Logger } from 'pino';
import type { Config } from '../config/load-config';

/** A log that nobody reads must not take all memory. */
const MOST_UNWRITTEN_BYTES = 8 * 1024 * 1024;
/** How long a full pipe may block the process before it goes on, or exits. */
const FLUSH_PATIENCE_MS = 1_000;

export interface ServiceLogger {
  readonly logger: Logger;
  /** Calls back for each line that is dropped, because those before it are not read fast enough. */
  onLineDropped(listener: () => void): void;
  /** Writes out what is still on its way, if somebody reads it; to be called before the process exits. */
  flush(): void;
}

/** One JSON line per entry, written asynchronously, for log lines must not hold up requests. */
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
    onLineDropped: (listener) => void json.on('drop', listener),
    flush() {
      try {
        json.flushSync();
      } catch {
        // Nobody reads it. What exits would try again.
        json.destroy();
      }
    },
  };
}

/**
 * Asked each time that a write finds the pipe full. Writes that are asynchronous may try for ever, each in a turn of the
 * event loop of its own; a synchronous one keeps the process from everything else.
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
