import type { Broker, Stored } from './broker';
import { POISONED } from './invariants';
import type { World } from './world';

/**
 * The other services, and what they do wrong: they repeat, reorder, forget, and send what nobody can read.
 */
export function startMarketplace(world: World, broker: Broker, ticketIds: readonly string[]) {
  const process = world.createProcess('marketplace');
  const newestTickets = new Map<string, number>();
  const poison = new Set<string>();
  let open = true;
  let ids = 0;

  const newId = (kind: string) => kind + (ids += 1).toString(16).padStart(24 - kind.length, '0');

  function announce(ticketId: string): void {
    const version = (newestTickets.get(ticketId) ?? -1) + 1;
    newestTickets.set(ticketId, version);
    const ticket = { id: ticketId, version, title: 'Concert', price: 10 + version, userId: 'seller' };
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

  broker.listen(({ subject, data }: Stored) => {
    if (subject !== 'order:created') return;
    const { id, expiresAt } = JSON.parse(data) as { id: string; expiresAt: string };
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
      const payment = { id: newId('a'), orderId, stripeId: 'stripe' };
      send('payment:created', payment, 100);
      if (world.chance(0.25)) send('payment:created', { ...payment, id: newId('a') }, 800);
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
      if (world.chance(0.6)) announce(world.pick(ticketIds));
      else sendPoison();
    },
    payInTime,
    /** Nobody pays any more. */
    close(): void {
      open = false;
    },
  };
}
