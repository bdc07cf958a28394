import { connectMemoryStore, createMemoryDatabase } from '../../src/adapters/memory/store';
import { createCancelOrder } from '../../src/application/cancel-order';
import { createChangeOrder } from '../../src/application/change-order';
import { createOpenNumbers } from '../../src/application/open-numbers';
import { createPlaceOrder } from '../../src/application/place-order';
import { PublishFailed, type Publisher } from '../../src/application/bus';
import type { Outbox } from '../../src/application/ports';
import { LEASE_MS, createRelay } from '../../src/application/relay';
import { createTurns } from '../../src/application/turns';
import { createTestClock } from '../support/clock';
import { eventId, newPlacement, REQUEST } from '../support/placements';
import { silentLog, silentMetrics } from '../support/silent';

const TICKET = 'f'.repeat(24);

/** One database and one broker that a test can switch off, slow down or make refuse. */
function setUp() {
  const clock = createTestClock();
  const database = createMemoryDatabase();
  const broker = {
    up: true,
    /** Called before each publish is taken; may throw or wait. */
    onPublish: (_id: string): Promise<void> | void => undefined,
    taken: [] as { id: string; subject: string; data: string }[],
    listeners: [] as (() => void)[],
    comeBack() {
      broker.up = true;
      for (const listener of broker.listeners) listener();
    },
  };
  const publisher: Publisher = {
    available: () => broker.up,
    async publish(subject, data) {
      const id = eventId(data);
      if (!broker.up) throw new PublishFailed('disconnected', 'unavailable');
      await broker.onPublish(id);
      broker.taken.push({ id, subject, data });
    },
    onAvailable: (listener) => broker.listeners.push(listener),
  };
  let ids = 0;

  /** `asked` counts the questions to the outbox, by name. */
  function startReplica(replicaId: string, asked: Record<string, number> = {}) {
    const connected = connectMemoryStore(database, { replicaId, clock, leaseMs: LEASE_MS, log: silentLog });
    const store = { ...connected, outbox: counted(connected.outbox, asked) };
    store.start();
    const turns = createTurns();
    const relay = createRelay({
      outbox: store.outbox,
      publisher,
      clock,
      metrics: silentMetrics,
      log: silentLog,
    });
    const changeOrder = createChangeOrder({
      orders: store.orders,
      turns,
      changes: { changed() {} },
      nudge: relay.nudge,
      clock,
      metrics: silentMetrics,
    });
    const place = createPlaceOrder({
      orders: store.orders,
      tickets: store.tickets,
      turns,
      openNumbers: createOpenNumbers({ orders: store.orders, most: 0, random: clock.random }),
      publish: relay.publish,
      takeLease: publisher.available,
      clock,
      newId: () => (++ids).toString(16).padStart(24, '0'),
      metrics: silentMetrics,
      log: silentLog,
      expirationWindowSeconds: 900,
    });
    const cancel = createCancelOrder({ changeOrder, metrics: silentMetrics });
    return {
      relay,
      store,
      announce: (id = TICKET) => store.tickets.apply({ id, version: 0, title: 'T', price: 1, userId: 's' }),
      place: async (ticketId = TICKET) => {
        const result = await place({ userId: 'buyer', ticketId, cause: REQUEST });
        if (result.type !== 'placed') throw new Error(result.type);
        return result.order.id;
      },
      cancel: (orderId: string) => cancel({ userId: 'buyer', orderId, cause: REQUEST }),
    };
  }
  const taken = () => broker.taken.map(({ id }) => id.replace(/^0+/, ''));
  return { clock, broker, startReplica, taken };
}

function counted(outbox: Outbox, asked: Record<string, number>): Outbox {
  const names = Object.keys(outbox) as (keyof Outbox)[];
  const count = (name: keyof Outbox) => (asked[name] = (asked[name] ?? 0) + 1);
  const entries = names.map((name) => {
    const ask = outbox[name] as (...args: unknown[]) => unknown;
    return [name, (...args: unknown[]) => (count(name), ask(...args))];
  });
  return Object.fromEntries(entries) as Outbox;
}

