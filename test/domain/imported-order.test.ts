import { cancelForConflict } from '../../src/domain/imported-order';
import {
  applyChange,
  decide,
  openRefunds,
  type Order,
  type OrderInput,
  type ReceivedPayment,
} from '../../src/domain/order';

const createdAt = new Date('2025-01-02T03:04:05.000Z');
const paidAt = new Date('2025-01-02T03:10:00.000Z');
const open: Order = {
  id: 'b'.repeat(24),
  version: 0,
  userId: 'buyer',
  status: 'created',
  createdAt,
  expiresAt: new Date('2025-01-02T03:19:05.000Z'),
  ticket: { id: 'a'.repeat(24), title: 'Concert', price: 20 },
  payments: [],
};
const paid: Order = { ...open, status: 'complete', version: 1 };

const pay = (payment: Partial<ReceivedPayment> = {}): OrderInput => ({
  type: 'pay',
  payment: { id: 'p1', stripeId: 'ch_1', at: paidAt, ...payment },
});
const placeholderId = `imported-${open.id}`;

/** The order after the inputs, and all that it announced. */
function after(order: Order, ...inputs: OrderInput[]) {
  const events = [];
  for (const input of inputs) {
    const decision = decide(order, input);
    if (decision.type !== 'changed') continue;
    order = applyChange(order, decision.change);
    events.push(...decision.events);
  }
  return { order, events };
}

describe('an imported order that loses its ticket to another', () => {
  it('is cancelled, and announces it with the version that peers wait for', () => {
    for (const order of [open, paid, { ...open, version: 7 }]) {
      const cancelled = cancelForConflict(order);
      expect(cancelled.order).toMatchObject({
        status: 'cancelled',
        reason: 'operator',
        version: order.version + 1,
      });
      expect(cancelled.events).toEqual([
        { subject: 'order:cancelled', data: { id: order.id, version: 1, ticket: { id: order.ticket.id } } },
      ]);
    }
  });

  it('has nothing to refund if it was not paid, and an open refund of an unknown payment if it was', () => {
    expect(cancelForConflict(open).order.payments).toEqual([]);
    expect(openRefunds(cancelForConflict(paid).order)).toEqual([
      { id: placeholderId, at: createdAt, refund: 'late', placeholder: true },
    ]);
  });
});

describe('the payment behind a placeholder', () => {
  const { order: imported } = cancelForConflict(paid);
  const refundOf = (paymentId: string, stripeId: string) => ({
    subject: 'order:refund-required',
    data: expect.objectContaining({ orderId: open.id, paymentId, stripeId, reason: 'late' }),
  });
  const resolve = (paymentId: string): OrderInput => ({
    type: 'refund',
    paymentId,
    refunded: { at: paidAt, reference: 're_1' },
  });

  it('takes its place when it is received: one refund is open, with the real ids', () => {
    const { order, events } = after(imported, pay());
    expect(events).toEqual([refundOf('p1', 'ch_1')]);
    expect(openRefunds(order)).toEqual([{ id: 'p1', stripeId: 'ch_1', at: paidAt, refund: 'late' }]);
    expect(order.payments[0]).toMatchObject({ placeholder: true, refunded: { at: paidAt, reference: 'p1' } });
    expect(order).toMatchObject({ status: 'cancelled', version: imported.version + 1 });
  });

  it('is refunded once, however often and under however many ids it is received', () => {
    const { order, events } = after(imported, pay(), pay(), pay({ id: 'p2' }), pay({ id: 'p2' }));
    expect(events).toEqual([refundOf('p1', 'ch_1')]);
    expect(openRefunds(order)).toHaveLength(1);
  });

  it('is not refunded again if that was done before it was received', () => {
    const { order, events } = after(imported, resolve(placeholderId), pay(), pay({ id: 'p2' }));
    expect(events).toEqual([]);
    expect(openRefunds(order)).toEqual([]);
    expect(order.payments[1]).toMatchObject({ id: 'p1', sameAs: placeholderId });
  });

  it('is not refunded again even if its own id was the reference of that', () => {
    const byItsId: OrderInput = {
      type: 'refund',
      paymentId: placeholderId,
      refunded: { at: paidAt, reference: 'p1' },
    };
    const { order, events } = after(imported, byItsId, pay());
    expect({ events, open: openRefunds(order) }).toEqual({ events: [], open: [] });
  });

  it('hides no other charge: the second one is refunded too', () => {
    const second = pay({ id: 'p9', stripeId: 'ch_9' });
    expect(after(imported, pay(), second).events).toEqual([refundOf('p1', 'ch_1'), refundOf('p9', 'ch_9')]);
    expect(openRefunds(after(imported, pay(), second).order)).toHaveLength(2);
    const afterwards = after(imported, resolve(placeholderId), pay(), second);
    expect(afterwards.events).toEqual([refundOf('p9', 'ch_9')]);
  });

  it('stays open if it is never received', () => {
    expect(openRefunds(after(imported, { type: 'expire' }).order)).toHaveLength(1);
  });
});
