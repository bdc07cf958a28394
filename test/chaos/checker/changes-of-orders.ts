import { at, pay, PAYMENT, refund, TICKETS, type Example } from './example';

/** What is done to the example, and the rules that must be broken then, and no others. */
export type Change = readonly [what: string, change: (example: Example) => void, ...rules: string[]];

export const MADE = 'I9 each order was made by a request of its own, and at its time';
export const EARLY = 'I9 no order expires before its time';
export const TAKEN = 'I9 each order can have taken its ticket between its question and its answer';
export const LET_GO = 'I9 each order can have let go of its ticket when it was told to, or later';

/** Against what an order promises. */
export const CHANGES_OF_ORDERS: readonly Change[] = [
  [
    'a turn is left out',
    ({ orders }) => (orders.boughtNext.turn = 2),
    'I1 a ticket’s orders have the turns from 0 on, each once',
  ],
  [
    'a ticket is sold again that was paid',
    ({ orders: { expired }, remains, sendPayment }) => {
      const cancelled = expired.outbox.pop()!.data;
      Object.assign(expired, { status: 'created', version: 0, publishing: { next: 1, pending: 0 } });
      delete expired.reason;
      pay(expired, 9, 3_000);
      sendPayment(9, expired.id, 3_000);
      const cancellations = remains.channels.get('order:cancelled')!;
      remains.channels.set(
        'order:cancelled',
        cancellations.filter(({ text }) => text !== cancelled),
      );
    },
    'I1 all orders of a ticket but the last are cancelled',
    TAKEN,
    LET_GO,
  ],
  [
    'an order is cancelled long after the next one was placed',
    ({ orders }) => (orders.givenUp.outbox[1]!.at = at(9_000)),
    'I1 an order was cancelled before the next one was known to anybody',
  ],
  [
    'somebody sees two holders',
    (example) => (example.line('sample').twiceHeld = [TICKETS.resold]),
    'I1 no look from outside finds a ticket that two orders hold',
  ],
  [
    'an event is lost',
    (example) => example.channel('order:refund-required').shift(),
    'I2 every event of the outbox is in its channel, to the byte',
  ],
  [
    'an order is announced after its cancellation',
    (example) => (example.channel('order:created')[0]!.at += 1_400 * 1e6),
    'I3 an order’s events arrive first in the order of the outbox, none left out',
  ],
  [
    'an order is announced before the cancellation of the one before',
    (example) => (example.channel('order:created')[1]!.at -= 505 * 1e6),
    'I3b a ticket’s order is announced after all that its earlier ones announce',
  ],
  [
    'a message says what did not happen',
    ({ send, orders }) => send('order:cancelled', { id: orders.bought.id, version: 1 }, 6_600),
    'I4 every message about an order is an event of its outbox',
  ],
  [
    'a 201 tells of another buyer’s order',
    (example) => {
      const asked = example.history.filter((line) => line.kind === 'invoke');
      asked.find(({ ticketId, user }) => ticketId === TICKETS.expired && user === 'ann')!.user = 'zoe';
    },
    'I5 the order of every 201 is in the database, for that buyer and ticket',
  ],
  [
    'a 201 tells another time than the database',
    (example) => {
      const answer = example.answerTo(({ user, op }) => user === 'eve' && op === 'place');
      answer.body = answer.body!.replace('"expiresAt":"2', '"expiresAt":"3');
    },
    'I5 the body of every 201 is the order as it was placed',
  ],
  [
    'a repeated key gets other bytes',
    (example) => (example.answerTo(({ key, t }) => key === 'k' && t > 1_010).body += ' '),
    'I5 a repeated key gets the first 201 again, byte for byte',
  ],
  [
    'a 204 is forgotten',
    ({ ask, orders: { bought } }) =>
      ask(6_600, { op: 'cancel', user: 'ann', orderId: bought.id }, 10, { status: 204 }),
    'I5 the order of every 204 is in the database, cancelled',
  ],
  [
    'a 201 is forgotten for a while',
    ({ ask, orders: { bought } }) =>
      ask(6_100, { op: 'show', user: 'ann', orderId: bought.id }, 10, { status: 404 }),
    'I5 what was answered is what a later request is shown',
    'I5 each answer is one that this request can have',
  ],
  [
    'a 204 is forgotten for a while',
    (example) => {
      const answer = example.answerTo(({ op, user }) => op === 'show' && user === 'ann');
      answer.order = { status: 'created', version: 0 };
    },
    'I5 what was answered is what a later request is shown',
  ],
  [
    'a cancellation is refused for no reason',
    ({ ask, orders: { expired } }) =>
      ask(4_000, { op: 'cancel', user: 'cid', orderId: expired.id }, 10, { status: 409 }),
    'I5 the order of every 409 to a cancellation is in the database, complete',
  ],
  [
    'a sound request is refused',
    ({ ask }) => ask(6_600, { op: 'place', user: 'dan', ticketId: TICKETS.unsold }, 10, { status: 400 }),
    'I5 each answer is one that this request can have',
  ],
  [
    'something goes wrong that nobody foresaw',
    (example) => (example.answerTo(({ op }) => op === 'list').status = 500),
    'I5 each answer is one that this request can have',
  ],
  [
    'a version counts too much',
    ({ orders }) => (orders.bought.version = 2),
    'I6 an order’s version is the number of its changes',
  ],
  [
    'an outbox leaves a number out',
    ({ orders }) => (orders.givenUp.outbox[2]!.seq = 3),
    'I6 an order’s outbox tells its state',
  ],
  [
    'an announcement tells another end',
    ({ orders }) => orders.bought.expiresAt.setMilliseconds(700),
    'I5 the body of every 201 is the order as it was placed',
    'I6 an order’s outbox tells its state',
    'I9 each order lasts as long as an order does',
  ],
  [
    'more is published than there is',
    ({ orders }) => (orders.bought.publishing.next = 2),
    'I6 what is published and what is pending is the whole outbox',
  ],
  [
    'a paid order is shown as cancelled',
    (example) =>
      (example.answerTo(({ op, user }) => op === 'show' && user === 'bob').order!.status = 'cancelled'),
    'I6 what is shown of an order is a state of its life',
  ],
  [
    'a payment is not recorded',
    ({ sendPayment, orders }) => sendPayment(9, orders.bought.id, 6_600),
    'I7 each payment that was sent is recorded once',
  ],
  [
    'a payment is recorded with a wrong time',
    ({ orders }) => (orders.bought.payments[0]!.at = at(6_900)),
    'I7 each payment that is recorded was sent, at that time',
  ],
  [
    'a payment is recorded with the time of a clock that is behind',
    ({ orders }) => (orders.bought.payments[0]!.at = at(6_100)),
    'I7 each payment that is recorded was sent, at that time',
  ],
  [
    'a cancelled order keeps a payment',
    ({ orders: { expired }, sendPayment }) => {
      expired.payments.push({ id: PAYMENT(9), at: at(5_500) });
      sendPayment(9, expired.id, 5_500);
    },
    'I7 a complete order keeps one payment, any other none',
  ],
  [
    'a late payment is refunded as a second one',
    (example) => {
      const { givenUp } = example.orders;
      const [message] = example.channel('order:refund-required');
      givenUp.payments[0]!.refund = 'second';
      givenUp.outbox[2]!.data = message!.text = message!.text.replace('late', 'second');
    },
    'I7 a payment that is not kept is refunded once, with its reason',
  ],
  [
    'a payment is refunded that is kept',
    ({ orders: { bought }, send }) => {
      refund(bought, PAYMENT(4), 'second', 6_600);
      send('order:refund-required', bought.outbox[1]!.data, 6_700);
    },
    'I7 no refund is announced for a payment that is kept',
  ],
  [
    'a charge is given back that was kept under another id',
    ({ orders: { boughtNext }, send }) => {
      const { sameAs: _, ...again } = boughtNext.payments.pop()!;
      boughtNext.payments.push({ ...again, refund: 'second' });
      refund(boughtNext, again.id, 'second', 3_600);
      send('order:refund-required', boughtNext.outbox.at(-1)!.data, 3_700);
    },
    'I7 a charge is recorded once, under all its names',
  ],
  [
    'an order expires that was paid in time',
    ({ orders: { expired }, send, sendPayment }) => {
      pay(expired, 9, 5_004);
      sendPayment(9, expired.id, 5_004);
      send('order:refund-required', expired.outbox[2]!.data, 5_200);
    },
    'I7 no order that was paid in time has expired',
  ],
];
