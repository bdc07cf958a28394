import fc from 'fast-check';
import {
  applyChange,
  decide,
  holdsTicket,
  openRefunds,
  place,
  type Order,
  type OrderInput,
  type ReceivedPayment,
} from '../../src/domain/order';

const NOW = new Date('2026-01-02T03:04:05.678Z');
const ticket = { id: 'a'.repeat(24), version: 3, title: 'Concert', price: 20.5, userId: 'seller' };

const placed = place({ id: 'b'.repeat(24), userId: 'buyer', ticket, now: NOW, expirationWindowSeconds: 900 });
const inTime = new Date(placed.order.expiresAt.getTime() - 1);
const tooLate = new Date(placed.order.expiresAt);

const pay = (id: string, at = inTime): OrderInput => ({
  type: 'pay',
  payment: { id, stripeId: `stripe-${id}`, at },
});

function after(...inputs: OrderInput[]): Order {
  return inputs.reduce((order, input) => {
    const decision = decide(order, input);
    return decision.type === 'changed' ? applyChange(order, decision.change) : order;
  }, placed.order);
}

const created = placed.order;
const awaitingPayment: Order = { ...created, status: 'awaiting:payment' };
const complete = after(pay('p1'));
const cancelled = after({ type: 'cancel', by: 'user' });
const importedComplete: Order = { ...created, status: 'complete', version: 1 };

function changed(order: Order, input: OrderInput) {
  const decision = decide(order, input);
  if (decision.type !== 'changed') throw new Error(`expected a change, got ${decision.type}`);
  return { order: applyChange(order, decision.change), events: decision.events };
}

describe('placing an order', () => {
  it('takes a snapshot of the ticket and expires after the window', () => {
    expect(created).toEqual({
      id: 'b'.repeat(24),
      version: 0,
      userId: 'buyer',
      status: 'created',
      createdAt: NOW,
      expiresAt: new Date('2026-01-02T03:19:05.678Z'),
      ticket: { id: ticket.id, title: 'Concert', price: 20.5 },
      payments: [],
    });
  });

  it('announces OrderCreated with version 0', () => {
    expect(placed.events).toEqual([
      {
        subject: 'order:created',
        data: {
          id: created.id,
          version: 0,
          status: 'created',
          userId: 'buyer',
          expiresAt: '2026-01-02T03:19:05.678Z',
          ticket: { id: ticket.id, price: 20.5 },
        },
      },
    ]);
  });
});

describe.each([
  ['created', created],
  ['awaiting:payment', awaitingPayment],
])('an order in state %s', (_, order) => {
  it.each([
    ['its owner cancels', { type: 'cancel', by: 'user' }, 'user'],
    ['an operator cancels', { type: 'cancel', by: 'operator' }, 'operator'],
    ['it expires', { type: 'expire' }, 'expired'],
  ] as const)('is cancelled when %s, frees its ticket and says so once', (_title, input, reason) => {
    const { order: next, events } = changed(order, input);
    expect(next).toEqual({ ...order, status: 'cancelled', reason, version: 1 });
    expect(holdsTicket(next)).toBe(false);
    expect(events).toEqual([
      { subject: 'order:cancelled', data: { id: order.id, version: 1, ticket: { id: ticket.id } } },
    ]);
  });

  it('is announced as version 1 when it is cancelled, also if it was imported at a later version', () => {
    const { events, order: next } = changed({ ...order, version: 5 }, { type: 'expire' });
    expect(next.version).toBe(6);
    expect(events).toMatchObject([{ subject: 'order:cancelled', data: { version: 1 } }]);
  });

  it('is complete when it is paid, keeps its ticket and announces nothing', () => {
    const { order: next, events } = changed(order, pay('p1'));
    expect(next).toMatchObject({
      status: 'complete',
      version: 1,
      payments: [{ id: 'p1', stripeId: 'stripe-p1' }],
    });
    expect(next.payments[0]).not.toHaveProperty('refund');
    expect(holdsTicket(next)).toBe(true);
    expect(events).toEqual([]);
  });
});

describe('a complete order', () => {
  const refundOf = (payment: object) => ({
    subject: 'order:refund-required',
    data: {
      orderId: complete.id,
      userId: 'buyer',
      ...payment,
      reason: 'second',
      paidInTime: true,
      ticket: { id: ticket.id, price: 20.5 },
    },
  });

  it('cannot be cancelled', () => {
    expect(decide(complete, { type: 'cancel', by: 'user' })).toEqual({
      type: 'refused',
      reason: 'already-paid',
    });
  });

  it('does not expire', () => {
    expect(decide(complete, { type: 'expire' })).toEqual({ type: 'unchanged' });
  });

  it('ignores a payment that it knows', () => {
    expect(decide(complete, pay('p1'))).toEqual({ type: 'unchanged' });
  });

  it('records a second payment and asks for its refund', () => {
    const { order, events } = changed(complete, pay('p2'));
    expect(order).toMatchObject({ status: 'complete', version: 2 });
    expect(order.payments).toEqual([
      ...complete.payments,
      expect.objectContaining({ id: 'p2', refund: 'second' }),
    ]);
    expect(events).toEqual([refundOf({ paymentId: 'p2', stripeId: 'stripe-p2' })]);
  });

  it('says of a payment without a provider id what it has', () => {
    const { order, events } = changed(complete, { type: 'pay', payment: { id: 'p2', at: inTime } });
    expect(order.payments.at(-1)).toEqual({ id: 'p2', at: inTime, refund: 'second' });
    expect(events).toEqual([refundOf({ paymentId: 'p2' })]);
  });

  it('takes the first payment as its own if it was imported without any', () => {
    const { order, events } = changed(importedComplete, pay('p1'));
    expect(order).toMatchObject({ status: 'complete', version: 2, payments: [{ id: 'p1' }] });
    expect(events).toEqual([]);
    expect(changed(order, pay('p2')).order.payments[1]).toMatchObject({ refund: 'second' });
  });
});

