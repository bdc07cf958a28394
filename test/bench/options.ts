import { parseArgs } from 'node:util';
import { wholeNumber } from '../support/whole-number';

/** Another orders service, known by where it answers. */
export interface Other {
  /** Of the collection of orders, like `http://127.0.0.1:4000/api/orders`. */
  readonly url: string;
  /** Starts it; without one it runs already. */
  readonly command?: string;
  /** Presented with each request; without one the bench signs its own. */
  readonly token?: string;
  /** Where tickets are announced to it. */
  readonly ticketSubject: string;
  /** Its broker; without one the bench starts one for it. */
  readonly natsUrl?: string;
}

export interface Options {
  /** Names, or undefined for all of them. */
  readonly scenarios: readonly string[];
  readonly rounds: number;
  /** How long one contender is loaded in one round. */
  readonly seconds: number;
  /** What the largest database holds. */
  readonly orders: number;
  /** All other counts and waits of scenarios are multiplied by this. */
  readonly scale: number;
  /** The usual service takes part in all scenarios over HTTP. */
  readonly usual: boolean;
  readonly other?: Other;
  readonly baseline?: string;
  readonly folder: string;
}

const DEFAULTS = { rounds: '3', seconds: '5', orders: '1000000', scale: '1', folder: 'bench-report' };

/** Throws what is wrong with the arguments. `known`: the names of all scenarios. */
export function parseOptions(args: readonly string[], known: readonly string[]): Options | 'help' {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      scenario: { type: 'string', multiple: true },
      rounds: text,
      seconds: text,
      orders: text,
      scale: text,
      usual: flag,
      url: text,
      command: text,
      token: text,
      'ticket-subject': text,
      nats: text,
      baseline: text,
      out: text,
      help: flag,
    },
  });
  if (values.help) return 'help';
  const other = otherOf(values);
  return {
    scenarios: scenariosOf(values.scenario ?? [], known),
    rounds: wholeNumber('rounds', values.rounds ?? DEFAULTS.rounds, 1),
    seconds: positive('seconds', values.seconds ?? DEFAULTS.seconds),
    orders: wholeNumber('orders', values.orders ?? DEFAULTS.orders, 1_000),
    scale: positive('scale', values.scale ?? DEFAULTS.scale),
    usual: values.usual ?? false,
    ...(other ? { other } : {}),
    ...(values.baseline === undefined ? {} : { baseline: values.baseline }),
    folder: values.out ?? DEFAULTS.folder,
  };
}

function scenariosOf(asked: readonly string[], known: readonly string[]): readonly string[] {
  const names = asked.flatMap((list) => list.split(',')).map((name) => name.trim());
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new Error(`there is no scenario ${unknown}: there are ${known.join(', ')}`);
  return names.length > 0 ? [...new Set(names)] : known;
}

function otherOf(values: Partial<Record<string, unknown>>): Other | undefined {
  const {
    url,
    command,
    token,
    'ticket-subject': subject,
    nats,
  } = values as Record<string, string | undefined>;
  if (url === undefined) {
    const alone = ['command', 'token', 'ticket-subject', 'nats'].find((name) => values[name] !== undefined);
    if (alone !== undefined)
      throw new Error(`--${alone} says something of the service at --url, which is missing`);
    return undefined;
  }
  if (!URL.canParse(url) || !url.startsWith('http')) throw new Error(`--url must be a URL, not ${url}`);
  if (command === undefined && nats === undefined) {
    throw new Error(
      '--url needs --command, which starts that service, or --nats, the broker that it hears already',
    );
  }
  if (command === undefined && token === undefined) {
    throw new Error('--url needs --token where no --command starts that service with the key of the bench');
  }
  return {
    url: url.replace(/\/$/, ''),
    ticketSubject: subject ?? 'ticket:created',
    ...(command === undefined ? {} : { command }),
    ...(token === undefined ? {} : { token }),
    ...(nats === undefined ? {} : { natsUrl: nats }),
  };
}

function positive(option: string, text: string): number {
  const number = Number(text);
  if (number > 0 && number < Infinity) return number;
  throw new RangeError(`--${option} must be a number above 0, not ${JSON.stringify(text)}`);
}
