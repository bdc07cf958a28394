import { createMongoStore, type MongoStore } from '../../src/adapters/mongo/store';
import { eventually } from './eventually';
import { newId } from './placements';
import { silentLog } from './silent';
import { createSkewedClock } from './skewed-clock';

export type MongoStoreOptions = Partial<Parameters<typeof createMongoStore>[0]> & { url: string };

/** A store that has been started; the caller closes it. */
export function startMongoStore(options: MongoStoreOptions): MongoStore {
  const store = createMongoStore({
    replicaId: `replica-${newId()}`,
    leaseMs: 15_000,
    clock: createSkewedClock(),
    log: silentLog,
    ...options,
  });
  store.start();
  return store;
}

export async function untilReady(store: MongoStore, ready = true): Promise<void> {
  await eventually(() => expect(store.ready()).toBe(ready), 20_000);
}

/** The URL of a database of its own on the same server. */
export function withDatabase(url: string, name = `test-${newId()}`): string {
  const changed = new URL(url);
  if (changed.username !== '' && !changed.searchParams.has('authSource')) {
    changed.searchParams.set('authSource', changed.pathname.slice(1) || 'admin');
  }
  changed.pathname = `/${name}`;
  return changed.href;
}
