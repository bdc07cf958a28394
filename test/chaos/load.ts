import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Chance } from '../support/chance';
import type { Call, Outcome } from './client';
import type { Marketplace, Replica } from './marketplace';

/** Many, for those whose replica is frozen or cut off do nothing but wait. */
const USERS = 64;
const TICKETS_ON_SALE = 96;
/** The few that half of all requests are for, so that buyers collide. */
const WANTED_BY_ALL = 8;
/** A ticket that was refused so often in a row has been sold to somebody who never saw that it was. */
const REFUSALS_OF_A_SOLD_TICKET = 40;
const LONGEST_THINKING_MS = 600;
const ANSWERED_CLEARLY = new Set([201, 204, 404, 409, 422]);

/** How often a request of unknown outcome is asked again, with the same key. */
const ASKED_AGAIN = 8;

/** Buyers, each of which wants one ticket after the other, changes their mind, and asks again when nobody answers. */
export function startLoad(marketplace: Marketplace, call: Call, chance: Chance) {
  const onSale: string[] = [];
  const refusals = new Map<string, number>();
  let stopping = false;

  for (let i = 0; i < TICKETS_ON_SALE; i += 1) putOnSale();

  function putOnSale(): void {
    const id = randomBytes(12).toString('hex');
    onSale.push(id);
    marketplace.announceTickets([id]);
  }

  function soldOut(ticketId: string): void {
    const index = onSale.indexOf(ticketId);
    if (index < 0) return;
    onSale.splice(index, 1);
    refusals.delete(ticketId);
    putOnSale();
  }

  function refused(ticketId: string): void {
    const count = (refusals.get(ticketId) ?? 0) + 1;
    refusals.set(ticketId, count);
    if (count >= REFUSALS_OF_A_SOLD_TICKET) soldOut(ticketId);
  }

  const aTicket = (): string => chance.pick(chance.happens(0.5) ? onSale.slice(0, WANTED_BY_ALL) : onSale);
  const anyReplica = (): Replica => chance.pick(marketplace.replicas);
  const think = (): Promise<void> => sleep(chance.between(0, LONGEST_THINKING_MS));

  async function buyer(user: string): Promise<void> {
    while (!stopping) {
      await think();
      const ticketId = aTicket();
      const placed = await place(user, ticketId);
      if (placed.status === 201) refusals.delete(ticketId);
      if (placed.status === 409 && placed.orderId === undefined) {
        refused(ticketId);
        await lookAtTheOthers(user);
      }
      if (placed.status !== 201 || placed.orderId === undefined) continue;
      if (chance.happens(0.35)) await changeTheirMind(user, placed.orderId);
      else await followUp(user, placed.orderId, ticketId);
    }
  }

  /** Without a key an unknown outcome stays unknown: then the buyer goes on to something else. */
  async function place(user: string, ticketId: string): Promise<Outcome> {
    if (chance.happens(0.25)) return call(anyReplica(), { op: 'place', user, ticketId });
    const ask = () => call(anyReplica(), { op: 'place', user, ticketId, key });
    const key = randomUUID();
    if (chance.happens(0.15)) void ask();
    const outcome = await untilAnswered(ask);
    if (outcome.status === 201 && chance.happens(0.1)) void ask();
    if (outcome.status === 201 && chance.happens(0.02)) {
      await call(anyReplica(), { op: 'place', user, ticketId: aTicket(), key });
    }
    return outcome;
  }

  async function changeTheirMind(user: string, orderId: string): Promise<void> {
    await sleep(chance.between(0, 1_500));
    const cancel = () => call(anyReplica(), { op: 'cancel', user, orderId });
    if (chance.happens(0.3)) void cancel();
    await untilAnswered(cancel);
  }

  /** Looks from time to time what has become of it. */
  async function followUp(user: string, orderId: string, ticketId: string): Promise<void> {
    for (let looks = 0; looks < 5 && !stopping; looks += 1) {
      await sleep(chance.between(300, 2_000));
      const { order } = await call(anyReplica(), { op: 'show', user, orderId });
      if (order?.status === 'complete') {
        if (chance.happens(0.2)) await call(anyReplica(), { op: 'cancel', user, orderId });
        soldOut(ticketId);
        return;
      }
      if (order?.status === 'cancelled') return;
    }
  }

  async function lookAtTheOthers(user: string): Promise<void> {
    if (chance.happens(0.05)) await call(anyReplica(), { op: 'list', user });
  }

  async function untilAnswered(ask: () => Promise<Outcome>): Promise<Outcome> {
    let outcome = await ask();
    for (let again = 0; again < ASKED_AGAIN && !ANSWERED_CLEARLY.has(outcome.status); again += 1) {
      await think();
      outcome = await ask();
    }
    return outcome;
  }

  const buyers = Array.from({ length: USERS }, (_, i) => buyer(`user-${i}`));

  return {
    /** Resolves when the last request is answered. */
    async stop(): Promise<void> {
      stopping = true;
      await Promise.all(buyers);
    },
    ticketsOnSale: (): readonly string[] => onSale,
  };
}
