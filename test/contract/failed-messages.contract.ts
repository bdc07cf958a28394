import type { FailedMessage, ListedMessage } from '../../src/application/failed-messages';
import type { SetUp } from './store-harness';

export function deadLettersContract(setUp: SetUp): void {
  const HOUR = 3_600_000;

  const newFailedMessage = (sequence: number, parts: Partial<FailedMessage> = {}): FailedMessage => ({
    id: `payment:created:${sequence}:1`,
    subject: 'payment:created',
    sequence,
    publishedAt: new Date('2026-01-01T00:00:00.000Z'),
    data: '{}',
    reason: 'unknown order',
    attempts: 1,
    at: new Date(Date.UTC(2026, 0, 1, 0, 0, sequence)),
    ...parts,
  });

  const listed = (...args: Parameters<typeof newFailedMessage>): ListedMessage => {
    const { data: _, encoding: __, ...others } = newFailedMessage(...args);
    return others;
  };

  describe('dead messages', () => {
    it('are kept whole, and once: putting one again changes nothing', async () => {
      const { a, b } = await setUp();
      const message = newFailedMessage(1, {
        encoding: 'base64',
        retryAt: new Date('2026-01-01T01:00:00.000Z'),
      });
      await Promise.all([a.failedMessages.put(message), b.failedMessages.put(message)]);
      await a.failedMessages.put({ ...message, reason: 'another', attempts: 9 });

      expect(await b.failedMessages.find(message.id)).toEqual(message);
      expect(await b.failedMessages.list(10)).toHaveLength(1);
    });

    it('are listed newest first, as many as asked for, without their data', async () => {
      const { a } = await setUp();
      for (const sequence of [2, 1, 3])
        await a.failedMessages.put(newFailedMessage(sequence, { encoding: 'base64' }));

      expect(await a.failedMessages.list(2)).toEqual([listed(3), listed(2)]);
    });

    it('that are due are given out oldest first, each to one of many callers', async () => {
      const { a, b } = await setUp();
      const ago = (ms: number) => new Date(a.now().getTime() - ms);
      const due = Array.from({ length: 20 }, (_, i) =>
        newFailedMessage(i, { retryAt: ago(HOUR + i * 1000) }),
      );
      await Promise.all(
        [...due, newFailedMessage(98), newFailedMessage(99, { retryAt: ago(-HOUR) })].map(
          a.failedMessages.put,
        ),
      );
      const claimedUntil = ago(-HOUR);

      const [first] = await a.failedMessages.takeDue(claimedUntil, 1);
      const taken: (readonly FailedMessage[])[] = await Promise.all(
        Array.from({ length: 8 }, (_, i) => (i % 2 ? a : b).failedMessages.takeDue(claimedUntil, 10)),
      );
      do taken.push(await b.failedMessages.takeDue(claimedUntil, 10));
      while (taken.at(-1)!.length > 0);

      expect(first).toMatchObject({ id: due[19]!.id, attempts: 1, data: '{}' });
      const ids = [first!, ...taken.flat()].map(({ id }) => id);
      expect(ids.sort()).toEqual(due.map(({ id }) => id).sort());
    });

    it('that were given out come again when whoever took them is not heard of', async () => {
      const { a, b, harness } = await setUp();
      await a.failedMessages.put(newFailedMessage(1, { retryAt: new Date(a.now().getTime() - 1000) }));

      expect(await a.failedMessages.takeDue(new Date(a.now().getTime() + HOUR), 10)).toHaveLength(1);
      expect(await b.failedMessages.takeDue(new Date(b.now().getTime() + HOUR), 10)).toHaveLength(0);
      harness.advance(HOUR + 1000);

      expect(await b.failedMessages.takeDue(new Date(b.now().getTime() + HOUR), 10)).toHaveLength(1);
    });

    it('are tried again at a later time, or never, and are counted so', async () => {
      const { a } = await setUp();
      const retryAt = new Date(a.now().getTime() + HOUR);
      for (const sequence of [1, 2]) await a.failedMessages.put(newFailedMessage(sequence, { retryAt }));
      expect(await a.failedMessages.count()).toEqual({ parked: 2, dead: 0 });

      const later = new Date(retryAt.getTime() + HOUR);
      await a.failedMessages.postpone(newFailedMessage(1).id, {
        reason: 'still unknown',
        attempts: 2,
        retryAt: later,
      });
      await a.failedMessages.postpone(newFailedMessage(2).id, { reason: 'given up', attempts: 3 });
      await a.failedMessages.postpone(newFailedMessage(3).id, { reason: 'not there', attempts: 3 });

      expect(await a.failedMessages.count()).toEqual({ parked: 1, dead: 1 });
      expect(await a.failedMessages.list(10)).toEqual([
        listed(2, { reason: 'given up', attempts: 3 }),
        listed(1, { reason: 'still unknown', attempts: 2, retryAt: later }),
      ]);
    });

    it('are due at once with a fresh count when replayed, one or all', async () => {
      const { a } = await setUp();
      const in1Hour = new Date(a.now().getTime() + HOUR);
      for (const sequence of [1, 2, 3])
        await a.failedMessages.put(newFailedMessage(sequence, { attempts: 7 }));

      expect(await a.failedMessages.replay(newFailedMessage(2).id)).toBe(1);
      expect(await a.failedMessages.replay('no such message')).toBe(0);
      expect(await a.failedMessages.takeDue(in1Hour, 10)).toMatchObject([
        { id: newFailedMessage(2).id, attempts: 0 },
      ]);

      expect(await a.failedMessages.replay()).toBe(3);
      expect(await a.failedMessages.takeDue(in1Hour, 10)).toHaveLength(3);
    });

    it('are found by their id, and listed by their state', async () => {
      const { a } = await setUp();
      const parked = newFailedMessage(1, { retryAt: new Date(a.now().getTime() + HOUR) });
      await a.failedMessages.put(parked);
      await a.failedMessages.put(newFailedMessage(2));
      await a.failedMessages.put(newFailedMessage(3));
      await a.failedMessages.discard(newFailedMessage(3).id, 'a test');

      expect(await a.failedMessages.find(parked.id)).toEqual(parked);
      expect(await a.failedMessages.find('no such message')).toBeUndefined();
      const { retryAt } = parked;
      expect(await a.failedMessages.list(10, 'parked')).toEqual([listed(1, { retryAt: retryAt! })]);
      expect(await a.failedMessages.list(10, 'dead')).toEqual([listed(2)]);
      expect(await a.failedMessages.list(10, 'discarded')).toMatchObject([{ id: newFailedMessage(3).id }]);
      expect(await a.failedMessages.list(10)).toHaveLength(3);
    });

    it('that were discarded are kept with the reason, once, and are not counted any more', async () => {
      const { a, b } = await setUp();
      const retryAt = new Date(a.now().getTime() - 1000);
      const message = newFailedMessage(1, { retryAt });
      await a.failedMessages.put(message);
      await a.failedMessages.put(newFailedMessage(2));
      const ended = await Promise.all([
        a.failedMessages.discard(message.id, 'first'),
        a.failedMessages.discard(newFailedMessage(2).id, 'second'),
      ]);

      expect(ended).toEqual([true, true]);
      expect(await b.failedMessages.discard(message.id, 'again')).toBe(false);
      expect(await b.failedMessages.discard('no such message', 'again')).toBe(false);
      const kept = await b.failedMessages.find(message.id);
      const discarded = { at: kept?.discarded?.at, reason: 'first' };
      expect(kept).toEqual({ ...newFailedMessage(1), discarded });
      expect(discarded.at!.getTime()).toBeGreaterThan(0);
      expect(await a.failedMessages.count()).toEqual({ parked: 0, dead: 0 });
      expect(await a.failedMessages.takeDue(new Date(a.now().getTime() + HOUR), 10)).toEqual([]);
    });

    it('that were discarded stay so when they fail again or come again, until they are replayed by id', async () => {
      const { a } = await setUp();
      const { id } = newFailedMessage(1);
      await a.failedMessages.put(newFailedMessage(1));
      await a.failedMessages.discard(id, 'a test');
      await a.failedMessages.postpone(id, { reason: 'tried meanwhile', attempts: 2, retryAt: a.now() });
      await a.failedMessages.put(newFailedMessage(1, { retryAt: a.now() }));

      expect(await a.failedMessages.replay()).toBe(0);
      expect(await a.failedMessages.find(id)).toMatchObject({ reason: 'unknown order', attempts: 1 });
      expect(await a.failedMessages.replay(id)).toBe(1);
      expect(await a.failedMessages.count()).toEqual({ parked: 1, dead: 0 });
      expect(await a.failedMessages.find(id)).not.toHaveProperty('discarded');
    });

    it('are gone when removed', async () => {
      const { a } = await setUp();
      await a.failedMessages.put(newFailedMessage(1));
      await a.failedMessages.remove(newFailedMessage(1).id);
      await a.failedMessages.remove(newFailedMessage(1).id);

      expect(await a.failedMessages.list(10)).toEqual([]);
      expect(await a.failedMessages.count()).toEqual({ parked: 0, dead: 0 });
    });
  });
}
