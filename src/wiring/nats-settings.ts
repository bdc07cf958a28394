import { ACK_TIMEOUT_MS } from '../application/relay';
import type { Config } from '../config/load-config';
import { isOfTickets } from '../messaging/contracts';

/**
 * How many messages of a subject may be in flight at one replica: enough to keep its database connections busy. More
 * would wait for a connection until the redelivery wait is over, and be redelivered. Copies of tickets share a round
 * trip, hundreds at a time.
 */
const maxInFlight = (subject: string): number => (isOfTickets(subject) ? 512 : 64);

export function natsSettings(nats: Omit<Config['nats'], 'url'>) {
  const { servers, clusterId, clientId, queueGroup, redeliveryWaitSeconds } = nats;
  const limits = { ackTimeoutMs: ACK_TIMEOUT_MS, maxInFlight };
  return { servers, clusterId, clientId, queueGroup, redeliveryWaitSeconds, ...limits };
}
