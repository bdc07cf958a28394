import type { ImportTarget, OldSystem } from '../../../application/import/ports';
import type { Clock } from '../../../application/ports';
import { openOldDatabase } from './old-database';
import { openTarget } from './target';

/** Both databases of an import. The old one is checked first: without it, nothing is asked of this service's. */
export async function openImport(deps: {
  mongoUrl: string;
  oldMongoUrl: string;
  /** Unique per process. */
  owner: string;
  clock: Pick<Clock, 'monotonic' | 'after' | 'random'>;
  /** Tells the operator why the import waits. */
  note: (text: string) => void;
}): Promise<{ source: OldSystem; target: ImportTarget; close(): Promise<void> }> {
  const source = await openOldDatabase(deps.oldMongoUrl);
  try {
    const target = await openTarget({ ...deps, url: deps.mongoUrl });
    return {
      source,
      target,
      async close() {
        await target.close().finally(source.close);
      },
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}
