import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { mongo } from 'mongoose';
import { startMongod } from '../support/mongod';
import { withDatabase } from '../support/mongo-store';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import type { Processes } from './processes';

/** A mongod and a NATS Streaming server of their own, both durable, and a client for what the bench looks at itself. */
export type Servers = Awaited<ReturnType<typeof startServers>>;

export async function startServers(processes: Processes) {
  const [mongod, broker] = await Promise.all([
    processes.add(startMongod(['--wiredTigerCacheSizeGB', cacheGigabytes()])),
    processes.add(startNatsStreamingServer()),
  ]);
  const client = await mongo.MongoClient.connect(mongod.url, { w: 'majority', journal: true });
  const folder = await mkdtemp(join(tmpdir(), 'bench-'));
  return processes.add(
    Promise.resolve({
      mongod,
      broker,
      client,
      /** For the logs of contenders. */
      folder,
      /** The URL of a database of the mongod. */
      databaseUrl: (name: string) => withDatabase(mongod.url, name),
      async stop() {
        await client.close();
        await Promise.all([mongod.stop(), broker.stop()]);
        await rm(folder, { recursive: true, force: true });
      },
      kill() {},
    }),
  );
}

/** What mongod takes by itself: half of the memory beyond the first gigabyte. It is set, so that it is the same in every build. */
export function cacheGigabytes(): string {
  return Math.max(0.25, (totalmem() / 2 ** 30 - 1) / 2).toFixed(2);
}
