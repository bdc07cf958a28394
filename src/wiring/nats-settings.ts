import { ACK_TIMEOUT_MS } from '../application/relay';
import type { Config } from '../config/load-config';
import { isOfTickets } from '../messaging/contracts';

/**
 * How many messages of a subject may be in flight at one replica: enough to keep its connections to the database busy. More
 * would wait for one of those until their time is up, and come again. Copies of tickets share a round trip, hundreds at a
 * time.
 */
const maxInFlight = (subject: string): number => (isOfTickets(subject) ? 512 : 64);

export function natsSettings(nats: Omit<Config['nats'], 'url'>) {
  const { servers, clusterId, clientId, queueGroup, redeliveryWaitSeconds } = nats;
  const limits = { ackTimeoutMs: ACK_TIMEOUT_MS, maxInFlight };
  return { servers, clusterId, clientId, queueGroup, redeliveryWaitSeconds, ...limits };
}
