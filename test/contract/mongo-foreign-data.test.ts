import { mongo } from 'mongoose';
import { Unavailable } from '../../src/application/ports';
import { eventually } from '../support/eventually';
import { createHeldLooks } from '../support/held-looks';
import { startMongoProxy } from '../support/mongo-proxy';
import { useMongod } from '../support/mongod';
import { startMongoStore, untilReady, withDatabase } from '../support/mongo-store';
import { newId, newPlacement, read } from '../support/placements';
import { describeWith } from '../support/servers';
import { silentLog } from '../support/silent';

const { ObjectId } = mongo;
type Document = Record<string, unknown>;

/** As other order services store them. */
const FOREIGN_ORDERS: readonly [string, () => Document][] = [
  [
    'refers to its ticket by its id',
    () => ({
      userId: 'u',
      status: 'created',
      expiresAt: new Date(),
      ticket: new ObjectId(),
      version: 0,
    }),
  ],
  [
    'has no expiry and a version of Mongoose',
    () => ({ userId: 'u', status: 'complete', ticket: new ObjectId(), __v: 0 }),
  ],
  [
    'holds its ticket',
    () => ({ userId: 'u', status: 'created', ticket: { id: new ObjectId(), title: 'T', price: 1 } }),
  ],
  [
    'has a key and a ticket of its own kind',
    () => ({ userId: 'u', status: 'created', idempotencyKey: newId(), ticketId: newId() }),
  ],
  [
    'has a key and holds its ticket',
    () => ({ status: 'paid', idempotencyKey: newId(), ticket: { id: new ObjectId() }, turn: 0 }),
  ],
];

