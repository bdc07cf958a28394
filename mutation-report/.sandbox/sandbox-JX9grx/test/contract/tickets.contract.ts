import { newId } from '../support/placements';
import type { SetUp } from './store-harness';

export function ticketsContract(setUp: SetUp): void {
  const newTicket = (id: string, version: number) => ({
    id,
    version,
    title: `Title ${version}`,
    price: version + 0.5,
    userId: 'seller',
  });

  describe('the copy of a ticket', () => {
    it.each([[[0, 1, 2]], [[0, 2, 1]], [[1, 0, 2]], [[1, 2, 0]], [[2, 0, 1]], [[2, 1, 0]]])(
      'is the newest version when they come as %j',
      async (versions) => {
        const { a, b } = await setUp();
        const id = newId();

        for (const version of versions) await a.tickets.apply(newTicket(id, version));

        expect(await b.tickets.find(id)).toEqual(newTicket(id, 2));
      },
    );

    it('is the newest of 50 versions that come at once, to two replicas', async () => {
      const { a, b } = await setUp();
      const id = newId();
      const versions = Array.from({ length: 50 }, (_, i) => (i * 17) % 50);

      await Promise.all(versions.map((version, i) => (i % 2 ? a : b).tickets.apply(newTicket(id, version))));

      expect(await a.tickets.find(id)).toEqual(newTicket(id, 49));
    });

    it('is there, that version or a newer one, as soon as applying it has resolved', async () => {
      const { a, b } = await setUp();
      const ids = [newId(), newId(), newId()];

      await Promise.all(
        ids.flatMap((id) =>
          [3, 1, 4, 2].map(async (version, i) => {
            await (i % 2 ? a : b).tickets.apply(newTicket(id, version));
            expect((await a.tickets.find(id))!.version).toBeGreaterThanOrEqual(version);
          }),
        ),
      );
    });

    it('is not changed by its own version again', async () => {
      const { a } = await setUp();
      const id = newId();
      await a.tickets.apply(newTicket(id, 1));
      await a.tickets.apply({ ...newTicket(id, 1), title: 'Another' });

      expect(await a.tickets.find(id)).toEqual(newTicket(id, 1));
    });

    it('is given to each of many who ask at once, and to nobody where there is none', async () => {
      const { a } = await setUp();
      const ids = Array.from({ length: 40 }, newId);
      await Promise.all(ids.map((id, i) => a.tickets.apply(newTicket(id, i))));
      const unknown = newId();

      const found = await Promise.all([unknown, ...ids, ...ids].map(a.tickets.find));

      const expected = ids.map((id, i) => newTicket(id, i));
      expect(found).toEqual([undefined, ...expected, ...expected]);
    });
  });
}
