import type { Log } from '../application/ports';

/** A part is started after its dependencies and stopped before them. */
export interface Part {
  readonly name: string;
  start?(): void | Promise<void>;
  stop?(): void | Promise<void>;
}

export interface Lifecycle {
  /** Starts the parts in order. Dependencies that are unavailable do not fail it: the parts wait for them. */
  start(): Promise<void>;
  /**
   * Stops them in reverse. Resolves to false if that did not end within the deadline. Once begun, later calls get the
   * same result.
   */
  stop(): Promise<boolean>;
  draining(): boolean;
}

export function createLifecycle(parts: readonly Part[], deps: { deadlineMs: number; log: Log }): Lifecycle {
  const { log } = deps;
  const started: Part[] = [];
  let stopping: Promise<boolean> | undefined;

  async function stopAll(): Promise<void> {
    for (const part of started.reverse()) {
      try {
        await part.stop?.();
        log.debug({ part: part.name }, 'stopped');
      } catch (error) {
        // The other parts must be stopped anyway.
        log.error({ err: error, part: part.name }, 'stopping failed');
      }
    }
  }

  async function withinDeadline(work: Promise<void>): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), deps.deadlineMs);
    });
    const inTime = await Promise.race([work.then(() => true), deadline]);
    clearTimeout(timer);
    return inTime;
  }

  return {
    async start() {
      for (const part of parts) {
        if (stopping) return;
        started.push(part);
        await part.start?.();
      }
    },
    stop() {
      stopping ??= withinDeadline(stopAll());
      return stopping;
    },
    draining: () => stopping !== undefined,
  };
}
