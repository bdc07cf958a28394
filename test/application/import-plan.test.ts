import fc from 'fast-check';
import { planTicket } from '../../src/application/import/plan';
import type {
  ImportedOrder,
  ImportOptions,
  OldOrder,
  OldTicket,
  RefusedOrder,
  StoredTicket,
  TicketPlan,
} from '../../src/application/import/ports';
import { holdsTicket, openRefunds, type OrderStatus } from '../../src/domain/order';

const TICKET = 'a'.repeat(24);
const copy = { id: TICKET, version: 3, title: 'Concert', price: 20 };
const PLAIN: ImportOptions = { cancelConflicts: false };
const CANCELLING: ImportOptions = { cancelConflicts: true };

/** The order that was created as the nth. */
function old(nth: number, status: OrderStatus, more: Partial<OldOrder> = {}): OldOrder {
  const id = (0x65000000 + nth).toString(16).padEnd(24, '0');
  const createdAt = new Date((0x65000000 + nth) * 1000);
  return {
    id,
    version: status === 'created' ? 0 : 1,
    userId: 'buyer',
    status,
    createdAt,
    expiresAt: new Date(createdAt.getTime() + 900_000),
    source: { _id: id },
    ...more,
  };
}

const ticketOf = (orders: readonly OldOrder[], more: Partial<OldTicket> = {}): OldTicket => ({
  id: TICKET,
  copy,
  orders,
  refused: [],
  ...more,
});

/** What is stored once the plan is carried out, as the adapter does it. */
function carryOut(plan: TicketPlan, before: StoredTicket = { orders: [] }): StoredTicket {
  const orders = new Map(before.orders.map((one) => [one.order.id, one]));
  for (const write of plan.orderWrites) {
    if (write.type === 'remove') orders.delete(write.before.order.id);
    else if (write.type === 'move') orders.set(write.before.order.id, { ...write.before, turn: write.turn });
    else {
      const { order, turn, conflictWith } = write.planned;
      const stored: ImportedOrder = { order, turn, importedVersion: order.version };
      orders.set(
        order.id,
        conflictWith === undefined ? stored : { ...stored, conflictWith, isAnnounced: false },
      );
    }
  }
  const { ticketWrite: write } = plan;
  const copied = write && { ticket: write.ticket, importedVersion: write.ticket.version };
  return { orders: [...orders.values()], ...((copied ?? before.copy) && { copy: copied ?? before.copy! }) };
}

const imported = (orders: readonly OldOrder[], options = PLAIN, before?: StoredTicket) =>
  carryOut(planTicket(ticketOf(orders), before, options), before);

/** This service changes the order at this place. */
const change = (stored: StoredTicket, nth: number, status: OrderStatus): StoredTicket => ({
  ...stored,
  orders: stored.orders.map((one, index) =>
    index === nth ? { ...one, order: { ...one.order, status, version: one.order.version + 1 } } : one,
  ),
});

/** A replica publishes what is to be published. */
const announce = (stored: StoredTicket): StoredTicket => ({
  ...stored,
  orders: stored.orders.map((one) => (one.conflictWith === undefined ? one : { ...one, isAnnounced: true })),
});

const inTurn = ({ orders }: StoredTicket) => [...orders].sort((one, other) => one.turn - other.turn);
const idsOf = ({ orders }: StoredTicket) => orders.map(({ order }) => order.id).sort();
const statuses = (stored: StoredTicket) => inTurn(stored).map(({ order }) => order.status);
const outcomes = (plan: TicketPlan) => plan.outcomes.map(({ outcome }) => outcome);

describe('the turns of an imported ticket', () => {
  it('follow the creation of its orders', () => {
    const orders = [old(3, 'created'), old(1, 'cancelled'), old(2, 'cancelled')];
    const stored = imported(orders);
    expect(statuses(stored)).toEqual(['cancelled', 'cancelled', 'created']);
    expect(stored.orders.find(({ turn }) => turn === 0)?.order.id).toBe(old(1, 'cancelled').id);
  });

  it('give the highest one to the order that holds the ticket, whenever it was created', () => {
    expect(statuses(imported([old(1, 'complete'), old(2, 'cancelled'), old(3, 'cancelled')]))).toEqual([
      'cancelled',
      'cancelled',
      'complete',
    ]);
  });
});

