import { createServer, type RequestListener } from 'node:http';
import { createServer as createListener, type AddressInfo, type Socket } from 'node:net';
import { refuseAsProblems, type Exchange, type Refusal } from './refusals';
import { createUnusedConnections } from './unused-connections';
import { LONGEST_WAIT_SECONDS } from './validation';

/**
 * How many requests of one connection may be in flight. Node starts all that it has read at once, and keeps the answers
 * of a client that does not read them.
 */
const MOST_AT_ONCE = 100;
const CLOSE_IDLE_EVERY_MS = 50;
/** A request may be on its way on an idle connection: it is still answered, with `Connection: close`. */
const LINGER_MS = 1_000;

const USUAL = {
  /** For the headers and for the whole of a request, from its first byte on. Bodies are 10 kB at most. */
  headersMs: 5_000,
  requestMs: 10_000,
  checkEveryMs: 1_000,
  /** A connection without traffic while a request is in flight. Longer than any answer takes, also one that waits. */
  noProgressMs: (LONGEST_WAIT_SECONDS + 15) * 1_000,
  /** A connection between two requests: above the idle timeout of proxies, so that they never use a closed one. */
  keepAliveMs: 620_000,
  /** The same while there are more connections than `mostKeptLong`: an idle one takes some 12 kB of memory. */
  shortKeepAliveMs: 65_000,
  mostKeptLong: 5_000,
  /** How many connections without a first byte may be open: with more, none may wait longer than `headersMs`. */
  mostUnused: 100,
};
/** The time limits, and how many connections may use the long ones. `firstByteMs`: before the first byte. */
export type Bounds = Readonly<typeof USUAL & { firstByteMs: number }>;
const LEAST_FIRST_BYTE_MS = 60_000;

export interface HttpServer {
  /** Listens; resolves to the address. Rejects when the port is taken. */
  start(): Promise<AddressInfo>;
  /** Accepts no new connections; resolves when the requests in flight are answered. */
  stop(): Promise<void>;
}

/** An HTTP server that slow or idle clients cannot exhaust. Bounds that are not given have their defaults. */
export function createHttpServer(
  handler: RequestListener,
  at: { host: string | undefined; port: number; basePath: string },
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
    // Left to the handler, which answers with a problem.
    requireHostHeader: false,
  });
  // Nothing else ends a connection whose answers are never read. Node keeps one that is read slowly.
  server.timeout = bounds.noProgressMs;
  // It listens in place of the HTTP server, whose own close() ends idle connections at once and checks no time limits
  // any more. The options are those of an HTTP server; keepAlive detects connections whose other end is unreachable.
  const options = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 };
  const listening = createListener(options, (socket) => server.emit('connection', socket));

  let open = 0;
  server.on('connection', (socket) => {
    unused.opened(socket);
    count(+1);
    socket.once('close', () => count(-1));
  });

  function count(change: number): void {
    open += change;
    const { keepAliveMs, shortKeepAliveMs, mostKeptLong } = bounds;
    // Node reads it at each answer.
    server.keepAliveTimeout = open > mostKeptLong ? Math.min(keepAliveMs, shortKeepAliveMs) : keepAliveMs;
  }

  const listener: RequestListener = (req, res) => {
    if (unused.used(req.socket)) req.socket.setTimeout(bounds.noProgressMs);
    if (inFlight.add({ req, res })) handler(req, res);
    else req.socket.destroy();
  };
  server.on('request', listener).on('checkExpectation', listener);
  refuseAsProblems(server, { basePath: at.basePath, inFlight: inFlight.of, onRefused });

  return {
    start: () =>
      new Promise((resolve, reject) => {
        listening.once('error', reject);
        listening.listen(at.port, at.host, () => {
          listening.off('error', reject);
          // From here on Node checks how long requests take.
          server.emit('listening');
          resolve(listening.address() as AddressInfo);
        });
      }),
    stop: () =>
      new Promise((resolve) => {
        let whenIdle: NodeJS.Timeout | undefined;
        const linger = setTimeout(() => {
          // Those that are busy are ended when they become idle.
          whenIdle = setInterval(() => {
            server.closeIdleConnections();
            unused.end();
          }, CLOSE_IDLE_EVERY_MS);
        }, LINGER_MS);
        listening.close(() => {
          clearTimeout(linger);
          clearInterval(whenIdle);
          server.close();
          resolve();
        });
      }),
  };
}

/** The exchanges in flight on each connection. */
function createInFlight() {
  const all = new WeakMap<Socket, Set<Exchange>>();
  const of = (socket: Socket): ReadonlySet<Exchange> => all.get(socket) ?? new Set();

  /** False above the limit: requests that were read together with that one still arrive here. */
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
