import type { RequestHandler } from 'express';

/** `database`: it answers and its indexes are verified. `draining`: the process is stopping. */
export interface Readiness {
  readonly database: 'up' | 'down';
  readonly broker: 'up' | 'down';
  readonly draining: boolean;
}

export interface Probes {
  /** Called for every request, so it must not do any work. */
  readonly ready: () => Readiness;
}

/** Answers as long as the event loop runs. */
export const livez: RequestHandler = (_req, res) => {
  res.set('Cache-Control', 'no-store').json({ status: 'alive' });
};

/** Whether this replica should get requests. Without the broker all of HTTP still works: degraded, but ready. */
export function readyz({ ready }: Probes): RequestHandler {
  return (_req, res) => {
    const { database, broker, draining } = ready();
    const fit = database === 'up' && !draining;
    const status = !fit ? 'unready' : broker === 'up' ? 'ready' : 'degraded';
    res
      .status(fit ? 200 : 503)
      .set('Cache-Control', 'no-store')
      .json({ status, database, broker, draining });
  };
}

/** While draining, closes connections after their answer, so that clients reconnect to another replica. */
export function closeWhenDraining({ ready }: Probes): RequestHandler {
  return (_req, res, next) => {
    if (ready().draining) res.setHeader('Connection', 'close');
    next();
  };
}
