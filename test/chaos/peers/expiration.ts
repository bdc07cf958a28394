/** Tells when orders have run out: of every order, also of those that are paid or cancelled. Sometimes it forgets. */
import { startPeer } from './peer';

const FORGETS = 0.1;
const POISONS = 0.02;

const peer = startPeer();

peer.onOrderCreated(({ id, expiresAt }) => {
  if (peer.chance.happens(POISONS)) peer.sendPoison('expiration:complete');
  if (peer.chance.happens(FORGETS)) return;
  const inMs = Math.max(0, new Date(expiresAt).getTime() - Date.now());
  setTimeout(() => peer.send('expiration:complete', { orderId: id }), inMs);
});
