import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A TCP proxy in front of one server, for one of its clients: the wire between them, and what befalls it. */
export type Link = Awaited<ReturnType<typeof startLink>>;

export async function startLink(name: string, targetPort: number) {
  const clients = new Set<Socket>();
  const held = new Set<() => void>();
  let holding = false;
  let delayMs = 0;
  let swallowing = false;

  const server = createServer((client) => {
    clients.add(client);
    client.on('close', () => clients.delete(client));
    client.on('error', () => client.destroy());
    // Not read before it is joined: what comes meanwhile waits in the kernel.
    whenOpen(() => {
      if (!client.destroyed) join(client, connect(targetPort, '127.0.0.1'));
    });
  });

  function join(client: Socket, target: Socket): void {
    client.setNoDelay(true);
    target.setNoDelay(true);
    pass(client, target, () => false);
    pass(target, client, () => {
      const swallow = swallowing;
      swallowing = false;
      return swallow;
    });
    target.on('error', () => client.destroy());
    // Ended, not destroyed: what was held back is still delivered, though nobody waits for the answer any more.
    client.on('close', () => whenOpen(() => target.end()));
    target.on('close', () => whenOpen(() => client.end()));
  }

  function pass(from: Socket, to: Socket, isSwallowed: () => boolean): void {
    /** Pieces never overtake each other, however long each is delayed. */
    const onTheWay: { readonly due: number; readonly arrive: () => void }[] = [];

    from.on('data', (chunk) => {
      if (isSwallowed()) {
        from.destroy();
        to.destroy();
        return;
      }
      send(() => {
        if (to.write(chunk)) return;
        from.pause();
        to.once('drain', () => from.resume());
      });
    });
    from.on('end', () => send(() => to.end()));

    function send(arrive: () => void): void {
      onTheWay.push({ due: performance.now() + delayMs, arrive });
      if (onTheWay.length === 1) arriveWhenDue();
    }

    function arriveWhenDue(): void {
      const [first] = onTheWay;
      if (!first) return;
      const early = first.due - performance.now();
      if (early > 0) {
        setTimeout(arriveWhenDue, early);
        return;
      }
      whenOpen(() => {
        onTheWay.shift();
        if (!to.destroyed) first.arrive();
        arriveWhenDue();
      });
    }
  }

  function whenOpen(task: () => void): void {
    if (holding) held.add(task);
    else task();
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  function cut(): void {
    for (const client of clients) client.destroy();
  }

  return {
    name,
    port: (server.address() as AddressInfo).port,
    /** Ends all connections; new ones are taken. */
    cut,
    /**
     * Holds back everything, of new connections too, and without a word: to both ends the other has gone silent. What
     * was held back is delivered when it is over, however late that is.
     */
    blackHole(): () => void {
      holding = true;
      return () => {
        holding = false;
        const tasks = [...held];
        held.clear();
        for (const task of tasks) task();
      };
    },
    /** Delays every piece of data, in both directions. */
    delay(ms: number): () => void {
      delayMs = ms;
      return () => void (delayMs = 0);
    },
    /** The next answer of the server is lost, and its connection with it. */
    swallowAnswer: () => void (swallowing = true),
    async close(): Promise<void> {
      const closed = once(server, 'close');
      server.close();
      holding = false;
      held.clear();
      cut();
      await closed;
    },
  };
}
