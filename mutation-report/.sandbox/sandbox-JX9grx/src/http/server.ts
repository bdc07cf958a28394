import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { Server as NetServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/**
 * How many requests of one connection may wait for their answers. Node begins all that it has read at once, and keeps the
 * answers of a client that does not take them.
 */
const MOST_AT_ONCE = 100;
const CLOSE_IDLE_EVERY_MS = 50;
/** On a connection that is idle a request may be on its way: it is still answered, and told to be the last one. */
const LINGER_MS = 1_000;

export interface HttpServer {
  /** Listens; resolves to where. Rejects when the port is taken. */
  start(): Promise<AddressInfo>;
  /** Accepts nothing new; resolves when the requests in hand are answered. */
  stop(): Promise<void>;
}

/** An HTTP server that slow or idle clients cannot exhaust. */
export function createHttpServer(
  handler: RequestListener,
  listenOn: { host: string | undefined; port: number },
  // Longer than any answer takes to be made.
  { noProgressMs = 30_000 }: { noProgressMs?: number } = {},
): HttpServer {
  const server = createServer(
    {
      // Bodies are 10 kB at most; whoever needs longer is not serious.
      requestTimeout: 10_000,
      headersTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
      // Above the idle time of the usual load balancers, so that they close first and never meet a closed connection.
      keepAliveTimeout: 65_000,
      maxHeaderSize: 16 * 1024,
    },
    limited(handler),
  );

  // Nothing else ends a connection whose answers are never read. One that is read slowly goes on: it is looked at twice.
  server.timeout = noProgressMs;

  return {
    start: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(listenOn.port, listenOn.host, () => {
          server.off('error', reject);
          resolve(server.address() as AddressInfo);
        });
      }),
    stop: () =>
      new Promise((resolve) => {
        let whenIdle: NodeJS.Timeout | undefined;
        const linger = setTimeout(() => {
          // Those that are busy are ended when they become idle.
          whenIdle = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS);
        }, LINGER_MS);
        // Not the HTTP server's own close(): that would end idle connections at once.
        NetServer.prototype.close.call(server, () => {
          clearTimeout(linger);
          clearInterval(whenIdle);
          resolve();
        });
      }),
  };
}

/** Cuts off a connection that asks for more than {@link MOST_AT_ONCE}. */
function limited(handler: RequestListener): RequestListener {
  const waiting = new WeakMap<Socket, number>();

  return (req, res) => {
    const { socket } = req;
    const count = (waiting.get(socket) ?? 0) + 1;
    // What was read with the request that was one too many still comes by.
    if (count > MOST_AT_ONCE || socket.destroyed) {
      socket.destroy();
      return;
    }
    waiting.set(socket, count);
    res.on('close', () => waiting.set(socket, (waiting.get(socket) ?? 1) - 1));
    handler(req, res);
  };
}