describe('the import of an order', () => {
  it('keeps its fields, has no event and no payment, and takes the ticket from its copy', () => {
    const order = old(1, 'complete', { version: 4 });
    const [write] = planTicket(ticketOf([order]), undefined, PLAIN).orderWrites;
    const { source: _, ...fields } = order;
    expect(write).toEqual({
      type: 'insert',
      planned: {
        order: { ...fields, ticket: { id: TICKET, title: 'Concert', price: 20 }, payments: [] },
        turn: 0,
        events: [],
      },
    });
  });

  it.each(['complete', 'cancelled'] as const)('assumes an expiry of one that is %s', (status) => {
    const { expiresAt: _, ...order } = old(1, status);
    const plan = planTicket(ticketOf([order]), undefined, PLAIN);
    expect(plan.outcomes).toMatchObject([{ outcome: 'imported', assumed: 'expiryIsCreation' }]);
    expect(carryOut(plan).orders[0]?.order.expiresAt).toEqual(order.createdAt);
  });

  it('refuses an open one without an expiry, unless it is told which', () => {
    const { expiresAt: _, ...order } = old(1, 'created');
    const plan = planTicket(ticketOf([order]), undefined, PLAIN);
    expect(plan.outcomes).toMatchObject([
      { outcome: 'rejected', reason: expect.stringContaining('expiresAt') },
    ]);
    expect(plan).toMatchObject({ unimportedHolders: [order.id], isBlocked: true });

    const told = planTicket(ticketOf([order]), undefined, { ...PLAIN, expirySeconds: 60 });
    expect(told.outcomes).toMatchObject([{ outcome: 'imported', assumed: 'expiryFromOption' }]);
    expect(carryOut(told).orders[0]?.order.expiresAt.getTime()).toBe(order.createdAt.getTime() + 60_000);
  });

  it('refuses one without a copy of its ticket, and says that the ticket can be sold', () => {
    const orders = [old(1, 'cancelled'), old(2, 'created')];
    const { copy: _, ...ticket } = ticketOf(orders);
    const plan = planTicket(ticket, undefined, PLAIN);
    expect(outcomes(plan)).toEqual(['rejected', 'rejected']);
    expect(plan.unimportedHolders).toEqual([old(2, 'created').id]);
    expect(plan).toMatchObject({ isBlocked: false, orderWrites: [] });
    expect(plan).not.toHaveProperty('ticketWrite');
  });

  it('blocks the ticket of an order that was refused, unless that is cancelled for certain', () => {
    const refused = (mayHoldTicket: boolean): RefusedOrder => ({
      id: 'not an id',
      reason: '_id: is not an ObjectId',
      source: {},
      mayHoldTicket,
    });
    const plan = planTicket(ticketOf([], { refused: [refused(true)] }), undefined, PLAIN);
    expect(plan).toMatchObject({
      isBlocked: true,
      ticketWrite: { type: 'insert', ticket: { ...copy, orderId: 'not an id' } },
    });
    const free = planTicket(ticketOf([], { refused: [refused(false)] }), undefined, PLAIN);
    expect(free).toMatchObject({ isBlocked: false, ticketWrite: { ticket: copy } });
  });
});

