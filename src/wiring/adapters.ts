import type { Bus, Publisher } from '../application/bus';
import type { Clock, Log } from '../application/ports';
import { LEASE_MS } from '../application/relay';
import type { Config } from '../config/load-config';
import type { ServiceMetrics } from '../observability/metrics';
import { systemClock, ticking } from './clock';
import { natsSettings } from './nats-settings';

interface Common {
  readonly metrics: ServiceMetrics;
  readonly log: Log;
}

/** The configured store. Adapters are loaded only where they are used. */
export async function chooseStore(
  mongoUrl: string | undefined,
  replicaId: string,
  { metrics, log, onReadyChange }: Common & { readonly onReadyChange: (ready: boolean) => void },
) {
  const common = { replicaId, leaseMs: LEASE_MS, log };
  if (mongoUrl === undefined) {
    const { createMemoryDatabase, connectMemoryStore } = await import('../adapters/memory/store.js');
    metrics.setDatabase(true);
    return connectMemoryStore(createMemoryDatabase(), { ...common, clock: systemClock });
  }
  const { createMongoStore } = await import('../adapters/mongo/store.js');
  return createMongoStore({
    ...common,
    clock: ticking,
    url: mongoUrl,
    onReadyChange(ready) {
      metrics.setDatabase(ready);
      onReadyChange(ready);
    },
    onRetry: metrics.retried,
  });
}

/** The configured bus; with an embedded broker also a connection like that of the ticket service. */
export async function chooseBus(
  nats: Config['nats'],
  { clock, metrics, log }: Common & { readonly clock: Clock },
): Promise<{ bus: Bus; peer?: Publisher }> {
  const { url, queueGroup, redeliveryWaitSeconds } = nats;
  if (url === undefined) {
    const { createMemoryBroker } = await import('../adapters/memory/bus.js');
    metrics.setBroker(true);
    const broker = createMemoryBroker({ clock, log, redeliveryWaitSeconds });
    const peer = broker.connect({ queueGroup: 'ticket-service' });
    peer.start();
    return { bus: broker.connect({ queueGroup }), peer };
  }
  const { createNatsStreamingBus } = await import('../adapters/nats-streaming/bus.js');
  const bus = createNatsStreamingBus({
    ...natsSettings(nats),
    url,
    clock,
    log,
    onConnectionChange: metrics.setBroker,
    onRetry: () => metrics.retried('broker_connection'),
  });
  return { bus };
}
