import { SAMPLE_TICKETS } from './sample-tickets';

/** The values in the greeting. */
export interface Greeting {
  /** The host of the service, as part of a URL. */
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
 * How to try the service: commands to copy one by one, in any order once TOKEN and, if a command names it, ORDER are
 * set.
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

/** Only with a loopback address: the development route refuses all others. */
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
