import { createPlaceOrder, type PlaceOrderCommand } from '../../src/application/place-order';
import type { OpenTurn, Placement, PlacementResult, PublishingLease } from '../../src/application/ports';
import type { Order } from '../../src/domain/order';
import type { Ticket } from '../../src/domain/ticket';
import { createTurns } from '../../src/application/turns';
import { createTestClock } from '../support/clock';
import { REQUEST } from '../support/placements';
import { silentMetrics } from '../support/silent';

const ticket = { id: 'a'.repeat(24), version: 1, title: 'Concert', price: 10, userId: 'seller' };
const HOUR = 3_600_000;

function setUp(
  answers: PlacementResult[],
  {
    lease = true,
    ticket: copy = ticket,
    ours = [] as string[],
    byKey = () => undefined,
    openTurns = [],
  }: {
    lease?: boolean;
    ticket?: Ticket;
    ours?: string[];
    byKey?: (key: string) => Order | undefined;
    openTurns?: OpenTurn[];
  } = {},
) {
  const clock = createTestClock();
  const placements: Placement[] = [];
  const published: PublishingLease[] = [];
  const turns = createTurns();
  const retried: string[] = [];
  /** Orders that were asked for by their id. */
  const reads: string[] = [];
  const outcomes: string[] = [];
  const warnings: object[] = [];
  const takenNumbers: (readonly number[])[] = [];
  let confirmed = 0;
  const place = createPlaceOrder({
    tickets: { find: async (id) => (id === copy.id ? copy : undefined) },
    orders: {
      find: async (id) => {
        reads.push(id);
        return ours.includes(id) ? { order: earlier({ id }), turn: 0, recorded: 1 } : undefined;
      },
      findByKey: async (key) => byKey(key),
      insert: async (placement) => {
        placements.push(placement);
        return answers.shift() ?? { type: 'inserted' };
      },
      confirmReads: async () => void (confirmed += 1),
    },
    turns,
    openNumbers: {
      first: async () => openTurns.shift(),
      another: async (_, taken) => (takenNumbers.push(taken), openTurns.shift()),
    },
    publish: (lease) => published.push(lease),
    takeLease: () => lease,
    clock,
    newId: () => 'b'.repeat(24),
    metrics: {
      ...silentMetrics,
      retried: (operation) => retried.push(operation),
      orderOutcome: (outcome) => outcomes.push(outcome),
    },
    log: { warn: (fields) => warnings.push(fields) },
    expirationWindowSeconds: 900,
  });
  const placeOrder = (command: Omit<PlaceOrderCommand, 'cause'>) => place({ ...command, cause: REQUEST });
  const earlier = (overrides: object) => ({
    id: 'c'.repeat(24),
    version: 1,
    userId: 'buyer',
    status: 'cancelled' as const,
    reason: 'user' as const,
    createdAt: clock.now(),
    expiresAt: clock.now(),
    ticket,
    payments: [],
    ...overrides,
  });
  return {
    clock,
    placeOrder,
    placements,
    published,
    turns,
    retried,
    reads,
    outcomes,
    warnings,
    takenNumbers,
    earlier,
    confirmed: () => confirmed,
  };
}

const command = { userId: 'buyer', ticketId: ticket.id };

