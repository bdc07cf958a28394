import { createBacklog, MOST_COUNTED, rangesFrom, type Range } from '../../src/adapters/mongo/backlog';

type Orders = Parameters<typeof createBacklog>[0]['orders'];
type Filter = { 'publishing.since': Range };

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second));

/** Orders that have been pending since these seconds, and what is asked of them. */
function setUp(pendingSince: number[], { eachTakesMs = 0, onCount = () => {} } = {}) {
  const found: Range[] = [];
  const limits: number[] = [];
  let elapsed = 0;
  const inRange = ({ $gt, $lte }: Range) =>
    pendingSince
      .map(at)
      .filter((time) => time > $gt && (!$lte || time <= $lte))
      .sort((a, b) => a.getTime() - b.getTime());
  const orders = {
    findOne: ({ 'publishing.since': range }: Filter) => ({
      sort: () => ({
        lean: async () => {
          elapsed += eachTakesMs;
          found.push(range);
          const [since] = inRange(range);
          return since && { publishing: { since } };
        },
      }),
    }),
    countDocuments: ({ 'publishing.since': range }: Filter, { limit }: { limit: number }) => ({
      exec: async () => {
        onCount();
        elapsed += eachTakesMs;
        limits.push(limit);
        return Math.min(limit, inRange(range).length);
      },
    }),
  };
  const backlog = createBacklog(
    { orders: orders as unknown as Orders },
    { now: () => at(100), monotonic: () => elapsed },
  );
  return { backlog, found, limits };
}

describe('the backlog of the outbox', () => {
  it('is looked for in ranges that double, the last one without an end', () => {
    expect(rangesFrom(at(0), at(8))).toEqual([
      { $gt: at(0), $lte: at(1) },
      { $gt: at(1), $lte: at(3) },
      { $gt: at(3), $lte: at(7) },
      { $gt: at(7) },
    ]);
    expect(rangesFrom(at(9), at(8))).toEqual([{ $gt: at(9) }]);
  });

  it('begins with the oldest that was found last', async () => {
    const pendingSince = [40, 50, 90, 200];
    const { backlog, found } = setUp(pendingSince);
    expect(await backlog()).toEqual({ pending: 4, oldest: at(40) });
    expect(found).toEqual([{ $gt: new Date(0) }]);

    found.length = 0;
    expect(await backlog()).toEqual({ pending: 4, oldest: at(40) });
    expect(found).toEqual([{ $gt: new Date(0), $lte: at(40) }]);

    found.length = 0;
    pendingSince.splice(0, 2);
    expect(await backlog()).toEqual({ pending: 2, oldest: at(90) });
    expect(found[0]).toEqual({ $gt: new Date(0), $lte: at(40) });
    expect(found.at(-1)).toEqual({ $gt: at(71) });
  });

  it('is counted up to a limit, and no further', async () => {
    const { backlog, limits } = setUp([
      ...new Array<number>(MOST_COUNTED - 1).fill(10),
      ...new Array<number>(5).fill(12),
      50,
    ]);
    expect(await backlog()).toEqual({ pending: MOST_COUNTED, oldest: at(10) });
    expect(limits).toEqual([MOST_COUNTED, 1]);
  });

  it('has no oldest order where it was published before it could be counted', async () => {
    const pendingSince = [40];
    const { backlog } = setUp(pendingSince, { onCount: () => pendingSince.splice(0) });
    expect(await backlog()).toEqual({ pending: 0 });
  });

  it('is given up where the server is slow, for a stop waits for it', async () => {
    const { backlog, found, limits } = setUp([1], { eachTakesMs: 2_000 });
    await expect(backlog()).rejects.toMatchObject({ code: 'unavailable' });
    expect(found.length + limits.length).toBe(3);
  });
});
