import { z } from 'zod';
import { InvalidSettings, loadPeerConfig, type Environment, type PeerConfig } from '../config/load-config';

const environment = z.object({
  ORDERS_URL: z.url({
    protocol: /^https?$/,
    error: ({ input }) =>
      input === undefined ? 'is not set' : 'must be a URL such as http://orders:3000/api/v1/orders',
  }),
  /** For all steps together, including the wait for servers that do not answer yet. */
  DEADLINE_SECONDS: z
    .string()
    .regex(/^[1-9]\d{0,3}$/, 'must be a whole number between 1 and 9999')
    .default('60')
    .transform(Number),
});

export interface Settings extends PeerConfig {
  readonly ordersUrl: string;
  readonly deadlineMs: number;
}

/** Throws {@link InvalidSettings} with all problems. */
export function readSettings(env: Environment): Settings {
  const given = Object.entries(env).filter(([, value]) => value !== '');
  const own = environment.safeParse(Object.fromEntries(given));
  const problems = own.success
    ? []
    : own.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  try {
    const peer = loadPeerConfig(env);
    if (!own.success) throw new InvalidSettings([]);
    const { ORDERS_URL, DEADLINE_SECONDS } = own.data;
    return { ...peer, ordersUrl: ORDERS_URL, deadlineMs: DEADLINE_SECONDS * 1_000 };
  } catch (error) {
    if (!(error instanceof InvalidSettings)) throw error;
    throw new InvalidSettings([...problems, ...error.problems]);
  }
}
