import { mongo } from 'mongoose';
import type { Chance } from './chance';
import { eventually } from './eventually';
import type { Heard, Peer } from './nats-peer';
import { newId } from './new-id';
import type { createOldDatabase } from './old-system';

const { ObjectId } = mongo;

/** How long a buyer has to pay: some orders are open when the old service stops. */
const WINDOW_MS = 25_000;
const SUBJECTS = [
  'ticket:created',
  'ticket:updated',
  'order:created',
  'order:cancelled',
  'expiration:complete',
  'payment:created',
] as const;

export type OldMarketplace = Awaited<ReturnType<typeof createOldMarketplace>>;

interface Ticket {
  readonly id: string;
  version: number;
  readonly title: string;
  readonly price: number;
  orderId?: string;
}

/** Several orders of the old service that hold one ticket. */
export interface DoubleSale {
  readonly ticketId: string;
  /** All but the one that keeps the ticket. */
  readonly losers: readonly string[];
  readonly paidLosers: readonly string[];
}

/** The services of an existing system, its order service among them, all on one connection to the broker. */
export async function createOldMarketplace(
  peer: Peer,
  old: Pick<Awaited<ReturnType<typeof createOldDatabase>>, 'orders' | 'tickets'>,
) {
  const heard = await peer.listen(SUBJECTS);
  const tickets = new Map<string, Ticket>();
  const payments = createPayments(peer);
  const expiration = createExpiration(peer);
  const orderService = createOrderService(peer, old);
  let handled = 0;
  let failure: unknown;
  let isStopped = false;
  const pumping = pump();

  async function pump(): Promise<void> {
    while (!isStopped) {
      const message = heard[handled];
      if (message === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        continue;
      }
      await handle(message).catch((error: unknown) => (failure ??= error));
      handled += 1;
    }
  }

  async function handle(message: Heard): Promise<void> {
    const { subject, data } = message;
    if (subject === 'order:created') await reserve(data.ticket.id, data.id);
    if (subject === 'order:cancelled') await reserve(data.ticket.id, undefined);
    payments.handle(message);
    expiration.handle(message);
    await orderService.handle(message);
  }

  /** The ticket service does not look at the order that it frees a ticket of. */
  async function reserve(ticketId: string, orderId: string | undefined): Promise<void> {
    const ticket = tickets.get(ticketId);
    if (!ticket) throw new Error(`no ticket ${ticketId}`);
    delete ticket.orderId;
    if (orderId !== undefined) ticket.orderId = orderId;
    ticket.version += 1;
    await peer.publish('ticket:updated', { ...ticket, userId: 'seller' });
  }

  /** Everything that was published is handled. */
  async function settled(): Promise<void> {
    await eventually(async () => {
      const published = await Promise.all(SUBJECTS.map(async (one) => (await peer.wholeChannel(one)).length));
      expect(handled).toBe(published.reduce((sum, count) => sum + count, 0));
    }, 30_000);
    expect(failure).toBeUndefined();
  }

  /** Buyers come one after the other, until one pays or takes his time. */
  async function sell(ticketId: string, chance: Chance): Promise<void> {
    for (let round = 0; round < 3; round += 1) {
      const id = (await orderService.openOf(ticketId)) ?? (await orderService.place(ticketId));
      if (id === undefined) return;
      await eventually(() => expect(payments.orders.has(id)).toBe(true));
      const fate = chance.pick(['cancelled', 'cancelled', 'expired', 'paid', 'paid twice named', 'open']);
      if (fate === 'open') return;
      if (fate === 'cancelled') await orderService.cancel(id);
      if (fate === 'expired') await peer.publish('expiration:complete', { orderId: id });
      if (fate.startsWith('paid')) await payments.pay(id, fate === 'paid' ? 1 : 2);
      const end = fate.startsWith('paid') ? 'complete' : 'cancelled';
      await eventually(async () => expect(await orderService.statusOf(id)).toBe(end));
    }
  }

  /** As two buyers at once do it: none of them sees the other's order. */
  async function sellTwice(ticketId: string, paid: readonly [boolean, boolean]): Promise<DoubleSale> {
    const ids = [await orderService.insert(ticketId), await orderService.insert(ticketId)];
    for (const [index, id] of ids.entries()) {
      await eventually(() => expect(payments.orders.has(id)).toBe(true));
      if (!paid[index]) continue;
      await payments.pay(id, 1);
      await eventually(async () => expect(await orderService.statusOf(id)).toBe('complete'));
    }
    const kept = ids.find((_, index) => paid[index]) ?? ids[0];
    const losers = ids.filter((id) => id !== kept);
    return { ticketId, losers, paidLosers: losers.filter((id) => paid[ids.indexOf(id)]) };
  }

  return {
    /** As the ticket service has them. */
    tickets: tickets as ReadonlyMap<string, Readonly<Ticket>>,
    /** As the payment service has them. */
    orders: payments.orders as ReadonlyMap<string, { readonly status: string }>,
    /** What the payment service could never apply. */
    unmatched: payments.unmatched as readonly string[],
    paymentsOf: payments.paymentsOf,
    pay: (orderId: string) => payments.pay(orderId, 1),
    settled,
    async announceTickets(count: number): Promise<string[]> {
      for (let nth = 0; nth < count; nth += 1) {
        const ticket = { id: newId(), version: 0, title: `Concert ${nth}`, price: 10 + nth };
        tickets.set(ticket.id, ticket);
        await peer.publish('ticket:created', { ...ticket, userId: 'seller' });
      }
      await eventually(async () => expect(await old.tickets.countDocuments()).toBe(count));
      return [...tickets.keys()];
    },
    async sellAsBefore(ids: readonly string[], chance: Chance): Promise<void> {
      for (const id of ids) await sell(id, chance);
    },
    async sellTwice(ids: readonly string[]): Promise<DoubleSale[]> {
      const paid = [
        [true, false],
        [true, true],
        [false, true],
        [true, true],
      ] as const;
      const sales = [];
      for (const [index, id] of ids.entries()) sales.push(await sellTwice(id, paid[index % 4]!));
      return sales;
    },
    stopOldService: orderService.stop,
    async stop(): Promise<void> {
      isStopped = true;
      expiration.stop();
      await pumping;
    },
  };
}

