import type { OrderEvent } from '../domain/events';
import type { OutboxEvent } from './ports';

/** Events as they go into the outbox: numbered from `firstSeq`, each with the exact text to publish. */
export function toOutbox(events: readonly OrderEvent[], firstSeq: number, at: Date): OutboxEvent[] {
  return events.map(({ subject, data }, index) => ({
    seq: firstSeq + index,
    subject,
    data: JSON.stringify(data),
    at,
  }));
}
