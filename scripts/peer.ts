/**
 * Plays the other services by hand: sells a ticket, pays an order, expires one. Prints the id of what it published;
 * nothing else goes to stdout.
 */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { createNatsStreamingBus } from '../src/adapters/nats-streaming/bus';
import { pause } from '../src/application/schedule';
import { ticking } from '../src/wiring/clock';
import { natsSettings } from '../src/wiring/nats-settings';
import { InvalidSettings, loadConfig, type Config } from '../src/config/load-config';

const USAGE = `usage: npm run --silent peer -- ticket [--title TEXT] [--price N] [--id ID] [--version N]
                                       [--order-id ID] [--user ID]
       npm run --silent peer -- pay ORDER_ID [--id ID] [--stripe-id ID]
       npm run --silent peer -- expire ORDER_ID`;

const HELP = `${USAGE}

Plays the services around the Order Service, for development:

  ticket   announces a ticket, so that it can be ordered; prints its id. With a --version above 0 it is an update;
           --order-id says that the ticket service holds it for this order.
  pay      announces that an order was paid; prints the payment's id.
  expire   announces that an order's time to pay is over; prints the order's id.

With NATS_URL set it speaks to that NATS Streaming, with the settings of the service (NATS_CLUSTER_ID, …). Without, to
the embedded broker of the service that runs on this machine, at PORT (3000). It refuses NODE_ENV=production.

Ends with 0, with 1 where nobody took it, and with 2 where the arguments make no sense.
`;

const PATIENCE_MS = 10_000;

interface Announcement {
  readonly subject: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** The id that is printed. */
  readonly id: string;
}

class WrongArguments extends Error {
  readonly code = 'wrong-arguments';
}

/** Throws {@link WrongArguments}. */
function parse(args: string[]): Announcement | 'help' {
  const text = { type: 'string' } as const;
  const options = { title: text, price: text, id: text, version: text, user: text } as const;
  const more = { 'order-id': text, 'stripe-id': text, help: { type: 'boolean', short: 'h' } } as const;
  const { values, positionals } = parsed({ ...options, ...more });
  if (values.help) return 'help';
  const [action, ...rest] = positionals;
  switch (action) {
    case 'ticket': {
      allow('title', 'price', 'id', 'version', 'user', 'order-id');
      if (rest.length > 0) throw new WrongArguments(`what is ${rest[0]}?`);
      const version = numberIn('version', values.version ?? '0');
      if (!Number.isSafeInteger(version)) throw new WrongArguments('--version takes a whole number');
      const id = idIn('--id', values.id ?? randomBytes(12).toString('hex'));
      const held = values['order-id'];
      const data = {
        id,
        version,
        title: values.title ?? 'Sample ticket',
        price: numberIn('price', values.price ?? '20'),
        userId: values.user ?? 'sample-seller',
        ...(held === undefined ? {} : { orderId: idIn('--order-id', held) }),
      };
      return { subject: version === 0 ? 'ticket:created' : 'ticket:updated', data, id };
    }
    case 'pay': {
      allow('id', 'stripe-id');
      const orderId = oneOrder();
      const id = values.id ?? randomBytes(12).toString('hex');
      const stripeId = values['stripe-id'] ?? `ch_${randomBytes(12).toString('hex')}`;
      return { subject: 'payment:created', data: { id, orderId, stripeId }, id };
    }
    case 'expire': {
      allow();
      const orderId = oneOrder();
      return { subject: 'expiration:complete', data: { orderId }, id: orderId };
    }
    default:
      throw new WrongArguments(action === undefined ? 'no action given' : `unknown action: ${action}`);
  }

  function parsed<T extends NonNullable<Parameters<typeof parseArgs>[0]>['options']>(known: T) {
    try {
      return parseArgs({ args, options: known as T & {}, allowPositionals: true });
    } catch (error) {
      throw new WrongArguments((error as Error).message);
    }
  }

  function allow(...names: string[]): void {
    const other = Object.keys(values).find((name) => !names.includes(name));
    if (other !== undefined) throw new WrongArguments(`--${other} is not for ${action}`);
  }

  function oneOrder(): string {
    const [orderId, ...others] = rest;
    if (orderId === undefined || others.length > 0) throw new WrongArguments(`${action} takes one order id`);
    return idIn('an order id', orderId);
  }
}

