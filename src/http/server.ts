import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { Server as NetServer } from 'node:net';
import type { AddressInfo } from 'node:net';

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
    handler,
  );

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
