import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { refuseAsProblems } from './refusals';
import type { Exchange, Refusal } from './refusals';
import { createUnusedConnections } from './unused-connections';

/**
 * How many requests of one connection may wait for their answers. Node begins all that it has read at once, and keeps the
 * answers of a client that does not take them.
 */
const MOST_AT_ONCE = 100;
const CLOSE_IDLE_EVERY_MS = 50;
/** On a connection that is idle a request may be on its way: it is still answered, and told to be the last one. */
const LINGER_MS = 1_000;

const USUAL = {
  /** For the headers and for the whole of a request, from its first byte on. Bodies are 10 kB at most. */
  headersMs: 5_000,
  requestMs: 10_000,
  checkEveryMs: 1_000,
  /** A connection on which nothing moves while a request is in flight. Longer than any answer takes to be made. */
  noProgressMs: 30_000,
  /** A connection between two requests: above the idle time of proxies, so that they never meet a closed one. */
  keepAliveMs: 620_000,
  /** The same while there are more connections than `mostKeptLong`: an idle one takes some 12 kB of memory. */
  shortKeepAliveMs: 65_000,
  mostKeptLong: 5_000,
  /** Connections without a first byte that may be open: with more, none may wait for longer than `headersMs`. */
  mostUnused: 100,
};
/** How long a client may take, and how many of them for long. `firstByteMs`: a connection before its first byte. */
export type Bounds = Readonly<typeof USUAL & { firstByteMs: number }>;
const LEAST_FIRST_BYTE_MS = 60_000;

export interface HttpServer {
  /** Listens; resolves to where. Rejects when the port is taken. */
  start(): Promise<AddressInfo>;
  /** Resolves when the requests in flight are answered; a moment after the call it accepts nothing new. */
  stop(): Promise<void>;
}

/** An HTTP server that slow or idle clients cannot exhaust. Bounds that are not given are the usual ones. */
export function createHttpServer(
  handler: RequestListener,
  listenOn: { host: string | undefined; port: number },
  given: Partial<Bounds> = {},
  onRefused: (refusal: Refusal) => void = () => {},
): HttpServer {
  const keepAliveMs = given.keepAliveMs ?? USUAL.keepAliveMs;
  const firstByteMs = Math.max(keepAliveMs, LEAST_FIRST_BYTE_MS);
  const bounds: Bounds = { ...USUAL, keepAliveMs, firstByteMs, ...given };
  const unused = createUnusedConnections({ ...bounds, most: bounds.mostUnused });
  const inFlight = createInFlight();

  const server = createServer({
    requestTimeout: bounds.requestMs,
    headersTimeout: bounds.headersMs,
    connectionsCheckingInterval: bounds.checkEveryMs,
    maxHeaderSize: 16 * 1024,
    // Finds out which of the idle ones have nobody at the other end.
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    // Left to the handler, which answers with a problem.
    requireHostHeader: false,
  });
  // Nothing else ends a connection whose answers are never read. One that is read slowly goes on: it is looked at twice.
  server.timeout = bounds.noProgressMs;

  let open = 0;
  server.on('connection', (socket) => {
    unused.opened(socket);
    count(+1);
    socket.once('close', () => count(-1));
  });

  function count(change: number): void {
    open += change;
    const { keepAliveMs, shortKeepAliveMs, mostKeptLong } = bounds;
    // Node looks at it with each answer.
    server.keepAliveTimeout = open > mostKeptLong ? Math.min(keepAliveMs, shortKeepAliveMs) : keepAliveMs;
  }

  const listener: RequestListener = (req, res) => {
    if (unused.used(req.socket)) req.socket.setTimeout(bounds.noProgressMs);
    if (inFlight.add({ req, res })) handler(req, res);
    else req.socket.destroy();
  };
  server.on('request', listener).on('checkExpectation', listener);
  refuseAsProblems(server, { inFlight: inFlight.of, onRefused });

  return {
    start: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(listenOn.port, listenOn.host, () => {
          server.off('error', reject);
          resolve(server.address() as AddressInfo);
        });
      }),
    async stop() {
      // Until then also new connections are served: a proxy may not know yet that this one is to end.
      if (open > 0) await setTimeout(LINGER_MS);
      // Those that are busy are ended when they become idle.
      const whenIdle = setInterval(() => {
        server.closeIdleConnections();
        unused.end();
      }, CLOSE_IDLE_EVERY_MS);
      await new Promise((resolve) => server.close(resolve));
      clearInterval(whenIdle);
    },
  };
}

/** What is in flight on each connection. */
function createInFlight() {
  const all = new WeakMap<Socket, Set<Exchange>>();
  const of = (socket: Socket): ReadonlySet<Exchange> => all.get(socket) ?? new Set();

  /** False where it is one too many: what was read together with that one still comes by. */
  function add(exchange: Exchange): boolean {
    const { req, res } = exchange;
    const { socket } = req;
    const exchanges = all.get(socket) ?? new Set();
    if (exchanges.size >= MOST_AT_ONCE || socket.destroyed) return false;
    all.set(socket, exchanges.add(exchange));
    const remove = () => exchanges.delete(exchange);
    res.once('close', () => (req.complete ? remove() : req.once('close', remove)));
    return true;
  }

  return { add, of };
}
