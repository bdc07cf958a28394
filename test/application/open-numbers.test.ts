import { createOpenNumbers } from '../../src/application/open-numbers';
import type { OpenNumberLook } from '../../src/application/ports';
import type { OrderStatus } from '../../src/domain/order';
import { orderOf } from '../support/http-app';

/** What is found at each number that is looked at, in this order; nothing at any other. */
function setUp(looks: OpenNumberLook[] = [], { most = 4, random = 0 } = {}) {
  const lookedAt: number[] = [];
  let confirmed = 0;
  const openNumbers = createOpenNumbers({
    orders: {
      async lookAtOpenNumber(_userId, number) {
        lookedAt.push(number);
        return looks.shift() ?? { taken: [] };
      },
      confirmReads: async () => void (confirmed += 1),
    },
    most,
    random: () => random,
  });
  return { ...openNumbers, lookedAt, confirmed: () => confirmed };
}

const look = (turn: number, status: OrderStatus, ...taken: number[]): OpenNumberLook => ({
  latest: { order: orderOf({ status }), turn },
  taken,
});

describe('the first turn to try', () => {
  it('is none, and nothing is read, without a limit', async () => {
    const { first, lookedAt } = setUp([], { most: 0 });
    expect(await first('ann')).toBeUndefined();
    expect(lookedAt).toEqual([]);
  });

  it.each([
    [0, 0],
    [0.49, 1],
    [0.999, 3],
  ])('is at a number that is drawn: %d draws %d', async (random, number) => {
    const { first, confirmed } = setUp([], { random });
    expect(await first('ann')).toEqual({ number, turn: 0 });
    expect(confirmed()).toBe(0);
  });

  it.each<OrderStatus>(['complete', 'cancelled'])(
    'follows an order that is %s, once that is durable',
    async (status) => {
      const { first, confirmed } = setUp([look(6, status)]);
      expect(await first('ann')).toEqual({ number: 0, turn: 7 });
      expect(confirmed()).toBe(1);
    },
  );

  it.each<OrderStatus>(['created', 'awaiting:payment'])(
    'is at another number while an order is %s',
    async (status) => {
      const { first, lookedAt, confirmed } = setUp([look(6, status, 0, 1), look(2, 'cancelled', 0, 1)]);
      expect(await first('ann')).toEqual({ number: 2, turn: 3 });
      expect([lookedAt, confirmed()]).toEqual([[0, 2], 1]);
    },
  );

  it('is one that is taken when all are: the insert tells what refuses the order', async () => {
    const { first, lookedAt } = setUp([look(6, 'created', 3, 2, 1, 0)]);
    expect(await first('ann')).toEqual({ number: 0, turn: 6 });
    expect(lookedAt).toEqual([0]);
  });

  it('is not looked for without end', async () => {
    const { first, lookedAt } = setUp(new Array<OpenNumberLook>(100).fill(look(0, 'created')));
    await expect(first('ann')).rejects.toMatchObject({ code: 'unavailable' });
    expect(lookedAt).toHaveLength(10);
  });
});

describe('the next turn to try', () => {
  it('is at a number that is not taken', async () => {
    const { another, lookedAt } = setUp([look(4, 'complete', 0, 1)]);
    expect(await another('ann', [1, 0])).toEqual({ number: 2, turn: 5 });
    expect(lookedAt).toEqual([2]);
  });

  it('is none, and nothing is read, when all are taken; numbers of a higher limit do not count', async () => {
    const { another, lookedAt } = setUp();
    expect(await another('ann', [3, 1, 0, 2])).toBeUndefined();
    expect(lookedAt).toEqual([]);
    expect(await another('ann', [3, 1, 0, 7])).toEqual({ number: 2, turn: 0 });
  });
});
