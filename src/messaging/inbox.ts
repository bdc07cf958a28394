import type { z } from 'zod';
import type { CatchUp } from '../application/catch-up';
import type { CompleteOrder } from '../application/complete-order';
import type { ExpireOrder } from '../application/expire-order';
import { jittered, pause } from '../application/schedule';
import { Unavailable } from '../application/ports';
import type {
  Clock,
  FailedMessages,
  Log,
  Message,
  Metrics,
  Receive,
  TicketStore,
} from '../application/ports';
import { expirationMessage, isOfTickets, parse, paymentMessage, ticketMessage } from './contracts';
import { toFailedMessage } from './failed-messages';
import { FIRST_RETRY_MS } from './parked-messages';

export type Verdict =
  | { readonly type: 'done' }
  /** Not now: the broker delivers it again. */
  | { readonly type: 'retry'; readonly reason: string }
  /** Nothing to do with it yet: put aside and tried again from there, so that it does not fill the window. */
  | { readonly type: 'park'; readonly reason: string }
  /** It will never be right: put aside for a person to look at. */
  | { readonly type: 'reject'; readonly reason: string };

const DONE: Verdict = { type: 'done' };

/** A payment that was taken a moment before the expiry may still be on its way here, or to another replica. */
const SETTLE_MS = 250;
/** An expiry of which all replicas have heard since; generous, for the broker and the database have a clock each. */
const SETTLED_AFTER_MS = 10_000;

/**
 * More than the broker hands out of its own accord. When replicas die it delivers what they had to the others, as much as
 * that may be: beyond this it is refused at once, and comes again. Copies of tickets share their round trips; of all else
 * each message waits for a connection to the database.
 */
const MOST_IN_FLIGHT = { tickets: 2_048, others: 256 };
/** A message that could not be handled stays in flight so long, and what is delivered of it meanwhile costs nothing. */
const REST_AFTER_RETRY_MS = 1_000;

/** A verdict, and what the message was about, as far as it could be read. */
export type Handled = Verdict & {
  readonly about?: { readonly orderId?: string; readonly ticketId?: string };
};

export interface Inbox {
  readonly subjects: readonly string[];
  /** For the broker: when it resolves to `done`, everything that came of the message is durable. */
  readonly receive: Receive;
  /** Of payments that any replica is to handle. */
  readonly hearPayment: (message: Message) => void;
  /** The verdict on one message, without putting it anywhere. Never rejects. */
  handle(message: Message): Promise<Handled>;
}

