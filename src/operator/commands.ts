import { parseArgs } from 'node:util';
import type { Publisher } from '../application/bus';
import type { FailedMessages, OutboxHistory } from '../application/ports';

export const USAGE = `Usage: admin dead-letters list [--limit N]
       admin dead-letters replay ID | --all
       admin outbox republish --ticket ID | --all

Reads these settings of the service: MONGO_URL and, for the outbox, NATS_URL, with the settings that belong to them.
`;

/** The dependencies of the commands. */
export interface Admin {
  readonly failedMessages: FailedMessages;
  readonly outboxHistory: OutboxHistory;
  /** Opens a connection to the broker, separate from those of the running service. */
  connectPublisher(): Promise<Publisher>;
  close(): Promise<void>;
}

const OBJECT_ID = /^[0-9a-f]{24}$/i;

/** A parsed command line. */
export interface Command {
  readonly needsBroker: boolean;
  readonly run: (admin: Admin) => Promise<void>;
}

/** Parses an argument list; undefined if it is not a valid command. */
export function parseCommand(args: string[]): Command | undefined {
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
  const onDatabase = (run: Command['run']): Command => ({ needsBroker: false, run });
  const oneOrAll = (given: string | undefined) => (given === undefined) === (values.all === true);
  switch (`${area} ${action}`) {
    case 'dead-letters list': {
      const limit = Number(values.limit ?? 100);
      if (!Number.isInteger(limit) || limit <= 0) return undefined;
      return onDatabase((admin) => listDeadLetters(admin, limit));
    }
    case 'dead-letters replay':
      return oneOrAll(id) ? onDatabase((admin) => replayDeadLetters(admin, id)) : undefined;
    case 'outbox republish': {
      const { ticket } = values;
      const isValid =
        oneOrAll(ticket) && (ticket === undefined || OBJECT_ID.test(ticket)) && id === undefined;
      if (!isValid) return undefined;
      return { needsBroker: true, run: (admin) => republish(admin, ticket?.toLowerCase()) };
    }
    default:
      return undefined;
  }
}

async function listDeadLetters({ failedMessages }: Admin, limit: number): Promise<void> {
  for (const letter of await failedMessages.list(limit)) print(letter);
}

async function replayDeadLetters({ failedMessages }: Admin, id?: string): Promise<void> {
  const replayed = await failedMessages.replay(id);
  if (id !== undefined && replayed === 0) throw new Error(`no dead letter ${id}`);
  print({ replayed });
}

/** One after the other: their order must be kept. */
async function republish({ outboxHistory, connectPublisher }: Admin, ticketId?: string): Promise<void> {
  const publisher = await connectPublisher();
  let republished = 0;
  try {
    for await (const { subject, data } of outboxHistory.published(ticketId)) {
      await publisher.publish(subject, data);
      republished += 1;
    }
  } finally {
    // Also after a failure in the middle.
    print({ republished });
  }
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
