import type { Socket } from 'node:net';

export interface UnusedConnections {
  /** To be told of every new connection. */
  opened(socket: Socket): void;
  /** To be told of every request; true for the first one of its connection. */
  used(socket: Socket): boolean;
  /** Ends those on which nothing came; also the others, once a request has had its time since the first call. */
  end(): void;
}

/**
 * Connections without a request yet. Proxies open some ahead, and send a request on one much later: each may wait for
 * `firstByteMs`. Where there are more than `most` at once, none may wait for longer than the headers of a request could take.
 */
export function createUnusedConnections(bounds: {
  readonly firstByteMs: number;
  readonly headersMs: number;
  readonly most: number;
}): UnusedConnections {
  const unused = new Set<Socket>();
  /** Those of them that may wait for longer. */
  const patient = new Set<Socket>();
  let endedSince: number | undefined;

  function used(socket: Socket): boolean {
    patient.delete(socket);
    return unused.delete(socket);
  }

  return {
    opened(socket) {
      unused.add(socket);
      patient.add(socket);
      socket.once('close', () => used(socket));
      socket.setTimeout(bounds.firstByteMs);
      if (unused.size <= bounds.most) return;
      for (const one of patient) one.setTimeout(bounds.headersMs);
      patient.clear();
    },
    used,
    end() {
      endedSince ??= performance.now();
      const isOver = performance.now() - endedSince > bounds.headersMs;
      for (const socket of unused) if (isOver || socket.bytesRead === 0) socket.destroy();
    },
  };
}
