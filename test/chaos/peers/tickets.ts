/** Sells tickets, marks those that are reserved, and changes its mind about the price. */
import { startPeer } from './peer';

const POISON_EVERY_MS = 4_000;
const REPRICE_EVERY_MS = 700;

const peer = startPeer();
const { chance } = peer;
const versions = new Map<string, number>();

process.on('message', (message: { announce?: readonly string[]; versions?: true }) => {
  for (const id of message.announce ?? []) announce(id);
  if (message.versions) process.send?.({ versions: [...versions] });
});

peer.onOrderCreated(({ id, ticket }) => announce(ticket.id, id));
peer.onOrderCancelled(({ ticket }) => announce(ticket.id));

setInterval(() => {
  const newest = [...versions.keys()].slice(-20);
  if (newest.length > 0 && !peer.isClosing()) announce(chance.pick(newest));
}, REPRICE_EVERY_MS);
setInterval(() => {
  peer.sendPoison(chance.pick(['ticket:created', 'ticket:updated']));
}, POISON_EVERY_MS);

/** Its next version. */
function announce(id: string, orderId?: string): void {
  const version = (versions.get(id) ?? -1) + 1;
  versions.set(id, version);
  const ticket = { id, version, title: 'A concert', price: 10 + (version % 50), userId: 'seller' };
  peer.send(version === 0 ? 'ticket:created' : 'ticket:updated', {
    ...ticket,
    ...(orderId === undefined ? {} : { orderId }),
  });
}
