import type { CatchUp } from '../application/catch-up';
import type { CompleteOrder } from '../application/complete-order';
import type { ExpireOrder } from '../application/expire-order';
import type { Message, Subscription } from '../application/bus';
import type { FailedMessages } from '../application/failed-messages';
import type { Clock, Log, Metrics, TicketStore } from '../application/ports';
import { isOfTickets, parse, paymentMessage } from './contracts';
import { createHandlers, type Handler } from './handlers';
import { bound, errorsToVerdicts, report, storeFailed, tellCatchUp } from './middleware';

const PAYMENTS = 'payment:created';

/**
 * More than the broker's own limit in flight. When replicas die it redelivers all their messages to the others: above
 * this limit they are refused at once, and redelivered. Copies of tickets share round trips; every other message waits
 * for a database connection.
 */
const MOST_IN_FLIGHT = { tickets: 2_048, others: 256 };

export interface Inbox {
  /** For the broker: a message is acknowledged only when its outcome is durable. */
  readonly subscriptions: readonly Subscription[];
  /** The verdict on one message, without storing it anywhere. Never rejects. */
  readonly handle: Handler;
}

/** The subscriptions, and all handling of their messages. */
export function createInbox(deps: {
  tickets: Pick<TicketStore, 'apply'>;
  expireOrder: ExpireOrder;
  completeOrder: CompleteOrder;
  catchUp: CatchUp;
  failedMessages: Pick<FailedMessages, 'put'>;
  /** How far back the watch of all payments starts. */
  watchPaymentsSeconds: number;
  clock: Pick<Clock, 'now' | 'monotonic' | 'after' | 'random'>;
  metrics: Pick<Metrics, 'messageHandled' | 'deadLettered'>;
  log: Log;
}): Inbox {
  const { catchUp, log } = deps;
  const handlers = new Map<string, Handler>(Object.entries(createHandlers(deps)));

  const handle = errorsToVerdicts(log)(async (message) => {
    const handler = handlers.get(message.subject);
    return handler ? handler(message) : { type: 'reject', reason: `no such subject: ${message.subject}` };
  });
  const settle = report(deps)(storeFailed(deps)(handle));
  const settleTicket = bound(MOST_IN_FLIGHT.tickets, deps)(settle);
  const settleOther = bound(MOST_IN_FLIGHT.others, deps)(settle);
  /** Never refused and never delayed: expiry waits for payments. */
  const settlePayment = tellCatchUp(catchUp)(settle);

  function group(subject: string): Subscription {
    const isPayment = subject === PAYMENTS;
    const settleOne = isPayment ? settlePayment : isOfTickets(subject) ? settleTicket : settleOther;
    return {
      mode: 'group',
      subject,
      receive: async (message) => ((await settleOne(message)).type === 'retry' ? 'retry' : 'done'),
      ...(isPayment ? { onChange: catchUp.subscriptionChanged('group') } : {}),
    };
  }

  function hearPayment({ data, publishedAt }: Message): void {
    const payment = parse(paymentMessage, data);
    // The replica that handles it rejects a payment that cannot be read.
    if (payment.ok) catchUp.paymentHeard(payment.value.orderId, publishedAt);
  }

  return {
    subscriptions: [
      ...[...handlers.keys()].map(group),
      {
        mode: 'watch',
        subject: PAYMENTS,
        sinceMs: deps.watchPaymentsSeconds * 1000,
        hear: hearPayment,
        onChange: catchUp.subscriptionChanged('watch'),
      },
    ],
    handle,
  };
}
