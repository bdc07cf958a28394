import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import jwt from 'jsonwebtoken';
import type { Publisher, TicketStore } from './application/ports';

/** What a ticket service would have announced, so that there is something to order. */
export const SAMPLE_TICKETS = [
  {
    id: '5f0000000000000000000001',
    version: 0,
    title: 'Open-air concert',
    price: 45,
    userId: 'sample-seller',
  },
  {
    id: '5f0000000000000000000002',
    version: 0,
    title: 'Champions night',
    price: 120,
    userId: 'sample-seller',
  },
  {
    id: '5f0000000000000000000003',
    version: 0,
    title: 'Puppet theatre',
    price: 9.5,
    userId: 'sample-seller',
  },
] as const;

/** Puts the sample tickets in the way every ticket comes in, through the bus; resolves when they can be ordered. */
export async function announceSampleTickets(
  ticketService: Publisher,
  tickets: Pick<TicketStore, 'find'>,
): Promise<void> {
  for (const ticket of SAMPLE_TICKETS) {
    await ticketService.publish('ticket:created', JSON.stringify(ticket), randomUUID());
    while (!(await tickets.find(ticket.id))) await pause(1);
  }
}

/** A token such as the sign-in service would give to this user. */
export function signToken(
  key: string,
  { userId, email, expiresInSeconds }: { userId: string; email: string; expiresInSeconds: number },
): string {
  return jwt.sign({ id: userId, email }, key, { algorithm: 'HS256', expiresIn: expiresInSeconds });
}

/** What the greeting tells, as it is on this machine. */
export interface Greeting {
  /** Where it answers, as part of a URL. */
  readonly host: string;
  readonly port: number;
  readonly basePath: string;
  readonly token: string;
  /** How long after the start an order can expire at the earliest. */
  readonly expiresFromSeconds: number;
  /** Whether `docker compose` works here. */
  readonly hasDocker: boolean;
}

/**
 * How to try the service: lines that can be copied one by one, in any order once there is a TOKEN and, for those that
 * name it, an ORDER.
 */
export function welcome(greeting: Greeting): string {
  const ordersUrl = `http://${greeting.host}:${greeting.port}${greeting.basePath}`;
  const signIn = '-H "Authorization: Bearer $TOKEN"';
  const [ticket, ...others] = SAMPLE_TICKETS;
  return `
  The Order Service is ready at ${ordersUrl}
  Everything is kept IN MEMORY and is lost when it ends (Ctrl-C).

  What follows is for another terminal, in this folder. First, a token of the user "sample-buyer":
  TOKEN=${greeting.token}

  Place an order:
  curl -i ${signIn} -H 'Content-Type: application/json' \\
    -d '{"ticketId":"${ticket.id}"}' ${ordersUrl}

  List your orders, the latest one first:
  curl -i ${signIn} ${ordersUrl}

  Show the latest one:
  ORDER=$(curl -s ${signIn} ${ordersUrl} | cut -sd'"' -f4)
  curl -i ${signIn} ${ordersUrl}/$ORDER

  Cancel it:
  curl -i -X DELETE ${signIn} ${ordersUrl}/$ORDER
${howToPlay(greeting)}
  More tickets to order: ${others.map(({ id }) => id).join(', ')}

  To keep what is stored, end this one and run it with a MongoDB and a NATS Streaming server${
    greeting.hasDocker ? ':' : ' of your\n  own (README, "With a real MongoDB and NATS"):'
  }
  ${howToKeep(greeting.hasDocker)}
`;
}

/** Only where this machine reaches the service by a loopback address: from others nobody may play. */
function howToPlay({ host, port, expiresFromSeconds }: Greeting): string {
  if (!/^127\.|^\[::1\]$/.test(host)) return '';
  const settings = [
    ...(host === '127.0.0.1' ? [] : [`HOST=${host.replace(/[[\]]/g, '')}`]),
    ...(port === 3000 ? [] : [`PORT=${port}`]),
  ];
  const peer = [...settings, 'npm run peer --'].join(' ');
  return `
  Or play the other services: sell a ticket, pay the order, end its time to be paid (which counts
  from ${expiresFromSeconds} seconds after the start on):
  ${peer} ticket --title 'Jazz night' --price 30
  ${peer} pay $ORDER
  ${peer} expire $ORDER
`;
}

function howToKeep(hasDocker: boolean): string {
  if (hasDocker) return 'docker compose up --build';
  return `MONGO_URL=mongodb://127.0.0.1:27017/orders NATS_URL=nats://127.0.0.1:4222 \\
    JWT_KEY=$(node -p 'crypto.randomUUID()') npm start`;
}
