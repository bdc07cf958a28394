import type { OrderFilter, OrderQuery } from '../../src/application/ports';
import { createAwaitOrder, createListOrders } from '../../src/application/read-orders';
import type { Order } from '../../src/domain/order';
import { orderOf } from '../support/http-app';

function setUp(stored = [orderOf(), orderOf(), orderOf()]) {
  const asked: (['list', OrderQuery] | ['count', OrderFilter])[] = [];
  let answerPage = () => {};
  const listOrders = createListOrders({
    orders: {
      list: (query) => {
        asked.push(['list', query]);
        return new Promise((resolve) => (answerPage = () => resolve(stored.slice(0, query.limit))));
      },
      count: async (filter) => {
        asked.push(['count', filter]);
        return stored.length;
      },
    },
  });
  return { listOrders, asked, stored, answerPage: () => answerPage() };
}

const filter = { userId: 'me', ticketId: 'a'.repeat(24), statuses: ['created'] as const };

describe('a listing', () => {
  it('tells where the next page begins as long as there is one', async () => {
    const { listOrders, stored, answerPage } = setUp();
    const [, second] = stored;

    const page = listOrders({ ...filter, limit: 2 });
    answerPage();
    expect(await page).toEqual({
      orders: stored.slice(0, 2),
      next: { createdAt: second!.createdAt, id: second!.id },
    });
    const last = listOrders({ ...filter, limit: 3 });
    answerPage();
    expect(await last).toEqual({ orders: stored });
  });

  it('counts only when asked to: all that match, without waiting for the page', async () => {
    const { listOrders, asked, stored, answerPage } = setUp();
    const after = { createdAt: new Date(0), id: 'b'.repeat(24) };

    const page = listOrders({ ...filter, limit: 1, after, withTotal: true });
    expect(asked).toEqual([
      ['list', { ...filter, limit: 2, after }],
      ['count', filter],
    ]);
    answerPage();
    expect(await page).toMatchObject({ orders: [stored[0]], total: 3 });

    const uncounted = listOrders({ ...filter, limit: 1 });
    answerPage();
    expect(await uncounted).not.toHaveProperty('total');
    expect(asked).toHaveLength(3);
  });
});

describe('an order that is waited for', () => {
  /** The order at each read; what is waited for ends at once. */
  function setUpWait(reads: (Order | undefined)[], toRead = true) {
    const waits: [number, number][] = [];
    const { signal } = new AbortController();
    const awaitOrder = createAwaitOrder({
      findOrder: async () => reads.shift(),
      changes: { after: async ({ version }, ms) => (waits.push([version, ms]), toRead) },
    });
    const wait = (isKnown = (_version: number) => true) =>
      awaitOrder({ userId: 'me', orderId: 'a'.repeat(24), seconds: 20, isKnown, signal });
    return { wait, waits, reads };
  }

  it('is read again when it may have changed', async () => {
    const { wait, waits } = setUpWait([orderOf({ version: 2 }), orderOf({ version: 3 })]);
    expect(await wait()).toMatchObject({ version: 3 });
    expect(waits).toEqual([[2, 20_000]]);
  });

  it('is answered as it was read where nothing was waited for', async () => {
    const { wait, reads } = setUpWait([orderOf({ version: 2 }), orderOf({ version: 3 })], false);
    expect(await wait()).toMatchObject({ version: 2 });
    expect(reads).toHaveLength(1);
  });

  it('is answered at once where the caller does not have its version, and where there is none', async () => {
    const known = setUpWait([orderOf({ version: 2 })]);
    expect(await known.wait((version) => version !== 2)).toMatchObject({ version: 2 });
    const unknown = setUpWait([undefined]);
    expect(await unknown.wait()).toBeUndefined();
    expect([known.waits, unknown.waits]).toEqual([[], []]);
  });
});
