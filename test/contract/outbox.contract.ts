import type { PublishingLease } from '../../src/application/ports';
import {
  change,
  changeOf,
  newId,
  newPlacement,
  payment,
  placeWithLease,
  read,
  seqs,
} from '../support/placements';
import { LEASE_MS, type ConnectedStore, type SetUp } from './store-harness';

export function outboxContract(setUp: SetUp): void {
  describe('the lease', () => {
    it('of an insert keeps others out until it has run out', async () => {
      const { a, b, harness } = await setUp();
      const { orderId } = await placeWithLease(a.orders);

      expect(await b.outbox.claim(orderId)).toBeUndefined();
      expect(await b.outbox.claimable(10)).toEqual([]);
      harness.advance(LEASE_MS);

      expect(await b.outbox.claimable(10)).toMatchObject([{ orderId, turn: 0 }]);
      expect(seqs(await b.outbox.claim(orderId))).toEqual([0]);
    });

    it('is given to one of many who claim, counted from before it was asked for', async () => {
      const { a, b, harness } = await setUp();
      const placement = newPlacement({ withLease: false });
      await a.orders.insert(placement);

      const before = harness.monotonic();
      const claiming = Array.from({ length: 40 }, (_, i) => (i % 2 ? a : b).outbox.claim(placement.order.id));
      harness.advance(1000);
      const claims = await Promise.all(claiming);

      const given = claims.filter((claim) => claim !== undefined);
      expect(given).toEqual([
        {
          orderId: placement.order.id,
          ticketId: placement.order.ticket.id,
          turn: 0,
          events: placement.events,
          attempts: 0,
          leaseUntil: expect.any(Number),
        },
      ]);
      expect(given[0]!.leaseUntil).toBeGreaterThanOrEqual(before + LEASE_MS);
      expect(given[0]!.leaseUntil).toBeLessThan(before + 1000 + LEASE_MS);
    });

    it('is not to be had where there is nothing to publish', async () => {
      const { a } = await setUp();
      const lease = await placeWithLease(a.orders);
      await a.outbox.markPublished(lease, 1, 'now');

      expect(await a.outbox.claim(lease.orderId)).toBeUndefined();
      expect(await a.outbox.claim(newId())).toBeUndefined();
      expect(await a.outbox.claimable(10)).toEqual([]);
    });

    it('that was lost marks nothing and gives nothing back', async () => {
      const { a, b, harness } = await setUp();
      const lost = await placeWithLease(a.orders);
      harness.advance(LEASE_MS);
      const held = await b.outbox.claim(lost.orderId);

      expect(await a.outbox.markPublished(lost, 1, 'now')).toBeUndefined();
      await a.outbox.release(lost, 0, 9);

      expect(await a.outbox.claim(lost.orderId)).toBeUndefined();
      await change(a.orders, lost.orderId, { type: 'cancel', by: 'user' });
      expect(seqs(await b.outbox.markPublished(held!, 1, 'now'))).toEqual([1]);
    });

    it('is not taken by a change, and what it adds is seen by who holds it', async () => {
      const { a, b } = await setUp();
      const lease = await placeWithLease(a.orders);
      await change(b.orders, lease.orderId, { type: 'cancel', by: 'user' });

      expect(await b.outbox.claim(lease.orderId)).toBeUndefined();
      const rest = await a.outbox.markPublished(lease, 1, 'now');

      expect(seqs(rest)).toEqual([1]);
      expect(rest!.events[0]).toMatchObject({ subject: 'order:cancelled' });
      expect(await b.outbox.claim(lease.orderId)).toBeUndefined();
      expect(await a.outbox.markPublished(rest!, 1, 'now')).toBeUndefined();
    });

    it('is renewed by a mark that leaves something to publish', async () => {
      const { a, b, harness } = await setUp();
      const lease = await placeWithLease(a.orders);
      await change(a.orders, lease.orderId, { type: 'cancel', by: 'user' });
      harness.advance(LEASE_MS - 1000);

      const before = harness.monotonic();
      const rest = await a.outbox.markPublished(lease, 1, 'now');
      expect(rest!.leaseUntil).toBeGreaterThanOrEqual(before + LEASE_MS);
      harness.advance(2000);

      expect(await b.outbox.claim(lease.orderId)).toBeUndefined();
    });

    it('is free at once for a change that comes after the last mark', async () => {
      const { a, b } = await setUp();
      const lease = await placeWithLease(a.orders);
      await a.outbox.markPublished(lease, 1, 'now');
      await change(a.orders, lease.orderId, { type: 'cancel', by: 'user' });

      expect(seqs(await b.outbox.claim(lease.orderId))).toEqual([1]);
    });

    it('that is given back can be claimed after the delay, with the attempts so far', async () => {
      const { a, b, harness } = await setUp();
      const lease = await placeWithLease(a.orders);
      await a.outbox.release(lease, 60_000, 3);

      expect(await b.outbox.claim(lease.orderId)).toBeUndefined();
      expect(await b.outbox.claimable(10)).toEqual([]);
      harness.advance(60_000);

      const claimed = await b.outbox.claim(lease.orderId);
      expect(claimed).toMatchObject({ attempts: 3 });
      await change(a.orders, lease.orderId, { type: 'cancel', by: 'user' });
      expect(await b.outbox.markPublished(claimed!, 1, 'now')).toMatchObject({ attempts: 0 });
    });

    it('is not given back by a lease that was marked as published before', async () => {
      const { a, b } = await setUp();
      const lease = await placeWithLease(a.orders);
      await change(a.orders, lease.orderId, { type: 'cancel', by: 'user' });
      await a.outbox.markPublished(lease, 1, 'now');

      await a.outbox.release(lease, 0, 1);

      expect(await b.outbox.claim(lease.orderId)).toBeUndefined();
    });
  });

  describe('marking as published', () => {
    it('goes event by event, in order', async () => {
      const { a } = await setUp();
      const placement = newPlacement({ withLease: false });
      const { id } = placement.order;
      await a.orders.insert(placement);
      await change(a.orders, id, { type: 'cancel', by: 'user' });
      await change(a.orders, id, payment('p'));

      const seen: (number[] | undefined)[] = [];
      for (let rest = await a.outbox.claim(id); rest; rest = await a.outbox.markPublished(rest, 1, 'now'))
        seen.push(seqs(rest));

      expect(seen).toEqual([[0, 1, 2], [1, 2], [2]]);
      expect(await a.outbox.backlog()).toEqual({ pending: 0 });
    });

    it('takes several events at once', async () => {
      const { a } = await setUp();
      const placement = newPlacement({ withLease: false });
      await a.orders.insert(placement);
      await change(a.orders, placement.order.id, { type: 'cancel', by: 'user' });
      await change(a.orders, placement.order.id, payment('p'));
      const lease = await a.outbox.claim(placement.order.id);

      const rest = await a.outbox.markPublished(lease!, 2, 'now');
      expect(seqs(rest)).toEqual([2]);
      expect(await a.outbox.markPublished(rest!, 1, 'can wait')).toBeUndefined();
      expect(await a.outbox.backlog()).toEqual({ pending: 0 });
    });

    it('of all events at once gives the lease back, unless more came meanwhile', async () => {
      const { a, b } = await setUp();
      const placements = [newPlacement({ withLease: false }), newPlacement({ withLease: false })];
      await Promise.all(placements.map(a.orders.insert));
      const ids = placements.map(({ order }) => order.id);
      for (const id of ids) await change(a.orders, id, { type: 'cancel', by: 'user' });
      const leases = await Promise.all(ids.map(a.outbox.claim));
      await change(b.orders, ids[1]!, payment('p'));

      const rests = await Promise.all(leases.map((one) => a.outbox.markPublished(one!, 2, 'now')));
      expect(rests.map(seqs)).toEqual([undefined, [2]]);
      expect(await b.outbox.claimable(10)).toEqual([]);
      expect(await a.outbox.backlog()).toMatchObject({ pending: 1 });
    });

    it('does nothing when it is repeated', async () => {
      const { a } = await setUp();
      const lease = await placeWithLease(a.orders);
      await change(a.orders, lease.orderId, { type: 'cancel', by: 'user' });
      await a.outbox.markPublished(lease, 1, 'now');

      expect(await a.outbox.markPublished(lease, 1, 'now')).toBeUndefined();
      expect(await a.outbox.backlog()).toMatchObject({ pending: 1 });
    });

    it('of many at once gives each its own answer: marked as published, more to publish, lease lost', async () => {
      const { a, b, harness } = await setUp();
      const leases = await Promise.all(Array.from({ length: 30 }, () => placeWithLease(a.orders)));
      const lost = leases.slice(0, 5);
      harness.advance(LEASE_MS);
      await Promise.all(lost.map(({ orderId }) => b.outbox.claim(orderId)));
      const changed = leases.slice(5, 12);
      await Promise.all(
        changed.map(({ orderId }) => change(b.orders, orderId, { type: 'cancel', by: 'user' })),
      );

      const rests = await Promise.all(leases.map((one) => a.outbox.markPublished(one, 1, 'now')));

      expect(rests.slice(5, 12).map(seqs)).toEqual(changed.map(() => [1]));
      expect([...rests.slice(0, 5), ...rests.slice(12)]).toEqual(new Array(23).fill(undefined));
      expect(await a.outbox.backlog()).toMatchObject({ pending: 12 });
    });

    it('loses and doubles nothing, however changes, claims and marks interleave', async () => {
      const { a, b } = await setUp();
      const placements = Array.from({ length: 12 }, (_, i) => newPlacement({ withLease: i % 2 === 0 }));
      const published = new Map(placements.map(({ order }) => [order.id, [] as number[]]));
      let changing = true;

      async function publishAll(store: ConnectedStore, first: PublishingLease | undefined): Promise<void> {
        for (let rest = first; rest; rest = await store.outbox.markPublished(rest, 1, 'now')) {
          published.get(rest.orderId)!.push(rest.events[0]!.seq);
        }
      }
      async function poll(store: ConnectedStore): Promise<void> {
        while (changing || (await store.outbox.backlog()).pending > 0) {
          const found = await store.outbox.claimable(100);
          await Promise.all(
            found.map(async ({ orderId }) => publishAll(store, await store.outbox.claim(orderId))),
          );
        }
      }
      async function live(placement: (typeof placements)[number]): Promise<void> {
        const result = await a.orders.insert(placement);
        const publishing = publishAll(a, result.type === 'inserted' ? result.lease : undefined);
        for (const input of [{ type: 'cancel', by: 'user' } as const, payment('p1'), payment('p2')]) {
          expect(await b.orders.save(changeOf(await read(b.orders, placement.order.id), input))).toBe(true);
        }
        await publishing;
      }

      const polls = [poll(a), poll(b)];
      await Promise.all(placements.map(live)).finally(() => {
        changing = false;
      });
      await Promise.all(polls);

      expect([...published.values()]).toEqual(placements.map(() => [0, 1, 2, 3]));
    });
  });

  describe('what waits to be published', () => {
    it('is told of the earliest turn of a ticket, and of no other', async () => {
      const { a, b } = await setUp();
      const ticketId = newId();
      const [first, second, third] = await Promise.all(
        [0, 1, 2].map((turn) => placeWithLease(a.orders, { ticketId, turn })),
      );
      await placeWithLease(a.orders);
      expect(await b.outbox.earliest(ticketId)).toBe(first!.orderId);
      await a.outbox.markPublished(second!, 1, 'now');
      expect(await b.outbox.earliest(ticketId)).toBe(first!.orderId);
      await a.outbox.markPublished(first!, 1, 'now');
      expect(await b.outbox.earliest(ticketId)).toBe(third!.orderId);
      await change(a.orders, second!.orderId, { type: 'cancel', by: 'user' });
      expect(await b.outbox.earliest(ticketId)).toBe(second!.orderId);
      expect(await b.outbox.earliest(newId())).toBeUndefined();
    });

    it('can be claimed, as many as asked for', async () => {
      const { a } = await setUp();
      const placements = Array.from({ length: 7 }, () => newPlacement({ withLease: false }));
      await Promise.all(placements.map(a.orders.insert));
      await placeWithLease(a.orders);

      const positions = placements.map(({ order, turn }) => ({
        orderId: order.id,
        ticketId: order.ticket.id,
        turn,
        freeSince: new Date(0),
      }));
      positions.sort((one, other) => (one.orderId < other.orderId ? -1 : 1));
      expect(await a.outbox.claimable(100)).toEqual(positions);
      expect(await a.outbox.claimable(3)).toEqual(positions.slice(0, 3));
    });

    it('can be claimed page by page, each once, those first that have waited for the longest', async () => {
      const { a, harness } = await setUp();
      const placements = Array.from({ length: 11 }, (_, i) => newPlacement({ withLease: i < 3 }));
      for (const placement of placements.slice(0, 3).reverse()) {
        await a.orders.insert(placement);
        harness.advance(1);
      }
      await Promise.all(placements.slice(3).map(a.orders.insert));
      harness.advance(LEASE_MS);

      const seen: string[] = [];
      for (
        let page = await a.outbox.claimable(4);
        page.length > 0;
        page = await a.outbox.claimable(4, page.at(-1))
      ) {
        seen.push(...page.map(({ orderId }) => orderId));
      }
      const ids = placements.map(({ order }) => order.id);
      expect(seen).toEqual([...ids.slice(3).sort(), ...ids.slice(0, 3).reverse()]);
    });

    it('can be claimed by many at once, each order by one', async () => {
      const { a, b } = await setUp();
      const placements = Array.from({ length: 20 }, () => newPlacement({ withLease: false }));
      await Promise.all(placements.map(a.orders.insert));

      const claims = await Promise.all(
        placements.flatMap(({ order }) => [a.outbox.claim(order.id), b.outbox.claim(order.id)]),
      );
      const given = claims.filter((claim) => claim !== undefined);
      expect(given.map(({ orderId, events }) => [orderId, events.length]).sort()).toEqual(
        placements.map(({ order }) => [order.id, 1]).sort(),
      );
    });

    it('is counted by orders, with the time of the oldest event', async () => {
      const { a } = await setUp();
      expect(await a.outbox.backlog()).toEqual({ pending: 0 });
      const at = (day: number) => new Date(Date.UTC(2026, 0, day));
      const [oldest, next] = await Promise.all(
        [1, 2, 3].map((day) => placeWithLease(a.orders, { now: at(day) })),
      );

      expect(await a.outbox.backlog()).toEqual({ pending: 3, oldest: at(1) });
      await a.outbox.markPublished(oldest!, 1, 'now');
      expect(await a.outbox.backlog()).toEqual({ pending: 2, oldest: at(2) });
      await a.orders.save(
        changeOf(await read(a.orders, next!.orderId), { type: 'cancel', by: 'user' }, at(9)),
      );
      await a.outbox.markPublished(next!, 1, 'now');
      expect(await a.outbox.backlog()).toEqual({ pending: 2, oldest: at(3) });
    });

    it('is known whatever comes and goes between two looks', async () => {
      const { a } = await setUp();
      const place = (second: number) =>
        placeWithLease(a.orders, { now: new Date(Date.UTC(2026, 0, 1, 0, 0, second)) });
      const oldestSecond = async () => {
        const { pending, oldest } = await a.outbox.backlog();
        return [pending, oldest && (oldest.getTime() - Date.UTC(2026, 0, 1)) / 1000];
      };

      const later = await Promise.all([30, 30, 31, 40].map(place));
      expect(await oldestSecond()).toEqual([4, 30]);
      // One that was on its way for long.
      const older = await place(20);
      expect(await oldestSecond()).toEqual([5, 20]);
      await Promise.all(
        [older, later[0]!, later[1]!, later[2]!].map((one) => a.outbox.markPublished(one, 1, 'now')),
      );
      expect(await oldestSecond()).toEqual([1, 40]);
      await a.outbox.markPublished(later[3]!, 1, 'now');
      expect(await oldestSecond()).toEqual([0, undefined]);
      await place(10);
      expect(await oldestSecond()).toEqual([1, 10]);
    });
  });
}
