import type { RequestHandler } from 'express';

/** `database`: it answers and its indexes are verified. `draining`: the process is about to end. */
export interface Readiness {
  readonly database: 'up' | 'down';
  readonly broker: 'up' | 'down';
  readonly draining: boolean;
}

export interface Probes {
  /** Asked with every request, so it must not do any work. */
  readonly ready: () => Readiness;
}

/** Answers as long as the process turns round. */
export const livez: RequestHandler = (_req, res) => {
  res.set('Cache-Control', 'no-store').json({ status: 'alive' });
};

/** Whether requests should be sent here. Without the broker everything over HTTP still works: degraded, but ready. */
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

/** While the process drains, clients are told to come back on a new connection: that one leads elsewhere. */
export function closeWhenDraining({ ready }: Probes): RequestHandler {
  return (_req, res, next) => {
    if (ready().draining) res.setHeader('Connection', 'close');
    next();
  };
}