describe('several orders that hold one ticket', () => {
  const [first, second, third] = [old(1, 'created'), old(2, 'complete'), old(3, 'complete')];

  it.each([
    ['the oldest paid one', [first, second, third], second],
    ['the oldest if none is paid', [first, old(2, 'created')], first],
  ])('leave it to %s; the others are not imported', (_, orders, kept) => {
    const plan = planTicket(ticketOf(orders), undefined, PLAIN);
    expect(plan.conflict?.kept?.id).toBe(kept.id);
    const others = orders.filter((order) => order !== kept);
    expect(plan.conflict?.others).toEqual(
      others.map(({ id, status }) => ({ id, status, result: 'not imported' })),
    );
    expect(plan.outcomes.filter(({ outcome }) => outcome === 'rejected')).toMatchObject(
      others.map(({ id }) => ({ id, keptOrderId: kept.id })),
    );
    expect(carryOut(plan).orders.map(({ order }) => order.id)).toEqual([kept.id]);
    expect(plan).toMatchObject({ unimportedHolders: others.map(({ id }) => id), isBlocked: true });
  });

  it('are imported cancelled if that is asked for, and the paid ones are to be refunded', () => {
    const plan = planTicket(ticketOf([first, second, third]), undefined, CANCELLING);
    expect(plan.conflict).toEqual({
      ticketId: TICKET,
      kept: { id: second.id, status: 'complete' },
      others: [
        { id: first.id, status: 'created', result: 'cancelled' },
        { id: third.id, status: 'complete', result: 'cancelled, to be refunded' },
      ],
    });
    const stored = carryOut(plan);
    expect(statuses(stored)).toEqual(['cancelled', 'cancelled', 'complete']);
    expect(stored.orders.flatMap(({ order }) => openRefunds(order))).toHaveLength(1);
    expect(plan).toMatchObject({ unimportedHolders: [], isBlocked: false });
    const events = plan.orderWrites.flatMap((write) => (write.type === 'insert' ? write.planned.events : []));
    expect(events.map(({ subject }) => subject)).toEqual(['order:cancelled', 'order:cancelled']);
  });

  it('are decided anew when one is paid: what was imported as its holder is taken back', () => {
    const before = imported([first, old(2, 'created')]);
    expect(before.orders.map(({ order }) => order.id)).toEqual([first.id]);
    const after = imported([first, second], PLAIN, before);
    expect(after.orders.map(({ order }) => order.id)).toEqual([second.id]);
  });

  it('stay cancelled, once peers may have received that', () => {
    const before = announce(imported([first, old(2, 'created')], CANCELLING));
    const paidLater = planTicket(ticketOf([first, second]), before, PLAIN);
    const stored = carryOut(paidLater, before);
    expect(statuses(stored)).toEqual(['cancelled', 'created']);
    expect(openRefunds(stored.orders.find(({ order }) => order.id === second.id)!.order)).toHaveLength(1);
  });

  it.each([
    ['paid', second],
    ['open', old(2, 'created')],
  ])(
    'are decided anew while nobody knows it: the only one that is left, and is %s, holds the ticket',
    (_, left) => {
      const before = imported([first, old(2, 'created')], CANCELLING);
      expect(statuses(before)).toEqual(['cancelled', 'created']);
      const plan = planTicket(ticketOf([old(1, 'cancelled'), left]), before, PLAIN);
      expect(plan).not.toHaveProperty('conflict');
      const after = carryOut(plan, before);
      expect(inTurn(after).map(({ order }) => [order.id, order.status, order.payments])).toEqual([
        [first.id, 'cancelled', []],
        [second.id, left.status, []],
      ]);
      expect(after.orders.filter(({ conflictWith }) => conflictWith !== undefined)).toEqual([]);
      expect(plan.orderWrites.flatMap((write) => ('planned' in write ? write.planned.events : []))).toEqual(
        [],
      );
    },
  );

  it('stay cancelled without the option too, while the same one keeps the ticket', () => {
    const before = imported([first, old(2, 'created')], CANCELLING);
    const plan = planTicket(ticketOf([first, old(2, 'created')]), before, PLAIN);
    expect(plan.orderWrites).toEqual([]);
    expect(plan.conflict?.others).toEqual([{ id: second.id, status: 'created', result: 'cancelled' }]);
  });

  it('are reported without a keeper, if all that are left stay cancelled', () => {
    const before = announce(imported([first, old(2, 'created')], CANCELLING));
    const plan = planTicket(ticketOf([old(1, 'cancelled'), second]), before, CANCELLING);
    expect(plan.conflict).toEqual({
      ticketId: TICKET,
      others: [{ id: second.id, status: 'complete', result: 'cancelled, to be refunded' }],
    });
    const ended = planTicket(ticketOf([old(1, 'cancelled'), old(2, 'cancelled')]), before, CANCELLING);
    expect(ended).not.toHaveProperty('conflict');
  });
});