/** Keeps orders by their id, finds them by `version - 1`, and charges whatever is not cancelled. */
function createPayments(peer: Peer) {
  const orders = new Map<string, { version: number; status: 'created' | 'cancelled' }>();
  const unmatched: string[] = [];
  const charged = new Map<string, string[]>();

  return {
    orders,
    unmatched,
    paymentsOf: (orderId: string): readonly string[] => charged.get(orderId) ?? [],
    handle({ subject, data }: Heard): void {
      const order = orders.get(data.id);
      const version = data['version'] as number;
      if (subject === 'order:created') {
        if (order) unmatched.push(`${data.id} created again`);
        else orders.set(data.id, { version, status: 'created' });
      }
      if (subject === 'order:cancelled') {
        if (order?.version === version - 1) orders.set(data.id, { version, status: 'cancelled' });
        else unmatched.push(`${data.id} cancelled with version ${version}`);
      }
    },
    /** One charge, under as many ids. */
    async pay(orderId: string, names: 1 | 2): Promise<void> {
      if (orders.get(orderId)?.status !== 'created') return;
      const stripeId = `ch_${newId()}`;
      for (let name = 0; name < names; name += 1) {
        const id = newId();
        charged.set(orderId, [...(charged.get(orderId) ?? []), id]);
        await peer.publish('payment:created', { id, orderId, stripeId });
      }
    },
  };
}

/** Announces the end of every order's time, whatever has become of the order. */
function createExpiration(peer: Peer) {
  const timers = new Set<NodeJS.Timeout>();
  return {
    handle({ subject, data }: Heard): void {
      if (subject !== 'order:created') return;
      const ms = new Date(data['expiresAt'] as string).getTime() - Date.now();
      const publish = () => void peer.publish('expiration:complete', { orderId: data.id }).catch(() => {});
      timers.add(setTimeout(publish, Math.max(0, ms)));
    },
    stop: () => timers.forEach(clearTimeout),
  };
}

/** The order service that is replaced: it looks for an order of the ticket, then inserts another one. */
function createOrderService(peer: Peer, { orders, tickets }: Parameters<typeof createOldMarketplace>[1]) {
  let isRunning = true;

  async function insert(ticketId: string): Promise<string> {
    const _id = new ObjectId();
    const ticket = await tickets.findOne({ _id: new ObjectId(ticketId) });
    const expiresAt = new Date(Date.now() + WINDOW_MS);
    const order = { userId: 'old-buyer', status: 'created', expiresAt, version: 0 };
    await orders.insertOne({ _id, ...order, ticket: new ObjectId(ticketId) });
    const id = _id.toHexString();
    await peer.publish('order:created', {
      id,
      ...order,
      ticket: { id: ticketId, price: ticket?.['price'] as number },
    });
    return id;
  }

  async function change(id: string, status: 'complete' | 'cancelled'): Promise<void> {
    const _id = new ObjectId(id);
    const order = await orders.findOne({ _id });
    // A complete order does not expire. A payment completes whatever there is.
    if (!order || (status === 'cancelled' && order['status'] !== 'created')) return;
    await orders.updateOne({ _id }, { $set: { status }, $inc: { version: 1 } });
    if (status === 'complete') return;
    const version = (order['version'] as number) + 1;
    await peer.publish('order:cancelled', { id, version, ticket: { id: String(order['ticket']) } });
  }

  return {
    insert,
    cancel: (id: string) => change(id, 'cancelled'),
    async place(ticketId: string): Promise<string | undefined> {
      const held = await orders.findOne({ ticket: new ObjectId(ticketId), status: { $ne: 'cancelled' } });
      return held ? undefined : insert(ticketId);
    },
    async openOf(ticketId: string): Promise<string | undefined> {
      const open = await orders.findOne({ ticket: new ObjectId(ticketId), status: 'created' });
      return open?._id.toHexString();
    },
    async statusOf(id: string): Promise<unknown> {
      return (await orders.findOne({ _id: new ObjectId(id) }))?.['status'];
    },
    async handle({ subject, data }: Heard): Promise<void> {
      if (!isRunning) return;
      const orderId = data.orderId ?? '';
      if (subject.startsWith('ticket:')) {
        const { title, price, version } = data;
        const $set = { title, price, version };
        await tickets.updateOne({ _id: new ObjectId(data.id) }, { $set }, { upsert: true });
      }
      if (subject === 'expiration:complete') await change(orderId, 'cancelled');
      if (subject === 'payment:created') await change(orderId, 'complete');
    },
    stop: () => void (isRunning = false),
  };
}
