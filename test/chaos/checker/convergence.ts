import { FOREIGN_ORDER_PREFIX } from '../history';
import { orderIdIn, ticketIn } from '../../invariants/content';
import { overdueFrom, staleCopy } from '../../invariants/stored-order';
import { toWallTime, type Evidence } from './evidence';
import type { Ledger } from './verdict';

/** The sweep runs every few seconds, and takes the clock of the database. */
const SWEEP_MS = 10_000;

/** Hardly anything may work for a while; never for as long as this. */
const STANDSTILL_MS = 60_000;

/** I8: once the faults are over, everything becomes whole by itself. */
export function checkConvergence(
  evidence: Evidence,
  ledger: Ledger,
  limits: { readonly convergenceMs: number },
): void {
  ordersAreTakenMeanwhile(evidence, ledger);
  cameToRest(evidence, ledger, limits.convergenceMs);
  ordersAreDone(evidence, ledger);
  ticketsAreTheNewest(evidence, ledger);
  onlyForeignOrdersAreParked(evidence, ledger);
}

/** A service that refuses everything breaks no promise; it keeps none either. */
function ordersAreTakenMeanwhile({ calls, faultsOver }: Evidence, { rule }: Ledger): void {
  const isAlive = rule('I8', 'orders were placed all the time, whatever was broken');
  const until = faultsOver?.t ?? 0;
  const placedAt = calls.flatMap(({ answer }) => (answer?.status === 201 ? [answer.t] : []));
  let before = 0;
  for (const t of [...placedAt.filter((each) => each < until).sort((a, b) => a - b), until]) {
    const [from, to] = [before, t];
    isAlive(to - from < STANDSTILL_MS, () => `none from ${Math.round(from)} to ${Math.round(to)} ms`);
    before = t;
  }
}

function cameToRest({ faultsOver, end }: Evidence, { rule, note }: Ledger, limitMs: number): void {
  const isWhole = rule('I8', 'all has come to rest in time after the faults');
  const tookMs = faultsOver && end ? end.t - faultsOver.t : Infinity;
  isWhole(
    end?.converged === true && tookMs <= limitMs,
    () => `after ${Math.round(tookMs)} ms of ${limitMs}: ${end ? (end.missing ?? 'whole') : 'no end'}`,
  );
  if (Number.isFinite(tookMs)) note('milliseconds from the end of the faults to rest', Math.round(tookMs));
}

function ordersAreDone({ remains, start, end }: Evidence, { rule }: Ledger): void {
  const isPublished = rule('I8', 'nothing is left to be published');
  const isInTime = rule('I8', 'no unpaid order is overdue');
  const endedAt = end ? toWallTime(start, end.t) : 0;
  for (const order of remains.orders) {
    const { id, expiresAt, publishing } = order;
    isPublished(publishing.pending === 0, () => `order ${id}: ${publishing.pending} events`);
    const isOverdue = overdueFrom(order, start.graceSeconds * 1000 + SWEEP_MS) < endedAt;
    isInTime(!isOverdue, () => `order ${id}, since ${expiresAt.toISOString()}`);
  }
}

function ticketsAreTheNewest({ remains, channel }: Evidence, { rule }: Ledger): void {
  const isTheNewest = rule('I8', 'the copy of each ticket is the newest version that was sent');
  const newest = new Map<string, number>();
  for (const subject of ['ticket:created', 'ticket:updated']) {
    for (const { text } of channel(subject)) {
      const ticket = ticketIn(text);
      if (ticket) newest.set(ticket.id, Math.max(ticket.version, newest.get(ticket.id) ?? 0));
    }
  }
  const copies = new Map(remains.tickets.map(({ id, version }) => [id, version]));
  for (const ticket of newest) {
    const stale = staleCopy(ticket, copies);
    isTheNewest(stale === undefined, () => stale ?? '');
  }
}

function onlyForeignOrdersAreParked({ remains }: Evidence, { rule }: Ledger): void {
  const isForeign = rule('I8', 'only what is about orders of others is still parked');
  for (const { id, data, parked } of remains.failedMessages) {
    isForeign(!parked || isAboutForeignOrder(data), () => `${id}: ${data}`);
  }
}

export function isAboutForeignOrder(text: string): boolean {
  return orderIdIn(text)?.startsWith(FOREIGN_ORDER_PREFIX) === true;
}
