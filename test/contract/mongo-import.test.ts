import { mongo } from 'mongoose';
import { openImport } from '../../src/adapters/mongo/import/open-import';
import { importOrders } from '../../src/application/import/import-orders';
import { planTicket } from '../../src/application/import/plan';
import { ImportFailed, ImportRefused, type ImportOptions } from '../../src/application/import/ports';
import type { Rejected } from '../../src/application/import/report';
import { Unavailable } from '../../src/application/ports';
import { openRefunds, type OrderStatus } from '../../src/domain/order';
import { createOldDatabase, oldId, oldOrder, oldTicket, wholeContent } from '../support/old-system';
import { eventually } from '../support/eventually';
import { createHeldLooks } from '../support/held-looks';
import { startMongoProxy, type Command } from '../support/mongo-proxy';
import { useMongod } from '../support/mongod';
import { startMongoStore, untilReady, withDatabase } from '../support/mongo-store';
import { change, newPlacement, payment, read } from '../support/placements';
import { describeWith } from '../support/servers';
import { silentLog } from '../support/silent';

type Document = mongo.BSON.Document;
type Opened = Awaited<ReturnType<typeof openImport>>;
const { ObjectId } = mongo;

/** A clock on which waiting takes no time. */
const impatient = {
  monotonic: () => performance.now(),
  random: Math.random,
  after(_ms: number, task: () => void) {
    const timer = setTimeout(task, 1);
    return () => clearTimeout(timer);
  },
};