describe('placing an order', () => {
  it('inserts nothing for a ticket that is not known', async () => {
    const { placeOrder, placements } = setUp([]);
    expect(await placeOrder({ userId: 'buyer', ticketId: 'd'.repeat(24) })).toEqual({
      type: 'unknown-ticket',
    });
    expect(placements).toEqual([]);
  });

  it('inserts the order with its event as the exact text, and hands over what may be published', async () => {
    const lease = { orderId: 'b'.repeat(24) } as PublishingLease;
    const { placeOrder, placements, published } = setUp([{ type: 'inserted', lease }]);
    expect(await placeOrder(command)).toMatchObject({
      type: 'placed',
      order: { version: 0, status: 'created' },
    });
    expect(placements[0]?.events).toEqual([
      {
        seq: 0,
        subject: 'order:created',
        at: placements[0]?.order.createdAt,
        data: `{"id":"${'b'.repeat(24)}","version":0,"status":"created","userId":"buyer","expiresAt":"2026-01-01T00:15:00.000Z","ticket":{"id":"${ticket.id}","price":10}}`,
      },
    ]);
    expect(published).toEqual([lease]);
  });

  it('takes no lease while nothing can be published', async () => {
    const { placeOrder, placements } = setUp([], { lease: false });
    await placeOrder(command);
    expect(placements[0]?.withLease).toBe(false);
  });

  it("names the caller's own order that holds the ticket, never another's", async () => {
    const { placeOrder, earlier } = setUp([]);
    const held = { status: 'created' as const };
    const own = setUp([{ type: 'turn-taken', latest: { order: earlier(held), turn: 0 } }]);
    const others = setUp([
      { type: 'turn-taken', latest: { order: earlier({ ...held, userId: 'other' }), turn: 0 } },
    ]);
    expect(await own.placeOrder(command)).toEqual({ type: 'reserved', ownOrderId: 'c'.repeat(24) });
    expect(await others.placeOrder(command)).toEqual({ type: 'reserved' });
    expect(await placeOrder(command)).toMatchObject({ type: 'placed' });
  });

  it('keeps user and key apart, so that no two users can share one', async () => {
    const { placeOrder, placements } = setUp([]);
    await placeOrder({ ...command, userId: 'a', idempotencyKey: 'b,c' });
    await placeOrder({ ...command, userId: 'a,b', idempotencyKey: 'c' });
    await placeOrder({ ...command, userId: 'a","b', idempotencyKey: 'c' });
    expect(new Set(placements.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(3);
  });
});

describe('the turns of a ticket', () => {
  it('begin at 0 and go on after the one that is known to be over', async () => {
    const { placeOrder, placements, turns } = setUp([]);
    await placeOrder(command);
    turns.over(ticket.id, 4);
    turns.over(ticket.id, 2);
    await placeOrder(command);
    turns.forget();
    await placeOrder(command);
    expect(placements.map(({ turn }) => turn)).toEqual([0, 5, 0]);
  });

  it('go on after a cancelled order of another replica, once its cancellation is durable', async () => {
    const { placeOrder, placements, confirmed, turns, retried } = setUp([
      { type: 'turn-taken', latest: { order: setUp([]).earlier({}), turn: 6 } },
    ]);
    expect(await placeOrder(command)).toMatchObject({ type: 'placed' });
    expect(placements.map(({ turn }) => turn)).toEqual([0, 7]);
    expect(confirmed()).toBe(1);
    expect(turns.next(ticket.id)).toBe(7);
    expect(retried).toEqual(['place']);
  });

  it('are not waited for without end', async () => {
    const taken = { type: 'turn-taken' as const, latest: { order: setUp([]).earlier({}), turn: 0 } };
    const { placeOrder } = setUp(new Array<typeof taken>(100).fill(taken));
    await expect(placeOrder(command)).rejects.toThrow('gets new orders too often');
  });
});

describe('the turns at the numbers of a user', () => {
  const taken = { type: 'open-turn-taken' as const, taken: [0, 3] };
  const [first, second] = [
    { number: 3, turn: 1 },
    { number: 1, turn: 0 },
  ];

  it('are not taken without a limit', async () => {
    const { placeOrder, placements } = setUp([]);
    await placeOrder(command);
    expect(placements).toHaveLength(1);
    expect(placements[0]).not.toHaveProperty('openTurn');
  });

  it('are taken with the one insert', async () => {
    const { placeOrder, placements } = setUp([], { openTurns: [first] });
    expect(await placeOrder(command)).toMatchObject({ type: 'placed' });
    expect(placements).toMatchObject([{ openTurn: first }]);
  });

  it('go on at another number where one was lost', async () => {
    const { placeOrder, placements, retried, takenNumbers } = setUp([taken], { openTurns: [first, second] });
    expect(await placeOrder(command)).toMatchObject({ type: 'placed' });
    expect(placements.map(({ openTurn }) => openTurn)).toEqual([first, second]);
    expect([takenNumbers, retried]).toEqual([[[0, 3]], ['place']]);
  });

  it('refuse the order when all numbers are taken', async () => {
    const { placeOrder, placements, outcomes } = setUp([taken], { openTurns: [first] });
    expect(await placeOrder(command)).toEqual({ type: 'too-many-open-orders' });
    expect([placements.length, outcomes]).toEqual([1, ['refused_limit']]);
  });

  it('are kept while the turn of the ticket or the key changes', async () => {
    const { earlier, clock } = setUp([]);
    const yesterday = earlier({ createdAt: new Date(clock.now().getTime() - 25 * HOUR) });
    const answers: PlacementResult[] = [
      taken,
      { type: 'turn-taken', latest: { order: earlier({}), turn: 0 } },
      { type: 'key-taken', order: yesterday },
    ];
    const { placeOrder, placements } = setUp(answers, { openTurns: [first, second] });
    expect(await placeOrder({ ...command, idempotencyKey: 'k' })).toMatchObject({ type: 'placed' });
    expect(placements.map(({ turn, openTurn }) => [turn, openTurn])).toEqual([
      [0, first],
      [0, second],
      [1, second],
      [1, second],
    ]);
  });

  it('are not tried without end', async () => {
    const { placeOrder, placements } = setUp(new Array<PlacementResult>(100).fill(taken), {
      openTurns: new Array<OpenTurn>(100).fill(first),
    });
    await expect(placeOrder(command)).rejects.toThrow('or its buyer gets new orders too often');
    expect(placements).toHaveLength(10);
  });
});

describe('the price that the buyer saw', () => {
  const cheaper = { ...command, price: 9 };

  it('is what the order costs', async () => {
    const { placeOrder, placements } = setUp([]);
    expect(await placeOrder({ ...command, price: 10 })).toMatchObject({ order: { ticket: { price: 10 } } });
    expect(placements).toHaveLength(1);
  });

  it('is refused where the ticket has another one by now, with that, and nothing is placed', async () => {
    const { placeOrder, placements, outcomes } = setUp([]);
    expect(await placeOrder(cheaper)).toEqual({ type: 'price-changed', price: 10 });
    expect([placements, outcomes]).toEqual([[], ['refused_price']]);
  });

  it('is a part of the request: a repeated key gets its order, and another price with it is refused', async () => {
    const order = setUp([]).earlier({ ticket: { ...ticket, price: 9 } }) as Order;
    const { placeOrder } = setUp([{ type: 'key-taken', order }], { byKey: () => order });
    expect(await placeOrder({ ...cheaper, idempotencyKey: 'k' })).toMatchObject({ type: 'replayed' });
    expect(await placeOrder({ ...command, price: 8, idempotencyKey: 'k' })).toEqual({ type: 'key-reused' });
    expect(await placeOrder({ ...command, price: 10, idempotencyKey: 'k' })).toEqual({ type: 'key-reused' });
  });

  it('may be left out: a repeated key then gets its order at any price', async () => {
    const order = setUp([]).earlier({ ticket: { ...ticket, price: 9 } }) as Order;
    const { placeOrder } = setUp([{ type: 'key-taken', order }]);
    expect(await placeOrder({ ...command, idempotencyKey: 'k' })).toMatchObject({ type: 'replayed' });
  });
});

describe('a repeated idempotency key', () => {
  const repeated = { ...command, idempotencyKey: 'k' };

  it('gets the order as it was placed, whatever became of it, once that is durable', async () => {
    const { placeOrder, earlier, confirmed } = setUp([]);
    const again = setUp([{ type: 'key-taken', order: earlier({}) }]);
    const result = await again.placeOrder(repeated);
    expect(result).toMatchObject({
      type: 'replayed',
      order: { id: 'c'.repeat(24), version: 0, status: 'created' },
    });
    expect(result).not.toHaveProperty('order.reason');
    expect(again.confirmed()).toBe(1);
    await placeOrder(repeated);
    expect(confirmed()).toBe(0);
  });

  it('is refused for another ticket', async () => {
    const other = { ...ticket, id: 'e'.repeat(24) };
    const { placeOrder } = setUp([{ type: 'key-taken', order: setUp([]).earlier({ ticket: other }) }]);
    expect(await placeOrder(repeated)).toEqual({ type: 'key-reused' });
  });

  it('places a new order after a day, under a key that names the order before', async () => {
    const { clock, placeOrder, placements } = setUp([{ type: 'key-taken', order: setUp([]).earlier({}) }]);
    clock.setNow(new Date(clock.now().getTime() + 24 * HOUR + 1));
    expect(await placeOrder(repeated)).toMatchObject({ type: 'placed' });
    expect(placements.map(({ idempotencyKey }) => idempotencyKey)).toEqual([
      '["buyer","k",null]',
      `["buyer","k","${'c'.repeat(24)}"]`,
    ]);
  });

  it('places a new order on whatever day it is used again', async () => {
    const days = Array.from({ length: 30 }, (_, day) => day + 1);
    const { clock, placeOrder, placements } = setUp(
      days.map((day) => {
        const { earlier, clock: now } = setUp([]);
        const createdAt = new Date(now.now().getTime() + day * 25 * HOUR);
        return { type: 'key-taken', order: earlier({ id: String(day).padStart(24, 'c'), createdAt }) };
      }),
    );
    clock.setNow(new Date(clock.now().getTime() + 40 * 25 * HOUR));
    expect(await placeOrder(repeated)).toMatchObject({ type: 'placed' });
    expect(placements).toHaveLength(days.length + 1);
  });

  it('still gets the first order after a day less a moment', async () => {
    const { clock, placeOrder } = setUp([{ type: 'key-taken', order: setUp([]).earlier({}) }]);
    clock.setNow(new Date(clock.now().getTime() + 24 * HOUR));
    expect(await placeOrder(repeated)).toMatchObject({ type: 'replayed' });
  });
});

describe('a ticket that the ticket service holds for an order', () => {
  const ELSEWHERE = 'e'.repeat(24);
  const held = { ...ticket, orderId: ELSEWHERE };

  it('is refused where that order is not known, reported once, and counted each time', async () => {
    const { placeOrder, placements, outcomes, warnings } = setUp([], { ticket: held });
    expect([await placeOrder(command), await placeOrder(command)]).toEqual([
      { type: 'reserved-elsewhere' },
      { type: 'reserved-elsewhere' },
    ]);
    expect(placements).toEqual([]);
    expect(outcomes).toEqual(['refused_elsewhere', 'refused_elsewhere']);
    expect(warnings).toEqual([{ ticketId: ticket.id, heldForOrderId: ELSEWHERE }]);
  });

  it.each(['a1b2-not-one-of-our-ids', 'f'.repeat(25)])(
    'is refused for an order whose id cannot be ours: %s',
    async (orderId) => {
      const { placeOrder, reads } = setUp([], { ticket: { ...ticket, orderId } });
      expect(await placeOrder(command)).toEqual({ type: 'reserved-elsewhere' });
      expect(reads).toEqual([]);
    },
  );

  it('is as free as ever where that order is ours, which is asked once', async () => {
    const { placeOrder, reads } = setUp([], { ticket: held, ours: [ELSEWHERE] });
    expect(await placeOrder(command)).toMatchObject({ type: 'placed' });
    expect(await placeOrder(command)).toMatchObject({ type: 'placed' });
    expect(reads).toEqual([ELSEWHERE]);
  });

  it('needs no question where that order was placed here', async () => {
    const placedHere = 'b'.repeat(24);
    const before = setUp([]);
    expect(await before.placeOrder(command)).toMatchObject({ order: { id: placedHere } });
    expect(before.reads).toEqual([]);
    const { placeOrder, reads } = setUp([], { ticket: { ...ticket, orderId: placedHere } });
    await placeOrder(command);
    expect(reads).toEqual([placedHere]);
  });

  const key = { ...command, idempotencyKey: 'k' };

  it('does not take back the answer that a repeated idempotency key was given', async () => {
    const order = setUp([]).earlier({}) as Order;
    const { placeOrder, placements, confirmed } = setUp([], { ticket: held, byKey: () => order });
    expect(await placeOrder(key)).toMatchObject({
      type: 'replayed',
      order: { id: order.id, version: 0, status: 'created' },
    });
    expect([placements, confirmed()]).toEqual([[], 1]);
  });

  it('is refused for a key of an earlier day, and for one that was used for another ticket as ever', async () => {
    const { earlier, clock } = setUp([]);
    const yesterday = earlier({ createdAt: new Date(clock.now().getTime() - 25 * HOUR) }) as Order;
    const asked: string[] = [];
    const old = setUp([], {
      ticket: held,
      byKey: (name) => (asked.push(name) === 1 ? yesterday : undefined),
    });
    expect(await old.placeOrder(key)).toEqual({ type: 'reserved-elsewhere' });
    expect(asked).toEqual([
      JSON.stringify(['buyer', 'k', null]),
      JSON.stringify(['buyer', 'k', yesterday.id]),
    ]);

    const other = earlier({ ticket: { ...ticket, id: 'd'.repeat(24) } }) as Order;
    const reused = setUp([], { ticket: held, byKey: () => other });
    expect(await reused.placeOrder(key)).toEqual({ type: 'key-reused' });
  });
});
