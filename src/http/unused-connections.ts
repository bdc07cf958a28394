import type { Socket } from 'node:net';

export interface UnusedConnections {
  /** Call for every new connection. */
  opened(socket: Socket): void;
  /** Call for every request; true for the first one of its connection. */
  used(socket: Socket): boolean;
  /** Closes those that sent nothing; the others too, once `headersMs` have passed since the first call. */
  end(): void;
}

interface Wait {
  /** By performance.now(). */
  until: number;
  hasBegun: boolean;
}

/**
 * Connections without a request yet. Proxies open some ahead and send a request much later: each may wait for
 * `firstByteMs`. With more than `most` at once, none may wait longer than `headersMs`. Nor may any after its first
 * byte: Node's timeouts start at the first byte of a request, and Node skips line ends before it.
 */
export function createUnusedConnections(bounds: {
  readonly firstByteMs: number;
  readonly headersMs: number;
  readonly checkEveryMs: number;
  readonly most: number;
}): UnusedConnections {
  const unused = new Map<Socket, Wait>();
  let checking: NodeJS.Timeout | undefined;
  let endedSince: number | undefined;

  /** Data on a connection does not extend its time, as it would extend a timeout of the socket. */
  function check(): void {
    const now = performance.now();
    for (const [socket, wait] of unused) {
      if (!wait.hasBegun && socket.bytesRead > 0) {
        wait.hasBegun = true;
        // Later than Node's own timeout, which sends an answer.
        wait.until = now + bounds.headersMs + 2 * bounds.checkEveryMs;
      }
      if (now > wait.until) socket.destroy();
    }
  }

  function used(socket: Socket): boolean {
    const wasUnused = unused.delete(socket);
    if (unused.size === 0) {
      clearInterval(checking);
      checking = undefined;
    }
    return wasUnused;
  }

  return {
    opened(socket) {
      const now = performance.now();
      unused.set(socket, { until: now + bounds.firstByteMs, hasBegun: false });
      checking ??= setInterval(check, bounds.checkEveryMs).unref();
      socket.once('close', () => used(socket));
      // Switches off the server's timeout, which is for connections with a request.
      socket.setTimeout(0);
      if (unused.size <= bounds.most) return;
      for (const wait of unused.values()) {
        if (!wait.hasBegun) wait.until = Math.min(wait.until, now + bounds.headersMs);
      }
    },
    used,
    end() {
      endedSince ??= performance.now();
      const isOver = performance.now() - endedSince > bounds.headersMs;
      for (const socket of unused.keys()) if (isOver || socket.bytesRead === 0) socket.destroy();
    },
  };
}
