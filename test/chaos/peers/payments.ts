/** Takes payments: in time, at the last moment, too late, twice, and for orders that nobody knows. */
import { randomBytes } from 'node:crypto';
import { FOREIGN_ORDER_PREFIX } from '../history';
import { startPeer } from './peer';

const POISONS = 0.02;
const SECOND_PAYMENT = 0.1;
/** The same charge again, under another id. */
const SECOND_ID = 0.1;
const FOREIGN = 0.003;
let hasPaidForeign = false;

const peer = startPeer();
const { chance, windowMs } = peer;

/** When it is paid, in parts of the window; nothing at all by most. */
const HABITS = [
  { weight: 50, parts: undefined },
  { weight: 25, parts: [0.05, 0.9] },
  { weight: 10, parts: [0.93, 1.07] },
  { weight: 15, parts: [1.05, 2] },
] as const;

peer.onOrderCreated(({ id, expiresAt }) => {
  if (chance.happens(POISONS)) peer.sendPoison('payment:created');
  // At least one: by chance alone a short run would have none now and then.
  if (chance.happens(FOREIGN) || !hasPaidForeign) payForeign();
  const { parts } = chance.weighted(HABITS);
  if (!parts) return;
  const expiresInMs = new Date(expiresAt).getTime() - Date.now();
  const inMs = expiresInMs - windowMs + chance.between(parts[0], parts[1]) * windowMs;
  setTimeout(
    () => {
      const charge = newId();
      pay(id, charge);
      if (chance.happens(SECOND_PAYMENT)) setTimeout(() => pay(id, newId()), chance.between(0, 2_000));
      if (chance.happens(SECOND_ID)) setTimeout(() => pay(id, charge), chance.between(0, 2_000));
    },
    Math.max(0, inMs),
  );
});

function payForeign(): void {
  hasPaidForeign = true;
  pay(FOREIGN_ORDER_PREFIX + randomBytes(8).toString('hex'), newId());
}

function pay(orderId: string, stripeId: string): void {
  peer.send('payment:created', { id: newId(), orderId, stripeId });
}

function newId(): string {
  return randomBytes(12).toString('hex');
}
