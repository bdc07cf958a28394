import { planTicket } from './plan';
import type { ImportOptions, ImportTarget, OldSystem } from './ports';
import { createReport, type ImportReport, type Rejected } from './report';

/**
 * Imports the orders and tickets of an old system, batch by batch. It can be repeated: what has changed in the old system
 * is brought up to date, what this service has changed since is kept.
 */
export async function importOrders(deps: {
  source: OldSystem;
  target: ImportTarget;
  /** Writes nothing. */
  dryRun: boolean;
  options: ImportOptions;
  /** Takes what is not imported of a batch, before the rest of it is written. Called for each batch, and not before. */
  reject: (rejected: readonly Rejected[], begun: { readonly continuesUnfinished: boolean }) => Promise<void>;
  /** Called after each batch with the number of orders so far. */
  onProgress: (orders: number) => void;
}): Promise<ImportReport> {
  const { source, target, dryRun, options } = deps;
  const report = createReport({ dryRun });
  const continuesUnfinished = await (dryRun ? target.isUnfinished() : target.begin());
  for await (const batch of ahead(source.batches())) {
    const stored = await target.stored(batch.tickets.map(({ id }) => id));
    const plans = batch.tickets.map((ticket) => planTicket(ticket, stored.get(ticket.id), options));
    await deps.reject(report.addBatch(batch, plans), { continuesUnfinished });
    if (!dryRun) await target.write(plans);
    deps.onProgress(report.orders.read);
  }
  if (!dryRun) await target.finish();
  return report.result();
}

/** Reads the next element while the last one is worked on. */
async function* ahead<T>(elements: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = elements[Symbol.asyncIterator]();
  let next = iterator.next();
  try {
    for (;;) {
      const result = await next;
      if (result.done === true) return;
      next = iterator.next();
      // Its failure is reported when it is awaited; until then nobody handles it.
      next.catch(() => {});
      yield result.value;
    }
  } finally {
    await iterator.return?.();
  }
}
