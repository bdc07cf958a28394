import type { OrderFilter } from '../../src/application/ports';
import type { Order, OrderInput } from '../../src/domain/order';
import {
  change,
  changeOf,
  newId,
  newPlacement,
  payment,
  read,
  type PlacementOptions,
} from '../support/placements';
import { LEASE_MS, type SetUp } from './store-harness';

export function ordersContract(setUp: SetUp): void {
  describe('placing', () => {
    it('gives a turn of a ticket to one of 100 orders, and names it to all others', async () => {
      const { a, b } = await setUp();
      const ticketId = newId();
      const placements = Array.from({ length: 100 }, () => newPlacement({ ticketId }));

      const results = await Promise.all(
        placements.map((placement, i) => (i % 2 ? a : b).orders.insert(placement)),
      );

      const winners = placements.filter((_, i) => results[i]!.type === 'inserted');
      expect(winners).toHaveLength(1);
      const taken = { type: 'turn-taken', latest: { order: winners[0]!.order, turn: 0 } };
      expect(results.filter(({ type }) => type !== 'inserted')).toEqual(new Array(99).fill(taken));
    });

    it('gives an idempotency key to one of 100 orders, and names it to all others', async () => {
      const { a, b } = await setUp();
      const placements = Array.from({ length: 100 }, () => newPlacement({ idempotencyKey: '["buyer","k"]' }));

      const results = await Promise.all(
        placements.map((placement, i) => (i % 2 ? a : b).orders.insert(placement)),
      );

      const winners = placements.filter((_, i) => results[i]!.type === 'inserted');
      expect(winners).toHaveLength(1);
      const taken = { type: 'key-taken', order: winners[0]!.order };
      expect(results.filter(({ type }) => type !== 'inserted')).toEqual(new Array(99).fill(taken));
    });

    it('leaves no trace of an order that was refused', async () => {
      const { a } = await setUp();
      const first = newPlacement({ idempotencyKey: 'first' });
      const refused = newPlacement({ ticketId: first.order.ticket.id, idempotencyKey: 'second' });
      await a.orders.insert(first);

      expect(await a.orders.insert(refused)).toMatchObject({ type: 'turn-taken' });

      expect(await a.orders.find(refused.order.id)).toBeUndefined();
      expect(await a.orders.insert(newPlacement({ idempotencyKey: 'second' }))).toMatchObject({
        type: 'inserted',
      });
    });

    it('names the order of the key first, where the turn is taken as well', async () => {
      const { a } = await setUp();
      const [ofKey, ofTicket] = [newPlacement({ idempotencyKey: 'k' }), newPlacement()];
      await a.orders.insert(ofKey);
      await a.orders.insert(ofTicket);

      const both = newPlacement({ ticketId: ofTicket.order.ticket.id, idempotencyKey: 'k' });

      expect(await a.orders.insert(both)).toEqual({ type: 'key-taken', order: ofKey.order });
    });

    describe('with a turn at a number of its user', () => {
      const buyer = (number: number, turn = 0, options: PlacementOptions = {}) =>
        newPlacement({ userId: 'buyer', openTurn: { number, turn }, ...options });

      it('gives each turn to one of 100 orders, and names the taken numbers to all others', async () => {
        const { a, b } = await setUp();
        const placements = Array.from({ length: 100 }, (_, i) => buyer(i % 4));

        const results = await Promise.all(
          placements.map((placement, i) => (i % 3 ? a : b).orders.insert(placement)),
        );

        const winners = placements.filter((_, i) => results[i]!.type === 'inserted');
        expect(winners.map(({ openTurn }) => openTurn?.number).sort()).toEqual([0, 1, 2, 3]);
        for (const [i, result] of results.entries()) {
          if (result.type === 'inserted') continue;
          const taken: unknown = expect.arrayContaining([i % 4]);
          expect(result).toEqual({ type: 'open-turn-taken', taken });
        }
        const last = await a.orders.insert(buyer(2));
        expect(last.type === 'open-turn-taken' && [...last.taken].sort()).toEqual([0, 1, 2, 3]);
      });

      it('gives the same turn to each user, and limits nobody who has none', async () => {
        const { a } = await setUp();
        const placements = [buyer(0), buyer(0, 0, { userId: 'other' }), buyer(0, 1), buyer(1)];
        const unlimited = Array.from({ length: 5 }, () => newPlacement({ userId: 'buyer' }));

        const results = await Promise.all([...placements, ...unlimited].map(a.orders.insert));

        expect(results.map(({ type }) => type)).toEqual(new Array(9).fill('inserted'));
      });

      it.each<[string, OrderInput, object]>([
        ['cancelled', { type: 'cancel', by: 'user' }, { status: 'cancelled', reason: 'user' }],
        ['expired', { type: 'expire' }, { status: 'cancelled', reason: 'expired' }],
        ['paid', payment('p'), { status: 'complete' }],
      ])(
        'shows the latest order of a number, and that the number is free once it is %s',
        async (_, input, after) => {
          const { a, b } = await setUp();
          const [first, latest, other] = [buyer(0), buyer(0, 1), buyer(2)];
          const unlimited = newPlacement({ userId: 'buyer' });
          const ofOther = buyer(0, 5, { userId: 'other' });
          await a.orders.insert(first);
          await change(a.orders, first.order.id, { type: 'cancel', by: 'user' });
          for (const placement of [latest, other, unlimited, ofOther]) await a.orders.insert(placement);

          const before = await b.orders.lookAtOpenNumber('buyer', 0);
          await change(a.orders, latest.order.id, input);

          expect({ ...before, taken: [...before.taken].sort() }).toEqual({
            latest: { order: latest.order, turn: 1 },
            taken: [0, 2],
          });
          expect(await b.orders.lookAtOpenNumber('buyer', 0)).toMatchObject({
            latest: { order: { id: latest.order.id, ...after }, turn: 1 },
            taken: [2],
          });
          expect(await b.orders.lookAtOpenNumber('buyer', 1)).toEqual({ taken: [2] });
          expect(await b.orders.insert(buyer(0, 1))).toEqual({ type: 'open-turn-taken', taken: [2] });
          expect(await b.orders.insert(buyer(0, 2))).toMatchObject({ type: 'inserted' });
        },
      );

      it('names the order of the key first, then the one that has the turn of the ticket', async () => {
        const { a, b } = await setUp();
        const [ofKey, ofTicket] = [buyer(0, 0, { idempotencyKey: 'k' }), buyer(1)];
        for (const placement of [ofKey, ofTicket]) await a.orders.insert(placement);
        const ticketId = ofTicket.order.ticket.id;

        for (const number of [0, 1]) {
          expect(await b.orders.insert(buyer(number, 0, { ticketId, idempotencyKey: 'k' }))).toEqual({
            type: 'key-taken',
            order: ofKey.order,
          });
          expect(await b.orders.insert(buyer(number, 0, { ticketId }))).toEqual({
            type: 'turn-taken',
            latest: { order: ofTicket.order, turn: 0 },
          });
        }
        expect(await a.orders.insert(ofKey)).toEqual({ type: 'inserted' });
      });
    });

    it('names the order as it is by now', async () => {
      const { a, b } = await setUp();
      const placement = newPlacement({ idempotencyKey: 'k' });
      await a.orders.insert(placement);
      await change(a.orders, placement.order.id, { type: 'cancel', by: 'user' });
      const { order } = await read(a.orders, placement.order.id);

      const sameTicket = newPlacement({ ticketId: placement.order.ticket.id });

      expect(order).toMatchObject({ status: 'cancelled', reason: 'user', version: 1 });
      expect(await b.orders.insert(newPlacement({ idempotencyKey: 'k' }))).toEqual({
        type: 'key-taken',
        order,
      });
      expect(await b.orders.insert(sameTicket)).toEqual({ type: 'turn-taken', latest: { order, turn: 0 } });
    });

    it('takes the next turn of a ticket, and names the latest to who tries an earlier one', async () => {
      const { a, b } = await setUp();
      const ticketId = newId();
      const latest = newPlacement({ ticketId, turn: 2 });
      for (const placement of [newPlacement({ ticketId }), newPlacement({ ticketId, turn: 1 }), latest]) {
        expect(await a.orders.insert(placement)).toMatchObject({ type: 'inserted' });
      }

      for (const turn of [0, 1, 2]) {
        expect(await b.orders.insert(newPlacement({ ticketId, turn }))).toEqual({
          type: 'turn-taken',
          latest: { order: latest.order, turn: 2 },
        });
      }
    });

    it('takes the same placement again as one that is stored already, and gives its lease once', async () => {
      const { a } = await setUp();
      const placement = newPlacement({ idempotencyKey: 'k' });

      const results = await Promise.all(Array.from({ length: 10 }, () => a.orders.insert(placement)));
      results.push(await a.orders.insert(placement));

      expect(results.map(({ type }) => type)).toEqual(new Array(11).fill('inserted'));
      expect(results.filter((result) => 'lease' in result)).toHaveLength(1);
    });

    it('gives the lease with the insert when asked for, counted from before it was sent', async () => {
      const { a, harness } = await setUp();
      const placement = newPlacement();

      const before = harness.monotonic();
      const inserting = a.orders.insert(placement);
      harness.advance(1000);
      const result = await inserting;

      expect(result).toEqual({
        type: 'inserted',
        lease: {
          orderId: placement.order.id,
          ticketId: placement.order.ticket.id,
          turn: 0,
          events: placement.events,
          attempts: 0,
          leaseUntil: expect.any(Number),
        },
      });
      const { leaseUntil } = (result as { lease: { leaseUntil: number } }).lease;
      expect(leaseUntil).toBeGreaterThanOrEqual(before + LEASE_MS);
      expect(leaseUntil).toBeLessThan(before + 1000 + LEASE_MS);
    });

    it('gives no lease when none is asked for', async () => {
      const { a, b } = await setUp();
      const placement = newPlacement({ withLease: false });

      expect(await a.orders.insert(placement)).toEqual({ type: 'inserted' });
      expect(await b.outbox.claimable(10)).toMatchObject([{ orderId: placement.order.id }]);
    });
  });

  describe('an order', () => {
    it('is found as it was placed', async () => {
      const { a, b } = await setUp();
      const placement = newPlacement({ turn: 4 });
      await a.orders.insert(placement);

      expect(await b.orders.find(placement.order.id)).toEqual({
        order: placement.order,
        turn: 4,
        recorded: 1,
        unpublishedSince: placement.order.createdAt,
      });
      expect(await b.orders.find(newId())).toBeUndefined();
    });

    it('is found by the key it was placed with, also when it has changed, and by no other', async () => {
      const { a, b } = await setUp();
      const { order } = newPlacement();
      await a.orders.insert({ ...newPlacement({ id: order.id, idempotencyKey: '["u","k",null]' }) });
      await change(a.orders, order.id, { type: 'cancel', by: 'user' });

      expect(await b.orders.findByKey('["u","k",null]')).toMatchObject({ id: order.id, status: 'cancelled' });
      expect(await b.orders.findByKey('["u","K",null]')).toBeUndefined();
    });

    it('tells its version, with those of many others', async () => {
      const { a, b } = await setUp();
      const placements = Array.from({ length: 300 }, () => newPlacement());
      await Promise.all(placements.map(a.orders.insert));
      const ids = placements.map(({ order }) => order.id);
      await change(a.orders, ids[0]!, payment('p1'));
      await change(a.orders, ids[0]!, payment('p2'));

      const versions = await b.orders.versions([newId(), ...ids]);

      expect(versions).toEqual(new Map(ids.map((id, i) => [id, i === 0 ? 2 : 0])));
      expect(await b.orders.versions([])).toEqual(new Map());
    });

    it('keeps every change, payments and refunds included', async () => {
      const { a, b } = await setUp();
      const { order } = newPlacement();
      await a.orders.insert(newPlacement({ id: order.id, ticketId: order.ticket.id }));

      await change(a.orders, order.id, payment('p1'));
      await change(a.orders, order.id, payment('p2'));

      expect(await b.orders.find(order.id)).toEqual({
        order: {
          ...order,
          status: 'complete',
          version: 2,
          payments: [
            { id: 'p1', stripeId: 'stripe-p1', at: order.createdAt },
            { id: 'p2', stripeId: 'stripe-p2', at: order.createdAt, refund: 'second' },
          ],
        },
        turn: 0,
        recorded: 2,
        unpublishedSince: order.createdAt,
      });
    });

    it('is listed with its refunds while one of them is open', async () => {
      const { a, b } = await setUp();
      const refunded = { at: new Date('2026-01-01T00:00:02.000Z'), reference: 're_1' };
      const { order } = newPlacement();
      await a.orders.insert(newPlacement({ id: order.id }));
      await a.orders.insert(newPlacement());
      await change(a.orders, order.id, payment('p1'));
      expect(await b.orders.withOpenRefunds(10)).toEqual([]);
      for (const id of ['p2', 'p3']) await change(a.orders, order.id, payment(id));

      await change(a.orders, order.id, { type: 'refund', paymentId: 'p3', refunded });
      const stored = (await read(b.orders, order.id)).order;
      expect(stored.payments.map((one) => one.refunded)).toEqual([undefined, undefined, refunded]);
      expect(await b.orders.withOpenRefunds(10)).toEqual([stored]);

      await change(a.orders, order.id, { type: 'refund', paymentId: 'p2', refunded });
      expect(await b.orders.withOpenRefunds(10)).toEqual([]);
      await change(a.orders, order.id, payment('p4'));
      expect(await b.orders.withOpenRefunds(10)).toMatchObject([{ id: order.id, version: 6 }]);
    });

    it('keeps each name of a charge, and payments without a provider id', async () => {
      const { a, b } = await setUp();
      const { order } = newPlacement();
      await a.orders.insert(newPlacement({ id: order.id }));
      const at = new Date('2026-01-01T00:00:01.000Z');
      for (const names of [{ id: 'p1' }, { id: 'p1', stripeId: 'c' }, { id: 'p2', stripeId: 'c' }]) {
        await change(a.orders, order.id, { type: 'pay', payment: { ...names, at } });
      }

      expect((await read(b.orders, order.id)).order).toMatchObject({ status: 'complete', version: 3 });
      expect((await read(b.orders, order.id)).order.payments).toEqual([
        { id: 'p1', at },
        { id: 'p1', stripeId: 'c', at, sameAs: 'p1' },
        { id: 'p2', stripeId: 'c', at, sameAs: 'p1' },
      ]);
    });

    it('lets one of many changes of the same version win; the others change nothing', async () => {
      const { a, b } = await setUp();
      const { order } = newPlacement();
      await a.orders.insert(newPlacement({ id: order.id }));
      const before = await read(a.orders, order.id);

      const results = await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          (i % 2 ? a : b).orders.save(
            changeOf(before, i % 3 ? { type: 'cancel', by: 'user' } : payment(`p${i}`)),
          ),
        ),
      );

      expect(results.filter(Boolean)).toHaveLength(1);
      const { order: after, recorded } = await read(b.orders, order.id);
      expect(after.version).toBe(1);
      expect(recorded).toBe(after.status === 'cancelled' ? 2 : 1);
      expect(after.payments).toHaveLength(after.status === 'cancelled' ? 0 : 1);
    });

    it('is not made by saving it', async () => {
      const { a } = await setUp();
      const { order } = newPlacement();

      expect(
        await a.orders.save(changeOf({ order, turn: 0, recorded: 1 }, { type: 'cancel', by: 'user' })),
      ).toBe(false);
      expect(await a.orders.find(order.id)).toBeUndefined();
    });

    it('is not changed by changing what was given or returned', async () => {
      const { a } = await setUp();
      const placement = newPlacement();
      const writable = structuredClone(placement) as { order: { ticket: { title: string } } };
      const inserting = a.orders.insert(writable as never);
      writable.order.ticket.title = 'Another';
      await inserting;
      const found = (await read(a.orders, placement.order.id)) as { order: { ticket: { title: string } } };
      found.order.ticket.title = 'A third';

      expect((await read(a.orders, placement.order.id)).order).toEqual(placement.order);
    });
  });

  it('confirms reads to many at once', async () => {
    const { a, b } = await setUp();

    await expect(
      Promise.all(Array.from({ length: 50 }, (_, i) => (i % 2 ? a : b).orders.confirmReads())),
    ).resolves.toHaveLength(50);
  });

  describe('the listing', () => {
    it('pages through equal times in a total order, each order exactly once', async () => {
      const { a } = await setUp();
      const times = ['2026-01-03T00:00:00.000Z', '2026-01-01T00:00:00.000Z', '2026-01-02T00:00:00.000Z'];
      const mine = Array.from({ length: 25 }, (_, i) =>
        newPlacement({ userId: 'me', now: new Date(times[i % 3]!) }),
      );
      await Promise.all([...mine, newPlacement({ userId: 'other' })].map(a.orders.insert));

      const listed: Order[] = [];
      let page: readonly Order[];
      do {
        const after = listed.at(-1);
        page = await a.orders.list({ userId: 'me', limit: 4, ...(after ? { after } : {}) });
        listed.push(...page);
      } while (page.length > 0);

      const expected = mine
        .map(({ order }) => order)
        .sort((x, y) => y.createdAt.getTime() - x.createdAt.getTime() || (x.id < y.id ? 1 : -1));
      expect(listed).toEqual(expected);
    });

    describe('narrowed', () => {
      const ticketId = newId();

      /** Six orders of the user, two of them for the ticket: cancelled, paid, cancelled, three open. */
      async function placeSix({ a }: Awaited<ReturnType<SetUp>>): Promise<string[]> {
        const placements = Array.from({ length: 6 }, (_, i) =>
          newPlacement({
            userId: 'me',
            now: new Date(Date.UTC(2026, 0, 1, 0, i)),
            ...(i < 2 ? { ticketId, turn: i } : {}),
          }),
        );
        const others = newPlacement({ userId: 'other', ticketId, turn: 2 });
        await Promise.all([...placements, others].map(a.orders.insert));
        const ids = placements.map(({ order }) => order.id);
        await change(a.orders, ids[0]!, { type: 'cancel', by: 'user' });
        await change(a.orders, ids[1]!, payment('p'));
        await change(a.orders, ids[2]!, { type: 'cancel', by: 'user' });
        return ids;
      }

      it.each<[string, Omit<OrderFilter, 'userId'>, number[]]>([
        ['to nothing', {}, [5, 4, 3, 2, 1, 0]],
        ['to one status', { statuses: ['cancelled'] }, [2, 0]],
        ['to several statuses', { statuses: ['complete', 'cancelled'] }, [2, 1, 0]],
        ['to a status of none', { statuses: ['awaiting:payment'] }, []],
        ['to a ticket', { ticketId }, [1, 0]],
        ['to a ticket and a status', { ticketId, statuses: ['cancelled', 'created'] }, [0]],
        ['to a ticket of none', { ticketId: newId() }, []],
      ])('%s lists and counts the same orders, page by page', async (_, filter, expected) => {
        const stores = await setUp();
        const ids = await placeSix(stores);
        const { orders } = stores.b;
        const query = { userId: 'me', ...filter };

        const all = await orders.list({ ...query, limit: 10 });
        const [first] = await orders.list({ ...query, limit: 1 });
        const rest = first ? await orders.list({ ...query, limit: 10, after: first }) : [];

        expect(all.map(({ id }) => ids.indexOf(id))).toEqual(expected);
        expect(rest).toEqual(all.slice(1));
        expect(await orders.count(query)).toBe(expected.length);
      });
    });
  });

  it('tells which unpaid orders are overdue, oldest first', async () => {
    const { a } = await setUp();
    const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute));
    const all = [3, 1, 2, 1, 1, 9].map((minute) => newPlacement({ now: at(minute) }));
    const [third, first, second, paid, cancelled, later] = all;
    await Promise.all(all.map(a.orders.insert));
    await change(a.orders, paid!.order.id, payment('p'));
    await change(a.orders, cancelled!.order.id, { type: 'cancel', by: 'user' });

    const overdueAt = later!.order.expiresAt;
    const inOrder = [first!, second!, third!].map(({ order }) => order.id);

    expect(await a.orders.overdue(overdueAt, 10)).toEqual(inOrder);
    expect(await a.orders.overdue(overdueAt, 2)).toEqual(inOrder.slice(0, 2));
  });
}
