import type { z } from 'zod';
import type { CatchUp } from '../application/catch-up';
import type { CompleteOrder } from '../application/complete-order';
import type { ExpireOrder } from '../application/expire-order';
import { pause } from '../application/schedule';
import type { Message } from '../application/bus';
import type { Cause, Clock, TicketStore } from '../application/ports';
import { expirationMessage, parse, paymentMessage, ticketMessage } from './contracts';

export type Verdict =
  | { readonly type: 'done' }
  /** Not now: the broker redelivers it. */
  | { readonly type: 'retry'; readonly reason: string }
  /** Cannot be handled yet: it is parked and retried from the store, so that it is not in flight meanwhile. */
  | { readonly type: 'park'; readonly reason: string }
  /** Can never be handled: a dead letter, for a person to check. */
  | { readonly type: 'reject'; readonly reason: string };

/** A verdict, and what the message was about, as far as it could be read. */
export type Handled = Verdict & {
  readonly about?: { readonly orderId?: string; readonly ticketId?: string };
};
export type Handler = (message: Message) => Promise<Handled>;

const DONE: Verdict = { type: 'done' };

/** A payment that was taken a moment before the expiry may still be on its way here, or to another replica. */
const SETTLE_MS = 250;
/** Payments before an older expiry have arrived. Generous, because the clocks of broker and database may differ. */
const SETTLED_AFTER_MS = 10_000;

/** The handler of each subject. */
export function createHandlers(deps: {
  tickets: Pick<TicketStore, 'apply'>;
  expireOrder: ExpireOrder;
  completeOrder: CompleteOrder;
  catchUp: Pick<CatchUp, 'paymentInFlight'>;
  clock: Pick<Clock, 'now' | 'after'>;
}) {
  const { clock } = deps;

  const ticket = reading(
    ticketMessage,
    ({ id }) => ({ ticketId: id }),
    async (copy) => {
      await deps.tickets.apply(copy);
      return DONE;
    },
  );
  const expiration = reading(expirationMessage, aboutOrder, async ({ orderId }, message) => {
    const age = clock.now().getTime() - message.publishedAt.getTime();
    if (age < SETTLED_AFTER_MS) await pause(clock, SETTLE_MS);
    const outcome = await deps.expireOrder(orderId, causeOf(message));
    if (outcome === 'payments-behind') return { type: 'retry', reason: 'payments are not caught up' };
    return outcome === 'done' ? DONE : unknownOrder(orderId);
  });
  const payment = reading(paymentMessage, aboutOrder, async ({ orderId, ...payment }, message) => {
    const ended = deps.catchUp.paymentInFlight(orderId);
    try {
      const outcome = await deps.completeOrder({
        orderId,
        payment: { ...payment, at: message.publishedAt },
        cause: causeOf(message),
      });
      return outcome === 'done' ? DONE : unknownOrder(orderId);
    } finally {
      ended();
    }
  });
  return {
    'ticket:created': ticket,
    'ticket:updated': ticket,
    'expiration:complete': expiration,
    'payment:created': payment,
  };
}

const aboutOrder = ({ orderId }: { orderId: string }) => ({ orderId });
const causeOf = ({ subject, sequence }: Message): Cause => ({ type: 'message', subject, sequence });
const unknownOrder = (orderId: string): Verdict => ({ type: 'park', reason: `no order ${orderId}` });

function reading<T>(
  schema: z.ZodType<T>,
  about: (content: T) => Handled['about'] & object,
  handle: (content: T, message: Message) => Promise<Verdict>,
): Handler {
  return async (message) => {
    const parsed = parse(schema, message.data);
    if (!parsed.ok) return { type: 'reject', reason: parsed.reason };
    return { ...(await handle(parsed.value, message)), about: about(parsed.value) };
  };
}