describe('the relay', () => {
  it('publishes an order right after it was placed, without waiting for the poll', async () => {
    const { clock, startReplica, broker, taken } = setUp();
    const replica = startReplica('a');
    await replica.announce();
    await replica.place();
    await clock.advance(0);
    expect(taken()).toEqual(['1:0']);
    expect(JSON.parse(broker.taken[0]?.data ?? '')).toMatchObject({ version: 0, status: 'created' });
    expect(await replica.store.outbox.backlog()).toEqual({ pending: 0 });
  });

  it('publishes a cancellation after the creation', async () => {
    const { clock, startReplica, broker } = setUp();
    const replica = startReplica('a');
    await replica.announce();
    await replica.cancel(await replica.place());
    await clock.advance(0);
    expect(broker.taken.map(({ subject }) => subject)).toEqual(['order:created', 'order:cancelled']);
  });

  it('goes on with what came while it was publishing', async () => {
    const { clock, startReplica, broker, taken } = setUp();
    const replica = startReplica('a');
    await replica.announce();
    let acknowledge = () => {};
    broker.onPublish = () => new Promise((resolve) => (acknowledge = resolve));
    const orderId = await replica.place();
    await clock.advance(0);
    await replica.cancel(orderId);
    broker.onPublish = () => undefined;
    acknowledge();
    await clock.advance(0);
    expect(taken()).toEqual(['1:0', '1:1']);
  });

  it('publishes nothing twice while two replicas look for work', async () => {
    const { clock, startReplica, broker, taken } = setUp();
    const [a, b] = [startReplica('a'), startReplica('b')];
    await a.announce();
    broker.up = false;
    await a.place();
    a.relay.start();
    b.relay.start();
    broker.comeBack();
    await clock.advance(60_000);
    expect(taken()).toEqual(['1:0']);
    await Promise.all([a.relay.stop(), b.relay.stop()]);
  });

  it('publishes what a crashed replica left, once its lease has run out', async () => {
    const { clock, startReplica, broker, taken } = setUp();
    const [crashed, other] = [startReplica('a'), startReplica('b')];
    await crashed.announce();
    broker.onPublish = () => new Promise(() => {});
    await crashed.place();
    await clock.advance(0);
    broker.onPublish = () => undefined;
    other.relay.start();
    await clock.advance(LEASE_MS - 1_000);
    expect(taken()).toEqual([]);
    await clock.advance(5_000);
    expect(taken()).toEqual(['1:0']);
    await other.relay.stop();
  });

  it('does not begin to publish when too little of its lease is left', async () => {
    const { clock, startReplica, broker, taken } = setUp();
    const [slow, other] = [startReplica('a'), startReplica('b')];
    await slow.announce();
    const published: Parameters<typeof slow.relay.publish>[0][] = [];
    const result = await slow.store.orders.insert(newPlacement({ now: clock.now() }));
    if (result.type === 'inserted' && result.lease) published.push(result.lease);
    await clock.advance(LEASE_MS - 4_000);
    for (const lease of published) slow.relay.publish(lease);
    await clock.advance(0);
    expect(published).toHaveLength(1);
    expect(taken()).toEqual([]);
    other.relay.start();
    await clock.advance(10_000);
    expect(broker.taken).toHaveLength(1);
    await other.relay.stop();
  });

  it('publishes everything when the broker is back, soon and in order', async () => {
    const { clock, startReplica, broker, taken } = setUp();
    const replica = startReplica('a');
    await replica.announce();
    replica.relay.start();
    broker.up = false;
    for (let turn = 0; turn < 3; turn += 1) await replica.cancel(await replica.place());
    await replica.place();
    await clock.advance(600_000);
    broker.comeBack();
    await clock.advance(10_000);
    expect(taken()).toEqual(['1:0', '1:1', '2:0', '2:1', '3:0', '3:1', '4:0']);
    await replica.relay.stop();
  });

  it("holds a ticket's next order until the earlier ones are out, though they fail", async () => {
    const { clock, startReplica, broker, taken } = setUp();
    const replica = startReplica('a');
    await replica.announce();
    replica.relay.start();
    let failures = 4;
    broker.onPublish = (id) => {
      if (id.endsWith('1:1') && failures-- > 0) throw new PublishFailed('refused', 'no');
    };
    await replica.cancel(await replica.place());
    await replica.place();
    await clock.advance(120_000);
    expect(taken()).toEqual(['1:0', '1:1', '2:0']);
    await replica.relay.stop();
  });

  it('lets a failing order hold up no order of another ticket', async () => {
    const { clock, startReplica, broker } = setUp();
    const replica = startReplica('a');
    await replica.announce();
    broker.onPublish = (id) => {
      if (id === `${'1'.padStart(24, '0')}:0`) throw new PublishFailed('refused', 'no');
    };
    await replica.place();
    const other = newPlacement({ now: clock.now(), withLease: false });
    await replica.store.orders.insert(other);
    replica.relay.start();
    await clock.advance(10_000);
    expect(broker.taken.map(({ id }) => id)).toEqual([`${other.order.id}:0`]);
    await replica.relay.stop();
  });

  it('follows a ticket from order to order without a poll or a wait, after an outage too', async () => {
    const asked: Record<string, number> = {};
    const { clock, startReplica, broker } = setUp();
    const replica = startReplica('a', asked);
    const tickets = ['1', '2', '3', '4', '5', '6'].map((digit) => digit.repeat(24));
    const expected = new Map<string, string[]>();
    broker.up = false;
    for (const ticketId of tickets) {
      await replica.announce(ticketId);
      const ids: string[] = [];
      for (let turn = 0; turn < 100; turn += 1) {
        const orderId = await replica.place(ticketId);
        await replica.cancel(orderId);
        ids.push(`${orderId}:0`, `${orderId}:1`);
      }
      expected.set(ticketId, ids);
    }
    replica.relay.start();
    const startedAt = clock.monotonic();

    broker.comeBack();
    while (broker.taken.length < 1_200 && clock.monotonic() === startedAt) await clock.advance(0);

    expect(clock.monotonic()).toBe(startedAt);
    const publishedOf = (ticketId: string) =>
      broker.taken.filter(({ data }) => JSON.parse(data).ticket.id === ticketId).map(({ id }) => id);
    for (const [ticketId, ids] of expected) expect(publishedOf(ticketId)).toEqual(ids);
    // One look at the whole backlog, page by page; one claim and one mark for each order.
    expect(asked['claimable']).toBe(1);
    expect(asked['claim']).toBe(600);
    expect(asked['markPublished']).toBe(600);
    expect(asked['release'] ?? 0).toBe(0);
    await replica.relay.stop();
  });

  it('makes one last pass when it stops, and leaves no timer', async () => {
    const { clock, startReplica, broker, taken } = setUp();
    const replica = startReplica('a');
    await replica.announce();
    broker.up = false;
    await replica.place();
    broker.up = true;
    replica.relay.start();
    await replica.relay.stop();
    expect(taken()).toEqual(['1:0']);
    expect(clock.pendingTimers()).toBe(0);
  });
});