function idIn(name: string, value: string): string {
  if (/^[0-9a-f]{24}$/i.test(value)) return value;
  throw new WrongArguments(`${name} has 24 hexadecimal characters`);
}

function numberIn(name: string, value: string): number {
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value);
  throw new WrongArguments(`--${name} takes a number, 0 or above`);
}

/** Reads only the settings used here: nothing is signed or stored. */
function settings(env: NodeJS.ProcessEnv): Config {
  const used = Object.entries(env).filter(([name]) => /^(NATS_\w+|CLUSTER_ID|HOST|PORT)$/.test(name));
  return loadConfig({ ...Object.fromEntries(used), JWT_KEY: 'no token is signed or verified with this' });
}

/** Publishes with its own client id, beside other clients. */
async function toBroker(config: Config, url: string, { subject, data }: Announcement): Promise<void> {
  const clientId = `peer-${randomBytes(4).toString('hex')}`;
  let reason = 'it does not answer';
  const note = (fields: { reason?: string }) => {
    if (fields.reason !== undefined) reason = fields.reason;
  };
  const log = { debug: note, info: note, warn: note, error: note };
  const bus = createNatsStreamingBus({ ...natsSettings(config.nats), url, clientId, clock: ticking, log });
  try {
    bus.start();
    const deadline = performance.now() + PATIENCE_MS;
    while (!bus.available()) {
      if (performance.now() > deadline) {
        const cluster = `NATS_CLUSTER_ID=${config.nats.clusterId}`;
        throw new Error(`The broker of NATS_URL did not let it in, with ${cluster}: ${reason}`);
      }
      await pause(ticking, 20);
    }
    await bus.publish(subject, JSON.stringify(data));
  } finally {
    await bus.close();
  }
}

async function toService({ http }: Config, { subject, data }: Announcement): Promise<void> {
  const anywhere = [undefined, '0.0.0.0', '::'].includes(http.host);
  const host = anywhere ? '127.0.0.1' : http.host?.replace(/^.*:.*$/, '[$&]');
  const service = `http://${host}:${http.port}`;
  const response = await fetch(`${service}/development/events/${subject}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(data),
    signal: AbortSignal.timeout(PATIENCE_MS),
  }).catch((error: Error) => {
    const { code } = (error.cause ?? {}) as { code?: string };
    throw new Error(`No service answers at ${service} (${code ?? error.message}): npm start, or set PORT`);
  });
  if (response.status === 404) {
    throw new Error(
      `The service at ${service} has no embedded broker to play on: set NATS_URL to its broker`,
    );
  }
  if (!response.ok)
    throw new Error(`The service at ${service} answered ${response.status}: ${await response.text()}`);
}

async function main(): Promise<number> {
  try {
    const announcement = parse(process.argv.slice(2));
    if (announcement === 'help') {
      process.stdout.write(HELP);
      return 0;
    }
    if (process.env['NODE_ENV'] === 'production')
      throw new Error('Nobody is played in production (NODE_ENV)');
    const config = settings(process.env);
    const { url } = config.nats;
    await (url === undefined ? toService(config, announcement) : toBroker(config, url, announcement));
    process.stdout.write(`${announcement.id}\n`);
    return 0;
  } catch (error) {
    const lines = error instanceof InvalidSettings ? error.problems : [(error as Error).message];
    process.stderr.write(`${lines.join('\n')}\n`);
    if (!(error instanceof WrongArguments)) return 1;
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
}

void main().then((code) => {
  process.exitCode = code;
});
