import type { Invoke } from '../history';
import { EARLY, LET_GO, MADE, TAKEN, type Change } from './changes-of-orders';
import { at, TICKETS, type Example } from './example';

const MEGABYTE = 1024 * 1024;
const REFUSED = 'I9 a ticket that was refused can have been held by somebody';

function grow(
  { history }: Example,
  what: 'heapBytes' | 'residentBytes' | 'clients' | 'handles' | 'listeners',
  by: number,
): void {
  let looks = 0;
  for (const line of history) if (line.kind === 'vitals') line[what] += by * (looks += 1);
}

/** Against what all of it together promises. */
export const CHANGES_OF_THE_WHOLE: readonly Change[] = [
  [
    'nothing works any more after a while',
    (example) => {
      example.line('faults over').t = 250_000;
      example.line('end').t = 252_000;
    },
    'I8 orders were placed all the time, whatever was broken',
  ],
  [
    'something is still missing in the end',
    (example) => Object.assign(example.line('end'), { converged: false, missing: 'an event' }),
    'I8 all has come to rest in time after the faults',
  ],
  [
    'it takes too long to come to rest',
    (example) => (example.line('faults over').t = 19_000),
    'I8 all has come to rest in time after the faults',
  ],
  [
    'an event is not published',
    ({ orders }) => Object.assign(orders.bought.publishing, { next: 0, pending: 1 }),
    'I8 nothing is left to be published',
  ],
  [
    'an unpaid order never expires',
    (example) => {
      const { bought } = example.orders;
      Object.assign(bought, { status: 'created', version: 0, payments: [] });
      const channel = example.channel('payment:created');
      channel.splice(
        channel.findIndex(({ text }) => text.includes(bought.id)),
        1,
      );
    },
    'I8 no unpaid order is overdue',
  ],
  [
    'the copy of a ticket is old',
    ({ remains }) => (remains.tickets[0]!.version = 0),
    'I8 the copy of each ticket is the newest version that was sent',
  ],
  [
    'a message about an order of ours stays parked',
    ({ remains, orders }) => {
      const data = JSON.stringify({ orderId: orders.expired.id });
      remains.failedMessages.push({ id: 'expiration:complete:1:1700000005010', data, parked: true });
    },
    'I8 only what is about orders of others is still parked',
  ],
  [
    'an order is there that nobody asked for',
    (example) => example.unask(({ user, ticketId }) => user === 'ann' && ticketId === TICKETS.expired),
    MADE,
    TAKEN,
  ],
  [
    'a request without an answer makes two orders',
    (example) => {
      example.unask(({ user, ticketId }) => user === 'ann' && ticketId === TICKETS.expired);
      example.orders.bought.userId = 'cid';
    },
    'I6 an order’s outbox tells its state',
    MADE,
  ],
  ['an order expires early', ({ orders }) => (orders.expired.outbox[1]!.at = at(4_400)), EARLY],
  [
    'a ticket is forgotten',
    ({ ask }) => ask(8_000, { op: 'place', user: 'eve', ticketId: TICKETS.resold }, 10, { status: 404 }),
    'I5 a ticket that was sold once is known from then on',
  ],
  [
    'an order is cancelled by its buyer, who did not ask for it',
    (example) => example.unask(({ op, user }) => op === 'cancel' && user === 'eve'),
    LET_GO,
  ],
  [
    'an order is placed while another still holds the ticket',
    (example) => {
      const isIt = ({ user, ticketId }: Invoke) => user === 'ann' && ticketId === TICKETS.expired;
      example.orders.expired.outbox[1]!.at = at(1_900);
      const answer = example.answerTo(isIt);
      answer.t = 2_010;
      for (const line of example.history) if (line.kind === 'invoke' && isIt(line)) line.t = 2_000;
    },
    MADE,
    EARLY,
    TAKEN,
    LET_GO,
  ],
  [
    'a ticket is refused that nobody holds any more',
    ({ ask }) => ask(2_200, { op: 'place', user: 'dan', ticketId: TICKETS.resold }, 100, { status: 409 }),
    REFUSED,
  ],
  [
    'a ticket is refused although the broker has told that it was let go',
    (example) => {
      example.answerTo(({ op, user }) => op === 'cancel' && user === 'eve').status = 0;
      example.ask(9_600, { op: 'place', user: 'dan', ticketId: TICKETS.givenUp }, 10, { status: 409 });
    },
    REFUSED,
  ],
  [
    'a ticket is refused although its order was shown as cancelled',
    (example) => {
      const { id: orderId, userId: user } = example.orders.lastGivenUp;
      const order = { status: 'cancelled', version: 1 };
      example.answerTo(({ op, user }) => op === 'cancel' && user === 'eve').status = 0;
      example.ask(7_600, { op: 'show', user, orderId }, 10, { status: 200, order });
      example.ask(7_700, { op: 'place', user: 'dan', ticketId: TICKETS.givenUp }, 10, { status: 409 });
    },
    REFUSED,
  ],
  [
    'a ticket is refused that nobody holds yet',
    ({ ask }) => ask(500, { op: 'place', user: 'dan', ticketId: TICKETS.resold }, 100, { status: 409 }),
    REFUSED,
  ],
  [
    'a ticket is refused that nobody ever held',
    (example) => example.unask(({ user, ticketId }) => user === 'ann' && ticketId === TICKETS.unsold),
    REFUSED,
  ],
  [
    'a message that nobody can read is not put aside',
    ({ remains }) => remains.failedMessages.shift(),
    'I10 each message that nobody can read is a dead letter, once',
  ],
  [
    'a message about an order of others is lost',
    ({ remains }) => remains.failedMessages.pop(),
    'I10 each message about an order of others is put aside, once',
  ],
  [
    'a message is put aside that is in order',
    (example) => {
      const { text } = example.channel('payment:created')[1]!;
      const id = 'payment:created:2:1700000003000';
      example.remains.failedMessages.push({ id, data: text, parked: false });
    },
    'I10 no other message is a dead letter',
  ],
  ['memory grows', (example) => grow(example, 'heapBytes', MEGABYTE), 'I11 memory in use stays level'],
  [
    'resident memory grows',
    (example) => grow(example, 'residentBytes', 216 * MEGABYTE),
    'I11 resident memory stays level',
  ],
  [
    'connections of clients are left open',
    (example) => grow(example, 'clients', 4),
    'I11 connections of clients stay level',
  ],
  ['handles are left open', (example) => grow(example, 'handles', 2), 'I11 other open handles stay level'],
  ['listeners pile up', (example) => grow(example, 'listeners', 2), 'I11 event listeners stay level'],
  [
    'a process ends by itself',
    (example) => (example.line('exit').expected = false),
    'I12 no process ends by itself',
  ],
  [
    'a process complains',
    ({ history }) => history.push({ kind: 'complaint', t: 1, target: 'replica a', text: 'unexpected' }),
    'I12 no replica says what it should never say',
  ],
];