describe('a cancelled order', () => {
  it.each([{ type: 'cancel', by: 'user' }, { type: 'expire' }] as const)('is not changed by %p', (input) => {
    expect(decide(cancelled, input)).toEqual({ type: 'unchanged' });
  });

  it.each([
    ['in time', inTime, true],
    ['at the very end of its time', tooLate, false],
  ])('stays cancelled when a payment stamped %s comes late, and asks for its refund', (_, at, paidInTime) => {
    const { order, events } = changed(cancelled, pay('p1', at));
    expect(order).toMatchObject({ status: 'cancelled', reason: 'user', version: 2 });
    expect(order.payments).toEqual([expect.objectContaining({ id: 'p1', at, refund: 'late' })]);
    expect(events).toMatchObject([
      { subject: 'order:refund-required', data: { reason: 'late', paidInTime } },
    ]);
  });

  it('asks for the refund of a known payment only once', () => {
    const refunded = after({ type: 'cancel', by: 'user' }, pay('p1'));
    expect(decide(refunded, pay('p1'))).toEqual({ type: 'unchanged' });
  });
});

describe('one charge under several names', () => {
  const charge = (id: string, stripeId?: string): OrderInput => ({
    type: 'pay',
    payment: { id, at: inTime, ...(stripeId === undefined ? {} : { stripeId }) },
  });

  it.each([
    ['kept', created],
    ['kept by an imported order', importedComplete],
    ['refunded as a late one', cancelled],
    ['refunded as a second one', complete],
  ])('is counted once when it was %s, under each of its names', (_, order) => {
    const first = changed(order, charge('x1', 'c'));
    const again = changed(first.order, charge('x2', 'c'));
    expect(again.events).toEqual([]);
    expect(again.order.status).toBe(first.order.status);
    expect(again.order.payments).toEqual([
      ...first.order.payments,
      { id: 'x2', stripeId: 'c', at: inTime, sameAs: 'x1' },
    ]);
    for (const known of [charge('x1', 'c'), charge('x2', 'c'), charge('x1'), charge('x2')]) {
      expect(decide(again.order, known)).toEqual({ type: 'unchanged' });
    }
  });

  it('is known by a provider id that came later, and by an id that came with that', () => {
    const order = after(
      charge('p1'),
      charge('p1', 'c'),
      charge('p2', 'c'),
      charge('p2', 'd'),
      charge('p3', 'd'),
    );
    expect(order).toMatchObject({ status: 'complete', version: 5 });
    expect(order.payments.filter(({ refund }) => refund !== undefined)).toEqual([]);
    expect(order.payments.map(({ id, sameAs }) => [id, sameAs])).toEqual([
      ['p1', undefined],
      ['p1', 'p1'],
      ['p2', 'p1'],
      ['p2', 'p1'],
      ['p3', 'p1'],
    ]);
  });

  it('is no reason to take another charge without a provider id for the same', () => {
    const { order } = changed(created, charge('p1'));
    expect(changed(order, charge('p2')).events).toMatchObject([{ data: { paymentId: 'p2' } }]);
  });
});

describe('a refund that was paid', () => {
  const refunded = { at: NOW, reference: 're_1' };
  const refundOf = (paymentId: string): OrderInput => ({ type: 'refund', paymentId, refunded });
  const due = after({ type: 'cancel', by: 'user' }, pay('p1'));

  it('is recorded once, announces nothing, and ends the open refund', () => {
    const { order, events } = changed(due, refundOf('p1'));
    expect(openRefunds(due)).toMatchObject([{ id: 'p1' }]);
    expect(order).toMatchObject({ version: due.version + 1, status: 'cancelled' });
    expect(order.payments).toEqual([{ ...due.payments[0], refunded }]);
    expect(events).toEqual([]);
    expect(openRefunds(order)).toEqual([]);
    expect(
      decide(order, { ...refundOf('p1'), refunded: { at: tooLate, reference: 'again' } } as OrderInput),
    ).toEqual({
      type: 'unchanged',
    });
  });

  it('may be named by any id of the charge', () => {
    const known = changed(due, {
      type: 'pay',
      payment: { id: 'p2', stripeId: 'stripe-p1', at: inTime },
    }).order;
    const { order } = changed(known, refundOf('p2'));
    expect(order.payments).toMatchObject([
      { id: 'p1', refunded },
      { id: 'p2', sameAs: 'p1' },
    ]);
    expect(order.payments[1]).not.toHaveProperty('refunded');
    expect(decide(order, refundOf('p1'))).toEqual({ type: 'unchanged' });
  });

  it.each([
    ['that the order keeps', complete, 'p1'],
    ['that nobody made', due, 'p9'],
  ])('of a payment %s is refused', (_, order, paymentId) => {
    expect(decide(order, refundOf(paymentId))).toEqual({ type: 'refused', reason: 'no-refund-due' });
  });

  it('leaves other refunds open', () => {
    const two = after({ type: 'cancel', by: 'user' }, pay('p1'), pay('p2'), refundOf('p2'));
    expect(openRefunds(two)).toMatchObject([{ id: 'p1' }]);
  });
});