describe('a second import', () => {
  it.each([
    ['created', 'complete'],
    ['created', 'cancelled'],
    ['cancelled', 'complete'],
  ] as const)('brings an order that was %s and is %s up to date', (was, is) => {
    const before = imported([old(1, was)]);
    const plan = planTicket(ticketOf([old(1, is, { version: 2 })]), before, PLAIN);
    expect(outcomes(plan)).toEqual(['updated']);
    expect(carryOut(plan, before).orders[0]).toMatchObject({
      order: { status: is, version: 2 },
      importedVersion: 2,
    });
  });

  it('takes over a moved expiry and a new price, and moves the holder behind a new order', () => {
    const before = imported([old(1, 'created')]);
    const moved = old(1, 'created', { expiresAt: new Date(0) });
    const ticket = { ...ticketOf([moved, old(2, 'cancelled')]), copy: { ...copy, version: 4, price: 30 } };
    const plan = planTicket(ticket, before, PLAIN);
    expect(outcomes(plan)).toEqual(['updated', 'imported']);
    const stored = carryOut(plan, before);
    expect(statuses(stored)).toEqual(['cancelled', 'created']);
    expect(stored.orders[0]?.order).toMatchObject({ expiresAt: new Date(0), ticket: { price: 30 } });
    expect(stored.copy?.ticket).toMatchObject({ version: 4, price: 30 });
  });

  it('keeps what this service has changed, and lets it keep the ticket', () => {
    const before = change(imported([old(1, 'created')]), 0, 'complete');
    const plan = planTicket(ticketOf([old(1, 'cancelled'), old(2, 'complete')]), before, PLAIN);
    expect(outcomes(plan)).toEqual(['keptOurs', 'rejected']);
    expect(plan.orderWrites).toEqual([]);
    expect(plan.conflict?.kept?.id).toBe(old(1, 'created').id);
  });

  it('keeps an order that the old system does not have any more', () => {
    const before = imported([old(1, 'created')]);
    expect(planTicket(ticketOf([]), before, PLAIN).orderWrites).toEqual([]);
  });

  it('says that it removes one that the old system does not have any more, because another one holds its ticket', () => {
    const before = imported([old(1, 'created')]);
    const plan = planTicket(ticketOf([old(2, 'complete')]), before, PLAIN);
    expect(carryOut(plan, before).orders.map(({ order }) => order.id)).toEqual([old(2, 'complete').id]);
    expect(plan.outcomes).toEqual([
      {
        id: old(1, 'created').id,
        outcome: 'removed',
        status: 'created',
        reason: expect.stringContaining('removed'),
        keptOrderId: old(2, 'complete').id,
        source: before.orders[0]?.order,
      },
      expect.objectContaining({ id: old(2, 'complete').id, outcome: 'imported' }),
    ]);
    expect(plan.conflict?.others).toEqual([
      { id: old(1, 'created').id, status: 'created', result: 'removed' },
    ]);
    // It holds nothing any more.
    expect(plan).toMatchObject({ unimportedHolders: [], isBlocked: false });
  });

  it('says that a ticket is not blocked, if its own copy names an order that holds it no more', () => {
    const received = { ticket: { ...copy, version: 5, orderId: 'another' }, importedVersion: 3 };
    const refused = [{ id: 'x', reason: 'r', source: {}, mayHoldTicket: true }];
    const plan = planTicket(ticketOf([], { refused }), { orders: [], copy: received }, PLAIN);
    expect(plan).toMatchObject({ unimportedHolders: ['x'], isBlocked: false });
  });

  it('keeps a copy of a ticket that this service has received since, and frees one that was blocked', () => {
    const received = { ticket: { ...copy, version: 5, userId: 'seller' }, importedVersion: 3 };
    const plan = planTicket(ticketOf([]), { orders: [], copy: received }, PLAIN);
    expect(plan.ticketOutcome).toBe('keptOurs');
    expect(plan).not.toHaveProperty('ticketWrite');

    const blocked = { ticket: { ...copy, orderId: 'x' }, importedVersion: 3 };
    expect(planTicket(ticketOf([]), { orders: [], copy: blocked }, PLAIN).ticketWrite).toMatchObject({
      type: 'update',
      ticket: copy,
    });
  });
});

