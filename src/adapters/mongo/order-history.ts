import type { OrderHistory } from '../../application/operator-ports';
import type { MongoConnection } from './connection';
import { toObjectId, toOrder, type Models, type OrderDocument } from './documents';

/** Reads all that is stored of an order, for an operator. */
export function createOrderHistory(
  { orders }: Models,
  { ask }: Pick<MongoConnection, 'ask'>,
): (id: string) => Promise<OrderHistory | undefined> {
  return (id) =>
    ask(async () => {
      const document = await orders.findById(toObjectId(id)).lean<OrderDocument>();
      return document ? toHistory(document) : undefined;
    });
}

function toHistory(document: OrderDocument): OrderHistory {
  const { turn, changes = [], outbox, published = [], publishing, imported } = document;
  const { owner, attempts, leaseUntil } = publishing;
  return {
    order: toOrder(document),
    turn,
    changes,
    events: outbox.map((event) => {
      const mark = published.find(({ seq }) => seq === event.seq);
      return {
        ...event,
        isPublished: event.seq < publishing.next,
        ...(mark ? { publishedAt: mark.at } : {}),
      };
    }),
    publishing: { attempts, ...(owner === null ? {} : { owner, leaseUntil }) },
    ...(imported && { imported }),
  };
}
