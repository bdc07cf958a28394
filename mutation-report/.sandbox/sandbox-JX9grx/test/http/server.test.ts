import { once } from 'node:events';
import { Agent, request } from 'node:http';
import type { IncomingMessage, RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHttpServer } from '../../src/http/server';

describe('a server that is stopped', () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  afterEach(() => agent.destroy());

  async function start(handler: RequestListener) {
    const server = createHttpServer(handler, { host: '127.0.0.1', port: 0 });
    const { port }: AddressInfo = await server.start();
    const get = async (): Promise<IncomingMessage> => {
      const [response] = (await once(request({ port, agent }).end(), 'response')) as [IncomingMessage];
      response.resume();
      await once(response, 'end');
      return response;
    };
    return { server, get };
  }

  it('still answers what comes on a connection that was kept, and ends', async () => {
    const { server, get } = await start((_, res) => void res.end());
    await get();
    const stopped = server.stop();
    expect((await get()).statusCode).toBe(200);
    await stopped;
    await expect(get()).rejects.toThrow();
  });

  it('finishes what it has in hand', async () => {
    let finish = (): void => {};
    let taken = (): void => {};
    const inHand = new Promise<void>((resolve) => (taken = resolve));
    const { server, get } = await start((_, res) => {
      finish = () => void res.end();
      taken();
    });
    const answered = get();
    await inHand;
    const stopped = server.stop();
    finish();
    expect((await answered).statusCode).toBe(200);
    await stopped;
  });
});

describe('a client that does not read its answer', () => {
  const LARGE = Buffer.alloc(32 * 1024 * 1024);

  it('is cut off when it takes nothing for long', async () => {
    let cutOff = new Promise<unknown>(() => {});
    const server = createHttpServer(
      (req, res) => {
        cutOff = once(req.socket, 'close');
        res.end(LARGE);
      },
      { host: '127.0.0.1', port: 0 },
      { noProgressMs: 500 },
    );
    const { port } = await server.start();
    const [response] = (await once(request({ port }).end(), 'response')) as [IncomingMessage];
    response.on('error', () => {});

    await cutOff;

    response.destroy();
    await server.stop();
  });
});
