import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { mongo } from 'mongoose';

/** A command as a client sent it: its name is the first key; document sequences are folded in. */
export type Command = Readonly<Record<string, unknown>>;

export type MongoProxy = Awaited<ReturnType<typeof startMongoProxy>>;

interface Trap {
  readonly matches: (command: Command) => boolean;
  /** What to do with the answer once it has come. */
  readonly spring: (client: Socket, deliver: () => void) => void;
}

const OP_MSG = 2013;
const HEADER_BYTES = 16;
const CHATTER = new Set(['hello', 'ismaster', 'endSessions']);

/** Stands between a client and a MongoDB server on this machine, and listens in. */
export async function startMongoProxy(targetPort: number) {
  const commands: Command[] = [];
  const clients = new Set<Socket>();
  let trap: Trap | undefined;
  let heartbeats = false;

  const server = createServer((client) => {
    const target = connect(targetPort, '127.0.0.1');
    /** By the number of the request. */
    const trapped = new Map<number, Trap['spring']>();
    clients.add(client);
    for (const [socket, other] of [
      [client, target],
      [target, client],
    ] as const) {
      socket.on('error', () => other.destroy()).on('close', () => other.destroy());
    }
    client.on('close', () => clients.delete(client));
    client.on(
      'data',
      eachMessage((message) => {
        const command = parse(message);
        if (command && !CHATTER.has(Object.keys(command)[0] ?? '')) commands.push(command);
        if (command?.['maxAwaitTimeMS'] !== undefined) heartbeats = true;
        if (command && trap?.matches(command)) {
          trapped.set(message.readInt32LE(4), trap.spring);
          trap = undefined;
        }
        target.write(message);
      }),
    );
    target.on(
      'data',
      eachMessage((message) => {
        const deliver = (): void => void client.write(message);
        const spring = trapped.get(message.readInt32LE(8));
        if (spring) spring(client, deliver);
        else deliver();
      }),
    );
  });
  const port = await listen(0);

  async function listen(on: number): Promise<number> {
    server.listen(on, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  async function cut(): Promise<void> {
    const closed = once(server, 'close');
    server.close();
    for (const client of clients) client.destroy();
    await closed;
  }

  return {
    port,
    /** What clients have sent, handshakes and heartbeats left out. */
    commands: commands as readonly Command[],
    forget: () => void commands.splice(0),
    /** Whether a client's heartbeat is on its way, so that it notices at once when it breaks. */
    heartbeats: () => heartbeats,
    /** The server carries out the next command that matches, but its answer is lost together with the connection. */
    loseAnswerTo(matches: Trap['matches']): void {
      trap = { matches, spring: (client) => client.destroy() };
    },
    /** The answer to the next command that matches comes, but only after all other connections were cut and one is back. */
    cutOthersBeforeAnswerTo(matches: Trap['matches']): void {
      trap = {
        matches,
        spring(client, deliver) {
          server.once('connection', deliver);
          for (const other of clients) if (other !== client) other.destroy();
        },
      };
    },
    /** The answer to the next command that matches waits until `meanwhile` is done. */
    holdAnswerTo(matches: Trap['matches'], meanwhile: () => Promise<void>): void {
      trap = { matches, spring: (_client, deliver) => void meanwhile().finally(deliver) };
    },
    /** Ends all connections and takes no new ones. */
    cut,
    /** Takes connections again, on the same port. */
    restore: async () => void (await listen(port)),
    close: cut,
  };
}

/** Cuts a stream into whole messages. */
function eachMessage(take: (message: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= HEADER_BYTES && rest.length >= rest.readInt32LE(0)) {
      const length = rest.readInt32LE(0);
      take(rest.subarray(0, length));
      rest = rest.subarray(length);
    }
  };
}

function parse(message: Buffer): Command | undefined {
  if (message.readInt32LE(12) !== OP_MSG) return undefined;
  let at = HEADER_BYTES + 4;
  let command: Record<string, unknown> = {};
  while (at < message.length) {
    const kind = message.readUInt8(at);
    at += 1;
    if (kind === 0) {
      command = { ...readDocument(message, at), ...command };
      at += message.readInt32LE(at);
    } else {
      const end = at + message.readInt32LE(at);
      const nameEnd = message.indexOf(0, at + 4);
      const name = message.toString('utf8', at + 4, nameEnd);
      const documents: unknown[] = [];
      for (at = nameEnd + 1; at < end; at += message.readInt32LE(at))
        documents.push(readDocument(message, at));
      command[name] = documents;
    }
  }
  return command;
}

function readDocument(message: Buffer, at: number): Record<string, unknown> {
  return mongo.BSON.deserialize(message.subarray(at, at + message.readInt32LE(at)));
}