describeWith(['mongod'], 'an import into MongoDB', () => {
  const { server, client, cleanUp } = useMongod();

  async function setUp(content: { orders: Document[]; tickets: Document[] }) {
    const old = await createOldDatabase(withDatabase(server().url), content);
    const url = withDatabase(server().url);
    const database = client().db(new URL(url).pathname.slice(1));
    cleanUp.push(old.close, () => database.dropDatabase());

    const open = async (owner: string, notes: string[] = [], mongoUrl = url) => {
      const opened = await openImport({
        mongoUrl,
        oldMongoUrl: old.url,
        owner,
        clock: impatient,
        note: (text) => void notes.push(text),
      });
      cleanUp.push(opened.close);
      return opened;
    };

    async function run(options: Partial<ImportOptions> & { dryRun?: boolean } = {}) {
      const { dryRun = false, ...rest } = options;
      const notes: string[] = [];
      const rejected: (Omit<Rejected, 'document'> & { document: string })[] = [];
      const { source, target, close } = await open(`import-${notes.length}-${Math.random()}`, notes);
      const report = await importOrders({
        source,
        target,
        dryRun,
        options: { cancelConflicts: false, ...rest },
        reject: async (all) => {
          rejected.push(...all.map((one) => ({ ...one, document: source.textOf(one.document) })));
        },
        onProgress() {},
      });
      await close();
      return { report, rejected, notes };
    }

    return {
      old,
      url,
      database,
      open,
      run,
      orders: database.collection<Document>('orders'),
      tickets: database.collection<Document>('tickets'),
      store() {
        const errors: string[] = [];
        const log = { ...silentLog, error: (_: object, text: string) => void errors.push(text) };
        const store = startMongoStore({ url, log });
        cleanUp.push(store.close);
        return { store, errors };
      },
    };
  }

  /** One order of one ticket. */
  async function setUpOne(status: OrderStatus = 'created') {
    const ticket = oldTicket();
    return { ticket, ...(await setUp({ orders: [oldOrder(ticket._id, status)], tickets: [ticket] })) };
  }

  async function startProxy() {
    const proxy = await startMongoProxy(server().port);
    cleanUp.push(proxy.close);
    return proxy;
  }

  /** A store of a running service that looks for an import when the test says so. */
  async function startLooking(options: Omit<Parameters<typeof startMongoStore>[0], 'clock'>) {
    const looks = createHeldLooks();
    const store = startMongoStore({ ...options, clock: looks.clock });
    cleanUp.push(store.close);
    await untilReady(store);
    return { looks, store };
  }

  it('stores orders and tickets as this service does, and only reads the old database', async () => {
    const ticket = oldTicket({ title: 'Jazz', price: '12.50', version: 7 });
    const unsold = oldTicket();
    const cancelled = oldOrder(ticket._id, 'cancelled');
    const complete = oldOrder(ticket._id, 'complete', { userId: 'another', version: 3 });
    const { old, run, orders, tickets, store } = await setUp({
      orders: [complete, cancelled],
      tickets: [ticket, unsold],
    });
    const before = await old.content();

    const { report, rejected } = await run();
    expect(report).toMatchObject({
      orders: { read: 2, imported: 2, rejected: 0 },
      tickets: { read: 2, imported: 2 },
      statuses: { cancelled: 1, complete: 1 },
    });
    expect(rejected).toEqual([]);
    expect(await old.content()).toEqual(before);
    expect(await orders.findOne({ _id: complete._id })).toEqual({
      _id: complete._id,
      version: 3,
      userId: 'another',
      status: 'complete',
      createdAt: complete._id.getTimestamp(),
      expiresAt: complete['expiresAt'],
      ticket: { id: ticket._id, title: 'Jazz', price: 12.5 },
      turn: 1,
      idempotencyKey: complete._id.toHexString(),
      payments: [],
      outbox: [],
      changes: [
        { version: 3, status: 'complete', input: 'place', cause: { type: 'import' }, at: expect.any(Date) },
      ],
      publishing: {
        next: 0,
        pending: 0,
        leaseUntil: new Date(0),
        owner: null,
        attempts: 0,
        since: expect.any(Date),
      },
      imported: { version: 3 },
    });
    expect(await tickets.findOne({ _id: ticket._id })).toEqual({
      _id: ticket._id,
      version: 7,
      title: 'Jazz',
      price: 12.5,
      userId: null,
      orderId: null,
      imported: { version: 7 },
    });

    const { store: ours, errors } = store();
    await untilReady(ours);
    expect((await read(ours.orders, complete._id.toHexString())).order).toMatchObject({ status: 'complete' });
    expect(await ours.orders.list({ userId: 'buyer', limit: 10 })).toHaveLength(1);
    expect((await ours.outbox.backlog()).pending).toBe(0);
    expect(errors).toEqual([]);
  });

  it('writes nothing in a dry run, and says the same', async () => {
    const ticket = oldTicket();
    const { run, database } = await setUp({
      orders: [oldOrder(ticket._id, 'complete'), oldOrder(ticket._id, 'created')],
      tickets: [ticket],
    });
    const dry = await run({ dryRun: true });
    expect(await wholeContent(database)).toEqual([]);
    const { report, rejected } = await run();
    expect(dry.report).toEqual({ ...report, dryRun: true });
    expect(dry.rejected).toEqual(rejected);
    expect(report.conflicts).toHaveLength(1);
  });

  it('names all that it cannot import, with the whole document', async () => {
    const [ticket, priceless, untitled] = [
      oldTicket(),
      oldTicket({ price: 'free' }),
      oldTicket({ title: 7 }),
    ];
    const on = (more: Document) => oldOrder(ticket._id, 'cancelled', more);
    const cases: [string, Document][] = [
      ['_id: is not an ObjectId', on({ _id: 'an id' })],
      ['ticket: is missing', on({ ticket: null })],
      ['ticket: is not an ObjectId', on({ ticket: ticket._id.toHexString() })],
      ['ticket: is not an ObjectId', on({ ticket: [ticket._id] })],
      ['ticket: there is no copy of it', on({ ticket: oldId() })],
      ['ticket: its copy is not valid (price: is not a number)', on({ ticket: priceless._id })],
      ['ticket: its copy is not valid (title: is not a text)', on({ ticket: untitled._id })],
      ['userId: is missing', on({ userId: null })],
      ['userId: is not a text', on({ userId: 7 })],
      ['userId: is empty', on({ userId: '' })],
      ['userId: is longer than 200 characters', on({ userId: 'u'.repeat(201) })],
      ['userId: is not well-formed Unicode', on({ userId: 'half \uFFFD' })],
      ['status: "paid" is not a known one', on({ status: 'paid' })],
      [`status: "${'x'.repeat(59)}… is not a known one`, on({ status: 'x'.repeat(100) })],
      ['status: is missing', on({ status: undefined })],
      ['version: is missing', on({ version: undefined })],
      ['version: is not a whole number', on({ version: 0.5 })],
      ['__v: is not a whole number', on({ version: undefined, __v: '1' })],
      ['expiresAt: is not a date', on({ expiresAt: '2025-01-01' })],
      [
        'expiresAt: is missing, and the order is open: --expiry-seconds sets it',
        oldOrder(ticket._id, 'created', { expiresAt: null }),
      ],
    ];
    const good = [on({ version: undefined, __v: 2 }), on({ expiresAt: undefined }), on({ note: 'x' })];
    const { run, orders, tickets, old } = await setUp({
      orders: [...cases.map(([, document]) => document), ...good].map(withoutUndefined),
      tickets: [ticket, priceless, untitled, { ...oldTicket(), _id: 'a name' as never }],
    });

    const { report, rejected } = await run();
    const ofOrders = rejected.filter(({ what }) => what === 'order');
    expect(ofOrders).toHaveLength(cases.length);
    for (const [reason, document] of cases) {
      const id = document['_id'] instanceof ObjectId ? document['_id'].toHexString() : document['_id'];
      const found = ofOrders.find((one) => one.id === id);
      expect(found).toMatchObject({ reason });
      expect(mongo.BSON.EJSON.parse(found!.document)).toEqual(
        await old.orders.findOne({ _id: document['_id'] }),
      );
    }
    expect(rejected.filter(({ what }) => what === 'ticket').map(({ id, reason }) => [id, reason])).toEqual(
      expect.arrayContaining([
        ['a name', '_id: is not an ObjectId'],
        [priceless._id.toHexString(), 'price: is not a number'],
        [untitled._id.toHexString(), 'title: is not a text'],
      ]),
    );
    expect(report.orders).toMatchObject({ read: cases.length + 3, imported: 3, rejected: cases.length });
    expect(report).toMatchObject({
      assumed: { expiryIsCreation: 1 },
      unknownFields: { note: 1 },
      statuses: { unknown: 3 },
    });
    expect(report.rejected.reduce((sum, { count }) => sum + count, 0)).toBe(rejected.length);
    expect(report.unimportedHolders).toEqual([
      expect.objectContaining({ ticketId: ticket._id.toHexString(), isBlocked: true }),
    ]);
    expect(await orders.countDocuments()).toBe(3);
    expect((await orders.find().toArray()).map(({ version }) => version as number).sort()).toEqual([1, 1, 2]);
    expect(await tickets.findOne({ _id: ticket._id })).toMatchObject({ orderId: expect.any(String) });
  });

  it('holds the ticket that an order names as text, and says if there is no copy to hold', async () => {
    const [ticket, free, lost] = [oldTicket(), oldTicket(), oldId()];
    const inText = (id: mongo.ObjectId, status: 'created' | 'cancelled') =>
      oldOrder(oldId(), status, { ticket: id.toHexString().toUpperCase() });
    const [holder, orphan] = [inText(ticket._id, 'created'), inText(lost, 'created')];
    const { run, orders, tickets } = await setUp({
      orders: [holder, orphan, inText(free._id, 'cancelled')],
      tickets: [ticket, free],
    });
    const { report } = await run();
    expect(report.orders).toMatchObject({ read: 3, rejected: 3 });
    expect(report.unimportedHolders).toHaveLength(2);
    expect(report.unimportedHolders).toEqual(
      expect.arrayContaining([
        { ticketId: ticket._id.toHexString(), orderIds: [holder._id.toHexString()], isBlocked: true },
        { ticketId: lost.toHexString(), orderIds: [orphan._id.toHexString()], isBlocked: false },
      ]),
    );
    expect(await orders.countDocuments()).toBe(0);
    expect(await tickets.findOne({ _id: ticket._id })).toMatchObject({ orderId: holder._id.toHexString() });
    expect(await tickets.findOne({ _id: free._id })).toMatchObject({ orderId: null });
  });

  it.each<[string, (id: mongo.ObjectId) => unknown]>([
    ['a document with its id', (_id) => ({ _id, title: 'Concert', price: 20 })],
    ['a document with its id as text', (id) => ({ id: id.toHexString() })],
    ['a reference', (id) => new mongo.DBRef('tickets', id)],
  ])('holds the ticket that an order names as %s', async (_, form) => {
    const ticket = oldTicket();
    const holder = oldOrder(oldId(), 'complete', { ticket: form(ticket._id) as never });
    const { run, tickets } = await setUp({ orders: [holder], tickets: [ticket] });
    const { report } = await run();
    expect(report.orders).toMatchObject({ read: 1, rejected: 1 });
    expect(report.unimportedHolders).toMatchObject([{ ticketId: ticket._id.toHexString(), isBlocked: true }]);
    expect(await tickets.findOne({ _id: ticket._id })).toMatchObject({ orderId: holder._id.toHexString() });
  });

  it('changes nothing when it is repeated, and brings up to date what has changed', async () => {
    const [one, two, three] = [oldTicket(), oldTicket(), oldTicket()];
    const paid = oldOrder(one._id, 'created');
    const revived = oldOrder(two._id, 'cancelled');
    const { old, run, database, orders, tickets } = await setUp({
      orders: [paid, revived],
      tickets: [one, two],
    });
    await run();
    const first = withoutMarker(await wholeContent(database));
    const again = await run();
    expect(again.report.orders).toMatchObject({ imported: 0, updated: 0, upToDate: 2 });
    expect(again.report.tickets).toMatchObject({ imported: 0, updated: 0, upToDate: 2 });
    expect(withoutMarker(await wholeContent(database))).toEqual(first);

    await old.orders.updateOne({ _id: paid._id }, { $set: { status: 'complete', version: 1 } });
    await old.orders.updateOne({ _id: revived._id }, { $set: { status: 'complete', version: 2 } });
    await old.orders.insertMany([oldOrder(one._id, 'cancelled'), oldOrder(three._id, 'created')]);
    await old.tickets.insertOne(three);
    await old.tickets.updateOne({ _id: two._id }, { $set: { price: 99, version: 1 } });
    const { report } = await run();
    expect(report.orders).toMatchObject({ imported: 2, updated: 2 });
    expect(report.tickets).toMatchObject({ imported: 1, updated: 1 });
    const turns = await orders.find({ 'ticket.id': one._id }).sort({ turn: 1 }).toArray();
    expect(turns.map(({ turn, status }) => [turn, status])).toEqual([
      [0, 'cancelled'],
      [1, 'complete'],
    ]);
    expect(await orders.findOne({ _id: revived._id })).toMatchObject({
      status: 'complete',
      version: 2,
      ticket: { price: 99 },
      imported: { version: 2 },
    });
    expect(await tickets.findOne({ _id: two._id })).toMatchObject({ price: 99, version: 1 });
  });

  it('does not change what this service has changed since, and what its own copy has become', async () => {
    const ticket = oldTicket();
    const order = oldOrder(ticket._id, 'created');
    const { old, run, orders, tickets, store } = await setUp({ orders: [order], tickets: [ticket] });
    await run();
    const { store: ours } = store();
    await untilReady(ours);
    await change(ours.orders, order._id.toHexString(), payment('p1'));
    await ours.tickets.apply({ id: ticket._id.toHexString(), version: 5, title: 'New', price: 1 });
    await ours.close();
    const before = [await orders.find().toArray(), await tickets.find().toArray()];

    await old.orders.updateOne({ _id: order._id }, { $set: { status: 'cancelled', version: 1 } });
    const { report, notes } = await run();
    expect(report.orders).toMatchObject({ keptOurs: 1, updated: 0 });
    expect(report.tickets).toMatchObject({ keptOurs: 1, updated: 0 });
    expect([await orders.find().toArray(), await tickets.find().toArray()]).toEqual(before);
    // A service has used this database: it may still run.
    expect(notes).toEqual([expect.stringMatching(/waiting 40 s/)]);
  });

  it('cancels the losers of a conflict with an event and an open refund, and only once', async () => {
    const ticket = oldTicket();
    const [open, kept, paid] = [
      oldOrder(ticket._id, 'created'),
      oldOrder(ticket._id, 'complete'),
      oldOrder(ticket._id, 'complete'),
    ];
    const { run, orders, store } = await setUp({ orders: [open, kept, paid], tickets: [ticket] });
    const { report } = await run({ cancelConflicts: true });
    expect(report.conflicts[0]?.others.map(({ id, result }) => [id, result])).toEqual([
      [open._id.toHexString(), 'cancelled'],
      [paid._id.toHexString(), 'cancelled, to be refunded'],
    ]);
    const before = await orders.find().sort({ turn: 1 }).toArray();
    expect(before.map(({ status, reason, version }) => [status, reason, version])).toEqual([
      ['cancelled', 'operator', 1],
      ['cancelled', 'operator', 2],
      ['complete', undefined, 1],
    ]);
    await run({ cancelConflicts: true });
    expect(await orders.find().sort({ turn: 1 }).toArray()).toEqual(before);

    const { store: ours } = store();
    await untilReady(ours);
    expect(await ours.outbox.backlog()).toMatchObject({ pending: 2 });
    const refunds = async () =>
      (await ours.orders.withOpenRefunds(10)).map((order) => [
        order.id,
        openRefunds(order).map(({ id }) => id),
      ]);
    const paidId = paid._id.toHexString();
    expect(await refunds()).toEqual([[paidId, [`imported-${paidId}`]]]);
    // The real payment takes the place of the one that was not known.
    await change(ours.orders, paid._id.toHexString(), payment('p1'));
    expect(await refunds()).toEqual([[paidId, ['p1']]]);
    const stored = await orders.findOne({ _id: paid._id });
    expect(stored?.['payments']).toMatchObject([
      { placeholder: true, refunded: { reference: 'p1' } },
      { id: 'p1', refund: 'late' },
    ]);
    expect(stored?.['outbox']).toHaveLength(2);
  });

  it('takes a cancelled loser back that holds its ticket alone now, as long as no replica has announced it', async () => {
    const ticket = oldTicket();
    const paid = () => oldOrder(ticket._id, 'complete');
    const [kept, loser, another] = [paid(), paid(), paid()];
    const { run, open, old, database, orders, store } = await setUp({
      orders: [kept, loser, another],
      tickets: [ticket],
    });
    await run({ cancelConflicts: true });
    expect(await orders.findOne({ _id: loser._id })).toMatchObject({
      status: 'cancelled',
      allRefunded: false,
      publishing: { next: 0, pending: 1 },
    });
    const before = await orders.find().toArray();
    const cancelled = { $set: { status: 'cancelled', version: 2 } };
    await old.orders.updateMany({ _id: { $in: [kept._id, another._id] } }, cancelled);
    await run({ cancelConflicts: true });
    const imported = await orders.find().sort({ turn: 1 }).toArray();
    expect(imported.map(({ _id, status, version }) => [_id, status, version])).toEqual([
      [kept._id, 'cancelled', 2],
      [another._id, 'cancelled', 2],
      [loser._id, 'complete', 1],
    ]);
    for (const { version, ...order } of imported) {
      expect(order).toMatchObject({ payments: [], outbox: [], publishing: { pending: 0 } });
      expect(order).toMatchObject({ imported: { version } });
      for (const field of ['reason', 'allRefunded']) expect(order).not.toHaveProperty(field);
    }

    // The same again, but a replica takes the lease, at first after the import has read the order.
    await orders.deleteMany({});
    await orders.insertMany(before);
    const { source, target, close } = await open('late');
    await target.begin();
    const stored = target.stored.bind(target);
    target.stored = async (ids) => {
      const read = await stored(ids);
      await orders.updateMany({ _id: loser._id }, { $set: { 'publishing.leaseUntil': new Date(1) } });
      return read;
    };
    await expect(writeAll({ source, target })).rejects.toThrow(/was changed while orders were imported/);
    await close();
    await orders.deleteMany({});
    await orders.insertMany(before);
    await database.collection('imports').deleteMany({});
    const { store: ours } = store();
    await untilReady(ours);
    expect(await ours.outbox.claim(loser._id.toHexString())).toMatchObject({ events: [{}] });
    await ours.close();
    const { report } = await run({ cancelConflicts: true });
    expect(report).toMatchObject({
      conflictsWithoutKeeper: 1,
      conflicts: [{ others: [{ id: loser._id.toHexString(), result: 'cancelled, to be refunded' }] }],
    });
    expect(await orders.findOne({ _id: loser._id })).toMatchObject({
      status: 'cancelled',
      publishing: { pending: 1 },
      outbox: [{ subject: 'order:cancelled' }],
    });
  });

  describe('is refused', () => {
    const anything = () => {
      const ticket = oldTicket();
      return { orders: [oldOrder(ticket._id, 'created')], tickets: [ticket] };
    };

    it('from an empty database, one of this service, and one of other orders', async () => {
      const { run, old } = await setUp({ orders: [], tickets: [] });
      await expect(run()).rejects.toThrow(/has no orders/);
      await old.orders.insertOne({ total: 3 });
      await expect(run()).rejects.toThrow(/none has userId, status and ticket/);
      await old.orders.deleteMany({});
      await old.orders.insertOne({
        turn: 0,
        idempotencyKey: 'k',
        userId: 'u',
        status: 'created',
        ticket: {},
      });
      await expect(run()).rejects.toThrow(/is one of this service/);
    });

    it('into a database of another service, before anything is written', async () => {
      const { run, old, orders, database } = await setUp(anything());
      await orders.insertOne(oldOrder(oldId(), 'created'));
      const before = await wholeContent(database);
      await expect(run()).rejects.toThrow(/data of another service/);
      expect(await wholeContent(database)).toEqual(before);
      // The old database itself, under whatever name.
      const same = openImport({
        mongoUrl: old.url,
        oldMongoUrl: old.url,
        owner: 'x',
        clock: impatient,
        note() {},
      });
      await expect(same).rejects.toThrow(ImportRefused);
    });

    it('once an order was placed here, without a trace', async () => {
      const { run, store, database } = await setUp(anything());
      const { store: ours } = store();
      await untilReady(ours);
      await ours.orders.insert(newPlacement());
      await ours.close();
      const before = await wholeContent(database);
      const refused = await run().catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(ImportRefused);
      expect(refused).toMatchObject({
        message: expect.stringContaining('orders that were placed with this'),
      });
      expect(await wholeContent(database)).toEqual(before);
    });

    it('while another one runs', async () => {
      const { run, open, orders } = await setUp(anything());
      const { target } = await open('the other');
      await target.begin();
      const second = await run().catch((error: unknown) => error);
      expect(second).toBeInstanceOf(ImportFailed);
      expect(second).toMatchObject({ message: 'another import into this database is running' });
      expect(await orders.countDocuments()).toBe(0);
    });
  });

  it('writes nothing more once another one has taken over', async () => {
    const { open, database, orders } = await setUpOne();
    const { source, target } = await open('frozen');
    await target.begin();
    await database.collection('imports').updateOne({}, { $set: { owner: 'another' } });
    // Noticed with the next renewal. Until then there is nothing that this could remove.
    const removal = {
      type: 'remove',
      before: { order: newPlacement().order, turn: 0, importedVersion: 0 },
    } as const;
    const plan = {
      ticketId: '',
      outcomes: [],
      orderWrites: [removal],
      unimportedHolders: [],
      isBlocked: false,
    };
    await eventually(() => expect(target.write([plan])).rejects.toThrow(/does not hold its lease any more/));
    const late = importOrders({
      source,
      target: { ...target, begin: async () => false },
      dryRun: false,
      options: { cancelConflicts: false },
      reject: async () => {},
      onProgress() {},
    });
    await expect(late).rejects.toThrow(/does not hold its lease any more/);
    expect(await orders.countDocuments()).toBe(0);
    expect(await database.collection('imports').findOne()).toMatchObject({ owner: 'another' });
  });

  it('is followed by one that finds a lease that nobody renews', async () => {
    const { run, open, database } = await setUpOne();
    const { target, close } = await open('killed');
    await target.begin();
    await close();
    await database
      .collection('imports')
      .updateOne({}, { $set: { owner: 'killed', leaseUntil: new Date(Date.now() + 300) } });
    const { report, notes } = await run();
    expect(report.orders.imported).toBe(1);
    expect(notes).toEqual([expect.stringMatching(/waiting until its lease ends/)]);
  });

  it('keeps no service away when it ends before its first write, unless it was unfinished before', async () => {
    const { open, database } = await setUpOne();
    const marked = () => database.collection('imports').findOne();
    const first = await open('first');
    await first.target.begin();
    expect(await marked()).toMatchObject({ unfinished: true, owner: 'first' });
    await first.close();
    expect(await marked()).toMatchObject({ unfinished: false, owner: null });

    for (const owner of ['second', 'third']) {
      const opened = await open(owner);
      // The first one has written nothing.
      expect(await opened.target.begin()).toBe(owner === 'third');
      expect(await opened.target.isUnfinished()).toBe(true);
      if (owner === 'second') await writeAll(opened);
      await opened.close();
      expect(await marked()).toMatchObject({ unfinished: true, owner: null });
    }
  });

  it('keeps no service away when it ends after batches with nothing to write', async () => {
    const { open, run, database } = await setUpOne();
    await run();
    const repeated = await open('repeated');
    await repeated.target.begin();
    expect(await writeAll(repeated)).toBe(1);
    await repeated.close();
    expect(await database.collection('imports').findOne()).toMatchObject({ unfinished: false, owner: null });
  });

  it.each<[string, (database: string) => (command: Command) => boolean]>([
    [
      'clocks',
      (database) =>
        ({ hello, $db }) =>
          hello === 1 && $db === database,
    ],
    [
      'documents of another service',
      () =>
        ({ find }) =>
          find === 'orders',
    ],
  ])('is noticed by a running service whose check of %s hangs', async (_, hanging) => {
    const { url, database, open } = await setUpOne();
    const proxy = await startProxy();
    const failed: string[] = [];
    const { looks, store } = await startLooking({
      url: throughProxy(url, proxy),
      log: { ...silentLog, debug: (_: object, text: string) => void failed.push(text) },
    });

    let release = (): void => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    cleanUp.push(async () => release());
    const hangs = new Promise<void>((resolve) => {
      proxy.holdAnswerTo(hanging(database.databaseName), () => {
        resolve();
        return released;
      });
    });
    looks.comeNow();
    await hangs;
    await (await open('the import')).target.begin();
    await eventually(() => {
      if (store.ready()) looks.comeNow();
      expect(store.ready()).toBe(false);
    });
    // The check was still waiting.
    expect(failed).toEqual([]);
  });

  it('is noticed by a process that was frozen, before it writes anything', async () => {
    const { ticket, url, orders, open } = await setUpOne();
    const { looks, store } = await startLooking({ url });
    const place = () => store.orders.insert(newPlacement());
    const find = () => store.tickets.find(ticket._id.toHexString());

    looks.advance(40_000);
    expect(store.ready()).toBe(false);
    await expect(place()).rejects.toThrow(Unavailable);
    // No import has begun: one look is enough.
    expect(await Promise.all([find(), find()])).toEqual([undefined, undefined]);
    expect(store.ready()).toBe(true);

    await (await open('the import')).target.begin();
    expect(store.ready()).toBe(true);
    looks.advance(40_000);
    await expect(Promise.all([place(), place()])).rejects.toThrow(Unavailable);
    await expect(find()).rejects.toThrow(Unavailable);
    expect(await orders.countDocuments()).toBe(0);
    expect(store.ready()).toBe(false);
  });

  it('is not missed by a process whose look took longer than it counts', async () => {
    const { ticket, url, orders, open } = await setUpOne();
    const proxy = await startProxy();
    const { looks, store } = await startLooking({ url: throughProxy(url, proxy) });

    looks.advance(40_000);
    proxy.holdAnswerTo(
      ({ find }) => find === 'imports',
      async () => {
        looks.advance(40_000);
        await (await open('the import')).target.begin();
      },
    );
    await expect(store.tickets.find(ticket._id.toHexString())).rejects.toThrow(/took too long/);
    await expect(store.orders.insert(newPlacement())).rejects.toThrow(Unavailable);
    expect(await orders.countDocuments()).toBe(0);
  });

  it('that is closed while it writes gives its lease back after the write', async () => {
    const { url, database, open } = await setUpOne();
    const proxy = await startProxy();
    const opened = await open('interrupted', [], throughProxy(url, proxy));
    await opened.target.begin();
    const marked = () => database.collection('imports').findOne();
    const seen: unknown[] = [];
    let closed: Promise<void> | undefined;
    proxy.holdAnswerTo(
      ({ insert }) => insert === 'orders',
      async () => {
        closed = opened.close();
        // Long enough for a lease that is given back at once.
        for (let i = 0; i < 100; i += 1) seen.push((await marked())?.['owner']);
      },
    );
    // The copy of the ticket would be written next.
    await expect(writeAll(opened)).rejects.toThrow(/was interrupted/);
    await closed;
    expect(seen).toEqual(Array(100).fill('interrupted'));
    expect(await marked()).toMatchObject({ unfinished: true, owner: null });
    expect(await database.collection('orders').countDocuments()).toBe(1);
    expect(await database.collection('tickets').countDocuments()).toBe(0);
  });

  it('ends without a further failure if its lease cannot be given back', async () => {
    const { url, open } = await setUpOne();
    const proxy = await startMongoProxy(server().port);
    const { target, close } = await open('cut off', [], throughProxy(url, proxy));
    await target.begin();
    await proxy.close();
    await close();
  }, 30_000);

  it('names the error of the database', async () => {
    const { orders, run } = await setUpOne();
    await orders.createIndex({ other: 1 }, { name: 'ticket.id_1_turn_1' });
    const failed = await run().catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(ImportFailed);
    expect(failed).toMatchObject({
      message: expect.stringMatching(/MONGO_URL answered with an error: .*index/i),
    });
  });

  it('keeps the service away until it is finished, and the service says so once', async () => {
    const { ticket, open, run, store, database } = await setUpOne('complete');
    const interrupted = await open('interrupted');
    await interrupted.target.begin();
    await writeAll(interrupted);
    await interrupted.close();
    const { store: ours, errors } = store();
    await eventually(() => expect(errors).toHaveLength(1), 20_000);
    expect(errors[0]).toMatch(/an import into it is unfinished since .*Run `order-service import` again/);
    expect(ours.ready()).toBe(false);
    await expect(ours.tickets.find(ticket._id.toHexString())).rejects.toThrow(/not ready/);

    await run();
    await untilReady(ours);
    expect(errors).toHaveLength(1);
    expect(await database.collection('imports').find().toArray()).toEqual([
      expect.objectContaining({ unfinished: false, finishedAt: expect.any(Date), owner: null }),
    ]);
  });
});

function throughProxy(url: string, proxy: { readonly port: number }): string {
  const changed = new URL(url);
  changed.port = String(proxy.port);
  return changed.href;
}

function withoutUndefined(document: Document): Document {
  return Object.fromEntries(Object.entries(document).filter(([, value]) => value !== undefined));
}

/** As an import does it that does not come to its end. Resolves to the number of tickets. */
async function writeAll({ source, target }: Pick<Opened, 'source' | 'target'>): Promise<number> {
  let tickets = 0;
  for await (const batch of source.batches()) {
    const stored = await target.stored(batch.tickets.map(({ id }) => id));
    await target.write(
      batch.tickets.map((one) => planTicket(one, stored.get(one.id), { cancelConflicts: false })),
    );
    tickets += batch.tickets.length;
  }
  return tickets;
}

function withoutMarker(content: unknown): unknown {
  return (content as { name: string }[]).filter(({ name }) => name !== 'imports');
}
