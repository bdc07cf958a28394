import type { Socket } from 'node:net';

export interface UnusedConnections {
  /** To be told of every new connection. */
  opened(socket: Socket): void;
  /** To be told of every request; true for the first one of its connection. */
  used(socket: Socket): boolean;
  /** Ends those on which nothing came; also the others, once a request has had its time since the first call. */
  end(): void;
}

interface Wait {
  /** By performance.now(). */
  until: number;
  hasBegun: boolean;
}

/**
 * Connections without a request yet. Proxies open some ahead, and send a request on one much later: each may wait for
 * `firstByteMs`. Where there are more than `most` at once, none may wait for longer than the headers of a request could take,
 * and none may after its first byte: Node counts from the first byte of a request on, and skips line ends before it.
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

  /** Nothing that comes over a connection moves its end, as it would move a timeout of the socket. */
  function check(): void {
    const now = performance.now();
    for (const [socket, wait] of unused) {
      if (!wait.hasBegun && socket.bytesRead > 0) {
        wait.hasBegun = true;
        // After Node's own end of it, which sends an answer.
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
      // Not the server's: that one is for connections with a request.
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