export function createInbox(deps: {
  tickets: Pick<TicketStore, 'apply'>;
  expireOrder: ExpireOrder;
  completeOrder: CompleteOrder;
  catchUp: CatchUp;
  failedMessages: Pick<FailedMessages, 'put'>;
  clock: Pick<Clock, 'now' | 'monotonic' | 'after' | 'random'>;
  metrics: Pick<Metrics, 'messageHandled' | 'deadLettered'>;
  log: Log;
}): Inbox {
  const { catchUp, clock, metrics, log } = deps;
  const inFlight = { tickets: 0, others: 0 };

  const routes = new Map([
    ['ticket:created', route(ticketMessage, applyTicket, ({ id }) => ({ ticketId: id }))],
    ['ticket:updated', route(ticketMessage, applyTicket, ({ id }) => ({ ticketId: id }))],
    ['expiration:complete', route(expirationMessage, expireOrder, ({ orderId }) => ({ orderId }))],
    ['payment:created', route(paymentMessage, completeOrder, ({ orderId }) => ({ orderId }))],
  ]);

  async function applyTicket(ticket: z.output<typeof ticketMessage>): Promise<Verdict> {
    await deps.tickets.apply(ticket);
    return DONE;
  }

  async function expireOrder(
    { orderId }: z.output<typeof expirationMessage>,
    { publishedAt }: Message,
  ): Promise<Verdict> {
    const age = clock.now().getTime() - publishedAt.getTime();
    if (age < SETTLED_AFTER_MS) await pause(clock, SETTLE_MS);
    const outcome = await deps.expireOrder(orderId);
    if (outcome === 'unknown-order') return { type: 'park', reason: `no order ${orderId}` };
    if (outcome === 'payments-behind') return { type: 'retry', reason: 'payments are not caught up' };
    return DONE;
  }

  async function completeOrder(
    { orderId, ...payment }: z.output<typeof paymentMessage>,
    { publishedAt }: Message,
  ): Promise<Verdict> {
    const leaveHand = catchUp.paymentInFlight(orderId);
    try {
      const outcome = await deps.completeOrder({ orderId, payment: { ...payment, at: publishedAt } });
      return outcome === 'unknown-order' ? { type: 'park', reason: `no order ${orderId}` } : DONE;
    } finally {
      leaveHand();
    }
  }

  async function handle(message: Message): Promise<Handled> {
    const handler = routes.get(message.subject);
    if (!handler) return { type: 'reject', reason: `no such subject: ${message.subject}` };
    try {
      return await handler(message);
    } catch (error) {
      if (error instanceof Unavailable) return { type: 'retry', reason: error.message };
      // A mistake of ours: put aside, so that the channel goes on.
      log.error({ err: error, ...describe(message) }, 'handling a message failed unexpectedly');
      return { type: 'park', reason: 'an unexpected error; see the log' };
    }
  }

  function receive(message: Message): Promise<'done' | 'retry'> {
    return message.subject === 'payment:created' ? receivePayment(message) : receiveOther(message);
  }

  /** Never refused and never rested: expiry goes by what has come of payments. */
  async function receivePayment(message: Message): Promise<'done' | 'retry'> {
    catchUp.paymentReceived(message.publishedAt);
    const verdict = await settle(message);
    if (verdict === 'retry') catchUp.paymentPostponed();
    return verdict;
  }

  async function receiveOther(message: Message): Promise<'done' | 'retry'> {
    const kind = isOfTickets(message.subject) ? 'tickets' : 'others';
    if (inFlight[kind] >= MOST_IN_FLIGHT[kind]) {
      metrics.messageHandled(message.subject, 'retry', 0);
      return 'retry';
    }
    inFlight[kind] += 1;
    try {
      const verdict = await settle(message);
      if (verdict === 'retry') await pause(clock, jittered(clock, REST_AFTER_RETRY_MS));
      return verdict;
    } finally {
      inFlight[kind] -= 1;
    }
  }

  async function settle(message: Message): Promise<'done' | 'retry'> {
    const startedAt = clock.monotonic();
    const verdict = await putAside(message, await handle(message));
    const seconds = (clock.monotonic() - startedAt) / 1000;
    metrics.messageHandled(message.subject, verdict.type, seconds);
    logHandled(message, verdict, seconds);
    return verdict.type === 'retry' ? 'retry' : 'done';
  }

  /** The same verdict once what it puts aside is safe; `retry` if that could not be done. */
  async function putAside(message: Message, verdict: Handled): Promise<Handled> {
    if (verdict.type !== 'park' && verdict.type !== 'reject') return verdict;
    const now = clock.now();
    const retryAt = verdict.type === 'park' ? { retryAt: new Date(now.getTime() + FIRST_RETRY_MS) } : {};
    try {
      await deps.failedMessages.put({ ...toFailedMessage(message, verdict.reason, now), ...retryAt });
    } catch (error) {
      if (!(error instanceof Unavailable))
        log.error({ err: error, ...describe(message) }, 'putting aside failed');
      return { type: 'retry', reason: 'the dead letter could not be stored' };
    }
    if (verdict.type === 'reject') metrics.deadLettered(message.subject);
    return verdict;
  }

  function logHandled(message: Message, verdict: Handled, seconds: number): void {
    const fields = {
      ...describe(message),
      ...verdict.about,
      verdict: verdict.type,
      ...('reason' in verdict ? { reason: verdict.reason } : {}),
      durationMs: Math.round(seconds * 1000),
    };
    if (verdict.type === 'done') log.info(fields, 'message handled');
    // It comes again every few seconds, and so do all others: that the database is unavailable has been said once.
    else if (verdict.type === 'retry') log.debug(fields, 'message not handled yet');
    else log.warn(fields, 'message not handled');
  }

  function hearPayment({ data, publishedAt }: Message): void {
    const payment = parse(paymentMessage, data);
    // One that cannot be read is rejected by whoever has to handle it.
    if (payment.ok) catchUp.paymentHeard(payment.value.orderId, publishedAt);
  }

  return { subjects: [...routes.keys()], receive, hearPayment, handle };
}

function route<T>(
  schema: z.ZodType<T>,
  handle: (content: T, message: Message) => Promise<Verdict>,
  about: (content: T) => Handled['about'] & object,
): (message: Message) => Promise<Handled> {
  return async (message) => {
    const parsed = parse(schema, message.data);
    if (!parsed.ok) return { type: 'reject', reason: parsed.reason };
    return { ...(await handle(parsed.value, message)), about: about(parsed.value) };
  };
}

function describe({ subject, sequence, redelivered }: Message): object {
  return { subject, sequence, redelivered };
}
