import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { composeAdmin } from './compose-admin';
import type { Admin } from './compose-admin';
import { InvalidSettings, loadConfig } from './config';

const USAGE = `Usage: admin dead-letters list [--limit N]
       admin dead-letters replay ID | --all
       admin outbox republish --ticket ID | --all

Reads the same settings as the service; needs MONGO_URL, and for the outbox NATS_URL.
`;

const OBJECT_ID = /^[0-9a-f]{24}$/i;

/** The operator's command line. Prints JSON lines; resolves to the exit code. */
async function run(args: string[]): Promise<number> {
  const command = parse(args);
  if (!command) {
    process.stderr.write(USAGE);
    return 2;
  }
  const config = loadConfig(process.env);
  if (config.mongoUrl === undefined) throw new Error('MONGO_URL is not set: there is nothing to look after');
  const log = pino({ level: 'warn' }, pino.destination(2));
  const admin = await composeAdmin({ ...config, mongoUrl: config.mongoUrl }, log);
  try {
    await command(admin);
    return 0;
  } finally {
    await admin.close();
  }
}

function parse(args: string[]): ((admin: Admin) => Promise<void>) | undefined {
  const options = {
    limit: { type: 'string' },
    all: { type: 'boolean' },
    ticket: { type: 'string' },
  } as const;
  let parsed;
  try {
    parsed = parseArgs({ args, options, allowPositionals: true });
  } catch {
    return undefined;
  }
  const { positionals, values } = parsed;
  const [area, action, id, ...rest] = positionals;
  if (rest.length > 0) return undefined;
  const oneOrAll = (given: string | undefined) => (given === undefined) === (values.all === true);
  switch (`${area} ${action}`) {
    case 'dead-letters list': {
      const limit = Number(values.limit ?? 100);
      return Number.isInteger(limit) && limit > 0 ? (admin) => listDeadLetters(admin, limit) : undefined;
    }
    case 'dead-letters replay':
      return oneOrAll(id) ? (admin) => replayDeadLetters(admin, id) : undefined;
    case 'outbox republish': {
      const { ticket } = values;
      const isValid =
        oneOrAll(ticket) && (ticket === undefined || OBJECT_ID.test(ticket)) && id === undefined;
      return isValid ? (admin) => republish(admin, ticket?.toLowerCase()) : undefined;
    }
    default:
      return undefined;
  }
}

async function listDeadLetters({ deadLetters }: Admin, limit: number): Promise<void> {
  for (const letter of await deadLetters.list(limit)) print(letter);
}

async function replayDeadLetters({ deadLetters }: Admin, id?: string): Promise<void> {
  const replayed = await deadLetters.replay(id);
  if (id !== undefined && replayed === 0) throw new Error(`no dead letter ${id}`);
  print({ replayed });
}

/** One after the other: the order is the point. */
async function republish({ outboxHistory, connectPublisher }: Admin, ticketId?: string): Promise<void> {
  const publisher = await connectPublisher();
  let republished = 0;
  try {
    for await (const { orderId, event } of outboxHistory.published(ticketId)) {
      await publisher.publish(event.subject, event.data, `${orderId}:${event.seq}`);
      republished += 1;
    }
  } finally {
    // Where it fails in the middle too.
    print({ republished });
  }
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

run(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof InvalidSettings) process.stderr.write(error.problems.join('\n') + '\n');
    process.exitCode = 1;
  },
);