describeWith(['mongod'], 'a database of another service', () => {
  const { server, client, cleanUp } = useMongod();

  function setUp() {
    const url = withDatabase(server().url);
    const database = client().db(new URL(url).pathname.slice(1));
    const orders = database.collection<Document>('orders');
    const errors: { fields: Document; text: string }[] = [];
    const log = {
      ...silentLog,
      error: (fields: object, text: string) => void errors.push({ fields: fields as Document, text }),
    };
    cleanUp.push(() => database.dropDatabase());
    return {
      url,
      database,
      orders,
      errors,
      start(options: Partial<Parameters<typeof startMongoStore>[0]> = {}) {
        const store = startMongoStore({ url, log, ...options });
        cleanUp.push(store.close);
        return store;
      },
      /** All that is in the database, indexes too. */
      async content() {
        const collections = await database.listCollections().toArray();
        return Promise.all(
          collections
            .map(({ name }) => name)
            .sort()
            .map(async (name) => [
              name,
              await database.collection(name).find().sort({ _id: 1 }).toArray(),
              await database.collection(name).indexes(),
            ]),
        );
      },
    };
  }

  it.each(FOREIGN_ORDERS)('is not touched where an order %s', async (_, foreign) => {
    const { orders, start, errors, content } = setUp();
    const documents = [foreign(), foreign(), foreign(), foreign()];
    await orders.insertMany(documents);
    const before = await content();

    let retries = 0;
    const store = start({ onRetry: () => void (retries += 1) });
    await eventually(() => expect(retries).toBeGreaterThan(2), 20_000);

    expect(store.ready()).toBe(false);
    for (const refused of [
      store.orders.insert(newPlacement()),
      store.orders.find(String(documents[0]!['_id'])),
      store.orders.list({ userId: 'u', limit: 10 }),
      store.tickets.find(newId()),
      store.tickets.apply({ id: newId(), version: 0, title: 'T', price: 1 }),
    ]) {
      await expect(refused).rejects.toThrow(Unavailable);
    }
    expect(await content()).toEqual(before);
    expect(errors).toEqual([
      {
        fields: { collection: 'orders', count: 4, example: String(documents[0]!['_id']) },
        text: expect.stringMatching(/data of another service: 4 documents in "orders".*MONGO_URL/),
      },
    ]);
  });

  it('is used as soon as the foreign documents are gone', async () => {
    const { orders, start, errors } = setUp();
    await orders.insertOne(FOREIGN_ORDERS[0]![1]());
    const store = start();
    await eventually(() => expect(errors).toHaveLength(1), 20_000);
    expect(store.ready()).toBe(false);
    await orders.deleteMany({});
    await untilReady(store);
    expect(await store.orders.insert(newPlacement())).toMatchObject({ type: 'inserted' });
  });

  it.each([
    ['without a seller', { title: 'T', price: 1, version: 0 }],
    ['without a version', { title: 'T', price: 1, userId: 'u', __v: 3 }],
    ['of the ticket service itself', { title: 'T', price: 1, userId: 'u', version: 2 }],
  ])('is not touched where it has no order yet, but tickets %s', async (_, ticket) => {
    const { database, start, errors } = setUp();
    await database.collection<Document>('tickets').insertOne(ticket);
    const store = start();
    await eventually(() => expect(errors).toHaveLength(1), 20_000);
    expect(store.ready()).toBe(false);
    expect(errors[0]?.fields).toMatchObject({ collection: 'tickets', count: 1 });
  });

  it('is no other than ours with tickets of no seller', async () => {
    const { start } = setUp();
    const store = start();
    await untilReady(store);
    const id = newId();
    await store.tickets.apply({ id, version: 0, title: 'T', price: 1 });
    await store.orders.insert(newPlacement({ ticketId: id }));
    await store.close();
    const again = start();
    await untilReady(again);
    expect(await again.tickets.find(id)).toEqual({ id, version: 0, title: 'T', price: 1 });
  });

  it('is ours again when our indexes were lost with nothing else', async () => {
    const { start, database, orders } = setUp();
    const store = start();
    await untilReady(store);
    const placement = newPlacement();
    await store.tickets.apply({ id: placement.order.ticket.id, version: 0, title: 'T', price: 1 });
    await store.orders.insert(placement);
    await store.close();
    await orders.dropIndexes();
    expect(await database.collection('tickets').countDocuments()).toBe(1);
    const again = start();
    await untilReady(again);
    expect((await read(again.orders, placement.order.id)).order.id).toBe(placement.order.id);
    expect((await orders.indexes()).length).toBeGreaterThan(5);
  });

  it('answers no request with a document that appears among ours, and stops until it is gone', async () => {
    const { start, orders, errors } = setUp();
    const looks = createHeldLooks();
    const store = start({ clock: looks.clock });
    await untilReady(store);
    const ours = newPlacement({ userId: 'u' });
    await store.orders.insert(ours);
    const { insertedId } = await orders.insertOne({ ...FOREIGN_ORDERS[0]![1](), createdAt: new Date() });

    await expect(store.orders.find(String(insertedId))).rejects.toThrow(Unavailable);
    await expect(store.orders.list({ userId: 'u', limit: 10 })).rejects.toThrow(Unavailable);
    expect((await read(store.orders, ours.order.id)).order.id).toBe(ours.order.id);

    expect(store.ready()).toBe(true);
    looks.comeNow();
    await untilReady(store, false);
    await eventually(() => expect(errors).toHaveLength(1), 20_000);
    await orders.deleteOne({ _id: insertedId });
    await untilReady(store);
    expect(await store.orders.list({ userId: 'u', limit: 10 })).toHaveLength(1);
  });

  it('is looked for through indexes alone, and among tickets only before there are any', async () => {
    const proxy = await startMongoProxy(server().port);
    cleanUp.push(proxy.close);
    const { url, database, start } = setUp();
    const through = url.replace(`:${server().port}`, `:${proxy.port}`);
    const first = start({ url: through });
    await untilReady(first);
    const asked = (collection: string) => proxy.commands.filter(({ find }) => find === collection);
    expect(asked('tickets')).toHaveLength(1);
    await Promise.all(Array.from({ length: 50 }, () => first.orders.insert(newPlacement())));
    await first.close();

    proxy.forget();
    const second = start({ url: through });
    await untilReady(second);
    expect(asked('tickets')).toEqual([]);
    const [look, ...others] = asked('orders');
    expect(others).toEqual([]);
    const { executionStats, queryPlanner } = await database
      .collection('orders')
      .find(look!['filter'] as Document)
      .explain('executionStats');
    expect(JSON.stringify(queryPlanner)).toContain('IXSCAN');
    expect(JSON.stringify(queryPlanner)).not.toContain('COLLSCAN');
    expect(executionStats.totalDocsExamined).toBe(0);
  });
});
