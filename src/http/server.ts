import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

const CLOSE_IDLE_EVERY_MS = 50;

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
        // close() ends the connections that are idle now; those that are busy are ended when they become idle, for
        // their clients may have been promised that they stay open.
        const whenIdle = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS);
        server.close(() => {
          clearInterval(whenIdle);
          resolve();
        });
      }),
  };
}