describe('any sequence of inputs, with duplicates', () => {
  const inputs = fc.array(
    fc.oneof(
      fc.constant<OrderInput>({ type: 'cancel', by: 'user' }),
      fc.constant<OrderInput>({ type: 'expire' }),
      fc.record({ id: fc.constantFrom('p1', 'p2', 'p3'), late: fc.boolean() }).map(({ id, late }) => {
        return pay(id, late ? tooLate : inTime);
      }),
    ),
    { maxLength: 30 },
  );

  /** The state table, said a second time: what counts is the first cancel or expiry against the first payment. */
  function expected(sequence: OrderInput[]) {
    const first = sequence[0];
    const status = !first ? 'created' : first.type === 'pay' ? 'complete' : 'cancelled';
    const paymentIds = [
      ...new Set(sequence.flatMap((input) => (input.type === 'pay' ? [input.payment.id] : []))),
    ];
    const kept = status === 'complete' ? 1 : 0;
    return {
      status,
      paymentIds,
      refunds: paymentIds.slice(kept),
      changes: paymentIds.length + (status === 'cancelled' ? 1 : 0),
    };
  }

  it('ends where the first of them leads, with every payment recorded once and every other one refunded once', () => {
    fc.assert(
      fc.property(inputs, (sequence) => {
        let order = created;
        const subjects: string[] = [];
        const refunded: string[] = [];
        for (const input of sequence) {
          const before = JSON.stringify(order);
          const decision = decide(order, input);
          expect(JSON.stringify(order)).toBe(before);
          if (decision.type !== 'changed') continue;
          order = applyChange(order, decision.change);
          subjects.push(...decision.events.map(({ subject }) => subject));
          for (const event of decision.events) {
            if (event.subject === 'order:refund-required') refunded.push(event.data.paymentId);
          }
        }
        const want = expected(sequence);
        expect(order.status).toBe(want.status);
        expect(order.version).toBe(want.changes);
        expect(order.payments.map(({ id }) => id)).toEqual(want.paymentIds);
        expect(refunded).toEqual(want.refunds);
        expect(subjects.filter((subject) => subject === 'order:cancelled')).toHaveLength(
          want.status === 'cancelled' ? 1 : 0,
        );
      }),
      { numRuns: 2_000 },
    );
  });

  const names = fc.record(
    { id: fc.constantFrom('p1', 'p2', 'p3', 'p4'), stripeId: fc.constantFrom('c1', 'c2', 'c3') },
    { requiredKeys: ['id'] },
  );

  it('keeps or refunds each charge once, whatever names it comes under', () => {
    let shared = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(created, cancelled, importedComplete),
        fc.array(names, { maxLength: 12 }),
        (start, payments) => {
          let order = start;
          const kept: ReceivedPayment[] = [];
          const refunded: string[] = [];
          for (const payment of payments) {
            const knownBy = order.payments.filter(
              ({ id, stripeId }) =>
                id === payment.id || (stripeId !== undefined && stripeId === payment.stripeId),
            );
            const decision = decide(order, { type: 'pay', payment: { ...payment, at: inTime } });
            const events = decision.type === 'changed' ? decision.events : [];
            if (knownBy.length > 0) {
              shared += 1;
              expect(events).toEqual([]);
            }
            if (decision.type !== 'changed') continue;
            order = applyChange(order, decision.change);
            const recorded = order.payments.at(-1)!;
            if (recorded.sameAs === undefined && recorded.refund === undefined) kept.push(recorded);
            for (const event of events) {
              if (event.subject === 'order:refund-required') refunded.push(event.data.paymentId);
            }
          }
          expect(kept.length).toBe(payments.length > 0 && start.status !== 'cancelled' ? 1 : 0);
          const charges = order.payments.filter(({ sameAs }) => sameAs === undefined).map(({ id }) => id);
          expect(refunded).toEqual(charges.slice(kept.length));
          expect(new Set(charges).size).toBe(charges.length);
        },
      ),
      { numRuns: 2_000 },
    );
    expect(shared).toBeGreaterThan(1_000);
  });
});
