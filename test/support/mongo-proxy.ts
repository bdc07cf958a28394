import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { mongo } from 'mongoose';

/** A command as a client sent it: its name is the first key; document sequences are folded in. */
export type Command = Readonly<Record<string, unknown>>;

export interface MongoProxy {
  readonly port: number;
  /** What clients have sent, handshakes and heartbeats left out. */
  readonly commands: readonly Command[];
  forget(): void;
  /** The server carries out the next command that matches, but its answer is lost together with the connection. */
  loseAnswerTo(matches: (command: Command) => boolean): void;
  close(): Promise<void>;
}

const OP_MSG = 2013;
const HEADER_BYTES = 16;
const CHATTER = new Set(['hello', 'ismaster', 'endSessions']);

/** Stands between a client and a MongoDB server on this machine, and listens in. */
export async function startMongoProxy(targetPort: number): Promise<MongoProxy> {
  const commands: Command[] = [];
  const sockets = new Set<Socket>();
  let losing: ((command: Command) => boolean) | undefined;

  const server = createServer((client) => {
    const target = connect(targetPort, '127.0.0.1');
    /** Requests whose answers are to be lost. */
    const lost = new Set<number>();
    const hangUp = (): void => {
      client.destroy();
      target.destroy();
    };
    for (const socket of [client, target]) {
      sockets.add(socket);
      socket.on('error', hangUp).on('close', () => {
        sockets.delete(socket);
        hangUp();
      });
    }
    client.on(
      'data',
      eachMessage((message) => {
        const command = parse(message);
        if (command && !CHATTER.has(Object.keys(command)[0] ?? '')) commands.push(command);
        if (command && losing?.(command)) {
          losing = undefined;
          lost.add(message.readInt32LE(4));
        }
        target.write(message);
      }),
    );
    target.on(
      'data',
      eachMessage((message) => {
        if (lost.has(message.readInt32LE(8))) hangUp();
        else if (!client.destroyed) client.write(message);
      }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    port: (server.address() as AddressInfo).port,
    commands,
    forget: () => void commands.splice(0),
    loseAnswerTo(matches) {
      losing = matches;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
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