describe('any ticket', () => {
  const anyOrder = fc.record({
    nth: fc.integer({ min: 0, max: 9 }),
    status: fc.constantFrom<OrderStatus>('created', 'awaiting:payment', 'complete', 'cancelled'),
    hasExpiry: fc.boolean(),
  });
  const anyOrders = fc.uniqueArray(anyOrder, { selector: ({ nth }) => nth, maxLength: 8 }).map((all) =>
    all.map(({ nth, status, hasExpiry }) => {
      const { expiresAt, ...order } = old(nth, status);
      return hasExpiry && expiresAt ? { ...order, expiresAt } : order;
    }),
  );
  const anyOptions = fc.record(
    { cancelConflicts: fc.boolean(), expirySeconds: fc.constant(900) },
    { requiredKeys: ['cancelConflicts'] },
  );

  /** What placing relies on. */
  function expectSound(stored: StoredTicket): void {
    const orders = inTurn(stored);
    if (orders.length > 0) expect(orders[0]?.turn).toBe(0);
    expect(new Set(orders.map(({ turn }) => turn)).size).toBe(orders.length);
    const holding = orders.filter(({ order }) => holdsTicket(order));
    expect(holding.length).toBeLessThanOrEqual(1);
    if (holding[0]) expect(orders.at(-1)).toBe(holding[0]);
  }

  /** Each order that holds the ticket in the old system holds it here too, or has a line in the report. */
  function expectHeld(orders: readonly OldOrder[], plan: TicketPlan, { orders: stored }: StoredTicket): void {
    const told = [
      ...plan.outcomes.filter(({ outcome }) => outcome === 'rejected' || outcome === 'keptOurs'),
      ...(plan.conflict?.others ?? []),
    ].map(({ id }) => id);
    const holding = stored.filter(({ order }) => holdsTicket(order)).map(({ order }) => order.id);
    const held = orders.filter(holdsTicket).map(({ id }) => id);
    expect([...told, ...holding]).toEqual(expect.arrayContaining(held));
  }

  it('gets turns without a gap, and its only holder has the highest one', () => {
    fc.assert(
      fc.property(anyOrders, anyOptions, (orders, options) => {
        const stored = imported(orders, options);
        expectSound(stored);
        expect(inTurn(stored).map(({ turn }) => turn)).toEqual(stored.orders.map((_, index) => index));
      }),
      { numRuns: 1_000 },
    );
  });

  it('gets them with each import of whatever it has become, and loses no order in silence', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(anyOrders, anyOptions, fc.boolean()), { minLength: 1, maxLength: 4 }),
        (imports) => {
          let stored: StoredTicket = { orders: [] };
          for (const [orders, options, isAnnounced] of imports) {
            if (isAnnounced) stored = announce(stored);
            const before = idsOf(stored);
            const plan = planTicket(ticketOf(orders), stored, options);
            stored = carryOut(plan, stored);
            expectSound(stored);
            expectHeld(orders, plan, stored);
            const after = idsOf(stored);
            const read = plan.outcomes.filter(({ outcome }) => outcome !== 'removed');
            expect(read.map(({ id }) => id).sort()).toEqual(orders.map(({ id }) => id).sort());
            for (const { id, outcome } of read) if (outcome !== 'rejected') expect(after).toContain(id);
            const explained = plan.outcomes.filter(({ reason }) => reason !== undefined).map(({ id }) => id);
            expect([...after, ...explained]).toEqual(expect.arrayContaining(before));
            const removed = plan.outcomes.filter(({ outcome }) => outcome === 'removed').map(({ id }) => id);
            expect(removed.filter((id) => after.includes(id) || !before.includes(id))).toEqual([]);
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('needs nothing more after an import', () => {
    fc.assert(
      fc.property(anyOrders, anyOptions, (orders, options) => {
        const stored = imported(orders, options);
        const again = planTicket(ticketOf(orders), stored, options);
        expect(again.orderWrites).toEqual([]);
        expect(again).not.toHaveProperty('ticketWrite');
      }),
      { numRuns: 1_000 },
    );
  });

  it('is the same after an import that a crash has ended in between', () => {
    fc.assert(
      fc.property(anyOrders, anyOptions, fc.array(fc.boolean()), (orders, options, isWritten) => {
        const whole = imported(orders, options);
        const part = { ...whole, orders: whole.orders.filter((_, index) => isWritten[index]) };
        expect(inTurn(imported(orders, options, part))).toEqual(inTurn(whole));
      }),
      { numRuns: 1_000 },
    );
  });

  it('is sound whatever this service has made of it between two imports, and nothing of that is lost', () => {
    const anyImports = fc.array(
      fc.tuple(anyOrders, anyOptions, fc.constantFrom<OrderStatus>('created', 'complete', 'cancelled')),
      { minLength: 2, maxLength: 4 },
    );
    fc.assert(
      fc.property(anyImports, (imports) => {
        let stored: StoredTicket = { orders: [] };
        for (const [orders, options, status] of imports) {
          stored = imported(orders, options, stored);
          expectSound(stored);
          // The service pays or cancels the open order that holds the ticket.
          const holder = stored.orders.findIndex(({ order }) => order.status === 'created');
          if (status !== 'created' && holder >= 0) stored = change(stored, holder, status);
          // Its turn may move: one order has turn 0.
          const changed = stored.orders
            .filter(({ order, importedVersion }) => order.version !== importedVersion)
            .map(({ turn: _, ...one }) => expect.objectContaining(one));
          expect(imported(orders, options, stored).orders).toEqual(expect.arrayContaining(changed));
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
