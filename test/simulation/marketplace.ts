import type { Broker, Stored } from './broker';
import { POISONED } from './invariants';
import type { World } from './world';

/**
 * The other services, and what they do wrong: they repeat, reorder, forget, and send what nobody can read.
 */
export function startMarketplace(world: World, broker: Broker, ticketIds: readonly string[]) {
  const process = world.createProcess('marketplace');
  const newestTickets = new Map<string, number>();
  /** The order that each ticket is held for, as the ticket service knows it. */
  const holds = new Map<string, string>();
  const poison = new Set<string>();
  let open = true;
  let ids = 0;

  const newId = (kind: string) => kind + (ids += 1).toString(16).padStart(24 - kind.length, '0');

  function announce(ticketId: string): void {
    const version = (newestTickets.get(ticketId) ?? -1) + 1;
    newestTickets.set(ticketId, version);
    const orderId = holds.get(ticketId);
    const ticket = {
      id: ticketId,
      version,
      title: 'Concert',
      price: 10 + version,
      userId: 'seller',
      orderId,
    };
    const subject = version === 0 ? 'ticket:created' : 'ticket:updated';
    send(subject, ticket, version === 0 ? 50 : 750);
  }

  /** Late enough to be overtaken, and sometimes twice. */
  function send(subject: string, content: unknown, withinMs: number): void {
    const data = typeof content === 'string' ? content : JSON.stringify(content);
    const times = world.chance(0.2) ? 2 : 1;
    if (times > 1) world.hit(`repeated: ${subject}`);
    for (let i = 0; i < times; i += 1) {
      world.at(process, world.between(0, withinMs), () => broker.publish(process, subject, data));
    }
  }

  /** As the ticket service does: it looks at the ticket alone, never at the order that it is held for. */
  function hold(ticketId: string, orderId: string | undefined): void {
    if (orderId === undefined) holds.delete(ticketId);
    else holds.set(ticketId, orderId);
    announce(ticketId);
  }

  /** Another order service sells the ticket, and takes it back later. */
  function sellElsewhere(ticketId: string): void {
    if (holds.has(ticketId)) return;
    hold(ticketId, newId('e'));
    world.hit('sold elsewhere');
    world.at(process, world.between(100, 400), () => hold(ticketId, undefined));
  }

  broker.listen(({ subject, data }: Stored) => {
    if (subject === 'order:cancelled') {
      const { ticket } = JSON.parse(data) as { ticket: { id: string } };
      world.at(process, world.between(0, 20), () => hold(ticket.id, undefined));
    }
    if (subject !== 'order:created') return;
    const { id, expiresAt, ticket } = JSON.parse(data) as {
      id: string;
      expiresAt: string;
      ticket: { id: string };
    };
    world.at(process, world.between(0, 20), () => hold(ticket.id, id));
    expire(id, new Date(expiresAt).getTime() - world.now().getTime());
    if (open) pay(id);
  });

  function expire(orderId: string, inMs: number): void {
    if (world.chance(0.1)) {
      world.hit('ExpirationComplete is lost');
      return;
    }
    world.at(process, inMs + world.between(0, 200), () => send('expiration:complete', { orderId }, 300));
  }

  function pay(orderId: string): void {
    const draw = world.random();
    if (draw < 0.3) return;
    // In good time, at the last moment, or late.
    payAfter(orderId, draw < 0.8 ? world.between(0, 380) : world.between(400, 900));
  }

  function payInTime(orderId: string): void {
    payAfter(orderId, world.between(0, 200));
  }

  function payAfter(orderId: string, inMs: number): void {
    world.at(process, inMs, () => {
      const payment = { id: newId('a'), orderId, ...(world.chance(0.9) ? { stripeId: newId('c') } : {}) };
      send('payment:created', payment, 100);
      // Charged a second time, or the same charge announced under another id.
      if (world.chance(0.25)) {
        send('payment:created', { ...payment, id: newId('a'), stripeId: newId('c') }, 800);
      }
      if (payment.stripeId !== undefined && world.chance(0.25)) {
        world.hit('one charge under two ids');
        send('payment:created', { ...payment, id: newId('a') }, 800);
      }
    });
  }

  function sendPoison(): void {
    const text = `not json ${newId('f')}`;
    poison.add(text);
    world.hit('poison');
    broker.publish(process, world.pick(POISONED), text);
  }

  for (const id of ticketIds) announce(id);

  return {
    newestTickets: newestTickets as ReadonlyMap<string, number>,
    poison: poison as ReadonlySet<string>,
    /** Something that happens from time to time. */
    act(): void {
      const draw = world.random();
      if (draw < 0.5) announce(world.pick(ticketIds));
      else if (draw < 0.75) sellElsewhere(world.pick(ticketIds));
      else sendPoison();
    },
    payInTime,
    /** Nobody pays any more. */
    close(): void {
      open = false;
    },
  };
}
