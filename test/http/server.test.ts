import { once } from 'node:events';
import { Agent, request, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Refusal } from '../../src/http/refusals';
import { createHttpServer, type Bounds, type HttpServer } from '../../src/http/server';
import { exchange, open } from '../hostile/wire';
import { eventually } from '../support/eventually';
import { BASE_PATH, createTestApp, tokenOf } from '../support/http-app';

const HERE = { host: '127.0.0.1', port: 0, basePath: BASE_PATH };

describe('a server that is stopped', () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let client: Socket | undefined;
  afterEach(() => {
    agent.destroy();
    client?.destroy();
  });

  async function start(handler: RequestListener, bounds: Partial<Bounds> = {}) {
    const server = createHttpServer(handler, HERE, bounds);
    const { port }: AddressInfo = await server.start();
    const get = async (): Promise<IncomingMessage> => {
      const [response] = (await once(request({ port, agent }).end(), 'response')) as [IncomingMessage];
      response.resume();
      await once(response, 'end');
      return response;
    };
    return { server, get, port };
  }

  it('still answers what comes on a connection that was kept, and ends', async () => {
    const { server, get } = await start((_, res) => void res.end());
    await get();
    const stopped = server.stop();
    expect((await get()).statusCode).toBe(200);
    await stopped;
    await expect(get()).rejects.toThrow();
  });

  it('takes no new connection from then on', async () => {
    const { server, get, port } = await start((_, res) => void res.end());
    await get();
    const stopped = server.stop();
    const refused = await once(request({ port }).end(), 'error');
    expect(refused).toEqual([expect.objectContaining({ code: 'ECONNREFUSED' })]);
    expect((await get()).statusCode).toBe(200);
    await stopped;
  });

  it.each([
    ['body', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf'],
    ['headers', 'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost:'],
  ])('waits no longer than a request may take for a client that does not end its %s', async (_, bytes) => {
    let taken = (): void => {};
    const begun = new Promise<void>((resolve) => (taken = resolve));
    const limits = { headersMs: 200, requestMs: 200, checkEveryMs: 20, noProgressMs: 600_000 };
    const { server, port } = await start((req, res) => {
      if (req.method === 'GET') res.end();
      taken();
    }, limits);
    client = connect(port, '127.0.0.1').on('error', () => {});
    client.write(bytes);
    await begun;
    await server.stop();
  });

  it('finishes what it has in flight', async () => {
    let finish = (): void => {};
    let taken = (): void => {};
    const inFlight = new Promise<void>((resolve) => (taken = resolve));
    const { server, get } = await start((_, res) => {
      finish = () => void res.end();
      taken();
    });
    const answered = get();
    await inFlight;
    const stopped = server.stop();
    finish();
    expect((await answered).statusCode).toBe(200);
    await stopped;
  });
});

describe('a client that does not read its answer', () => {
  const LARGE = Buffer.alloc(32 * 1024 * 1024);

  it('is cut off also on a connection that was good before', async () => {
    let cutOff: Promise<unknown> | undefined;
    const handler: RequestListener = ({ url, socket }, res) => {
      if (url === '/') return void res.end();
      cutOff = once(socket, 'close');
      res.end(LARGE);
    };
    const server = createHttpServer(handler, HERE, soon);
    const client = await connectTo((await server.start()).port);
    await client.ask();

    client.socket.pause();
    client.socket.write('GET /large HTTP/1.1\r\nHost: orders\r\n\r\n');
    await eventually(() => expect(cutOff).toBeDefined());

    await cutOff;
    await stopAlone(server);
  });
});

const clients: Socket[] = [];

/** Without connections a stop need not wait. */
async function stopAlone(server: HttpServer | undefined): Promise<void> {
  clients.splice(0).forEach((socket) => socket.destroy());
  await server?.stop();
}

/** A connection, and all that came over it. */
async function connectTo(port: number) {
  const socket = await open(port);
  clients.push(socket);
  let received = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (received += chunk));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  return {
    socket,
    closed,
    received: () => received,
    statuses: () => [...received.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status)),
    async dripUntilClosed(piece: string): Promise<void> {
      const drip = setInterval(() => socket.writable && socket.write(piece), 20);
      await closed;
      clearInterval(drip);
    },
    /** Sends one request and waits for the answer to it. */
    async ask(): Promise<string> {
      const before = received.length;
      socket.write(REQUEST);
      await eventually(() => expect(received.slice(before)).toContain('\r\n\r\n'));
      return received.slice(before);
    },
  };
}

const REQUEST = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n';
const HALF_A_REQUEST = 'GET / HTTP/1.1\r\nHost: orders\r\nX-Slow: ';

/** As in production, but sooner. */
const soon = { headersMs: 200, requestMs: 300, checkEveryMs: 20, noProgressMs: 100 };

describe('a connection', () => {
  let server: HttpServer | undefined;
  afterEach(() => stopAlone(server));

  async function start(
    bounds: Parameters<typeof createHttpServer>[2],
    handler: RequestListener = (_, res) => void res.end(),
  ) {
    server = createHttpServer(handler, HERE, bounds);
    const { port } = await server.start();
    return { port, connect: () => connectTo(port) };
  }

  /** When this resolves, all that was open before has been idle for longer than a request may take. */
  async function outlive(running: Pick<Awaited<ReturnType<typeof start>>, 'connect'>): Promise<void> {
    const slow = await running.connect();
    slow.socket.write(HALF_A_REQUEST);
    await slow.closed;
    // On a busy machine the service may get its bytes only when its time for them is over, and closes it without an answer.
    if (slow.statuses().length === 0) return outlive(running);
    expect(slow.statuses()).toEqual([408]);
  }

  describe('without a request yet', () => {
    it('is kept for longer than a request may take, and its request is then answered', async () => {
      const running = await start({ ...soon, keepAliveMs: 10 });
      const unused = await running.connect();

      await outlive(running);

      expect(unused.received()).toBe('');
      expect(await unused.ask()).toContain('HTTP/1.1 200');
    });

    it('has no more time than any other from its first byte on, however late that comes', async () => {
      const running = await start(soon);
      const unused = await running.connect();
      await outlive(running);

      unused.socket.write(HALF_A_REQUEST);
      await unused.dripUntilClosed('x');

      expect(unused.statuses()).toEqual([408]);
    });

    it('has no more time for line ends, which are no request', async () => {
      const running = await start({ ...soon, firstByteMs: 60_000 });
      const unused = await running.connect();
      await outlive(running);

      await unused.dripUntilClosed('\r\n');

      expect(unused.statuses()).toEqual([]);
    });

    it('is ended without a word when it was never used', async () => {
      const { connect } = await start({ ...soon, firstByteMs: 50 });
      const unused = await connect();

      await unused.closed;

      expect(unused.received()).toBe('');
    });

    it('is one of 100 that are kept; where there are more, none has more time than a request', async () => {
      const running = await start(soon);
      const many = await Promise.all(Array.from({ length: 99 }, running.connect));
      await outlive(running);
      expect(many.filter(({ socket }) => socket.closed)).toEqual([]);

      const more = await Promise.all([running.connect(), running.connect()]);
      await Promise.all([...many, ...more].map(({ closed }) => closed));

      expect([...many, ...more].map(({ received }) => received()).join('')).toBe('');
      const later = await running.connect();
      await outlive(running);
      expect(await later.ask()).toContain('HTTP/1.1 200');
    });

    it('has no more time because others are opened meanwhile', async () => {
      const { connect } = await start({ ...soon, mostUnused: 1 });
      const unused = await connect();
      const opening = setInterval(() => void connect().catch(() => {}), 50);

      await unused.closed;
      clearInterval(opening);

      expect(unused.received()).toBe('');
    });

    it('does not hold up a stop, however much time a request has', async () => {
      const { connect } = await start({ headersMs: 60_000, requestMs: 60_000 });
      const unused = await connect();

      await server?.stop();

      await unused.closed;
      expect(unused.received()).toBe('');
    });

    it('does not hold up a stop when line ends came over it', async () => {
      const running = await start(soon);
      const unused = await running.connect();
      await outlive(running);
      unused.socket.write('\r\n');

      await server?.stop();

      await unused.closed;
      expect(unused.received()).toBe('');
    });
  });

  describe('between two requests', () => {
    it('is kept for longer than a request may take, and than nothing may move', async () => {
      const running = await start(soon);
      const kept = await running.connect();
      await kept.ask();

      await outlive(running);

      expect(await kept.ask()).toContain('HTTP/1.1 200');
    });

    it('has no more time for its next request than for the first', async () => {
      const { connect } = await start(soon);
      const kept = await connect();
      await kept.ask();

      kept.socket.write(HALF_A_REQUEST);
      await kept.dripUntilClosed('x');

      expect(kept.statuses()).toEqual([200, 408]);
    });

    it('is told how long it is kept: ten minutes and some more, unless set otherwise', async () => {
      const usual = await (await start({})).connect();
      expect(await usual.ask()).toContain('Keep-Alive: timeout=620\r\n');
      await stopAlone(server);

      const other = await (await start({ keepAliveMs: 7_000 })).connect();
      expect(await other.ask()).toContain('Keep-Alive: timeout=7\r\n');
    });

    it('is ended after that', async () => {
      const { connect } = await start({ keepAliveMs: 10 });
      const kept = await connect();
      await kept.ask();

      await kept.closed;

      expect(kept.statuses()).toEqual([200]);
    });

    it('is kept for a minute only while there are very many', async () => {
      const { connect } = await start({ mostKeptLong: 2 });
      const [one, two, three] = [await connect(), await connect(), await connect()];

      expect(await one.ask()).toContain('Keep-Alive: timeout=65\r\n');
      three.socket.destroy();
      await eventually(async () => expect(await two.ask()).toContain('Keep-Alive: timeout=620\r\n'));
    });

    it('is kept for no longer than it is set to, however many there are', async () => {
      const { connect } = await start({ mostKeptLong: 0, keepAliveMs: 7_000 });

      expect(await (await connect()).ask()).toContain('Keep-Alive: timeout=7\r\n');
    });

    it('may have had any number of requests, one after the other', async () => {
      const { port } = await start({});
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const sockets = new Set<unknown>();
      for (let i = 0; i < 150; i += 1) {
        const [response] = (await once(request({ port, agent }).end(), 'response')) as [IncomingMessage];
        sockets.add(response.socket);
        await once(response.resume(), 'end');
      }
      agent.destroy();

      expect(sockets.size).toBe(1);
    });
  });

  describe('that asks for much at once', () => {
    const asking = async (count: number) => {
      let asked = 0;
      const answers: ServerResponse[] = [];
      const { connect } = await start({}, (_, res) => {
        asked += 1;
        answers.push(res);
      });
      const client = await connect();
      client.socket.write(REQUEST.repeat(count));
      return { client, answers, asked: () => asked };
    };

    it('gets 100 answers', async () => {
      const { client, answers } = await asking(100);
      await eventually(() => expect(answers).toHaveLength(100));

      answers.forEach((answer) => answer.end());

      await eventually(() => expect(client.statuses()).toHaveLength(100));
    });

    it('is asked no more once it is cut off', async () => {
      const { connect } = await start({}, (req) => {
        asked += 1;
        req.socket.destroy();
      });
      let asked = 0;
      const client = await connect();

      client.socket.write(REQUEST.repeat(2));
      await client.closed;

      expect(asked).toBe(1);
    });

    it('is cut off with one more, and that one is not begun', async () => {
      const { client, asked } = await asking(101);

      await client.closed;

      expect(asked()).toBe(100);
      expect(client.received()).toBe('');
    });
  });
});

describe('what Node would refuse by itself', () => {
  const refusals: Refusal[] = [];
  let server: HttpServer;
  let port: number;
  beforeAll(async () => {
    const { app } = createTestApp();
    const refuse = (refusal: Refusal) => void refusals.push(refusal);
    const bounds = { ...soon, noProgressMs: 10_000 };
    server = createHttpServer(app, HERE, bounds, refuse);
    ({ port } = await server.start());
  });
  afterAll(() => stopAlone(server));
  beforeEach(() => void (refusals.length = 0));

  const head = (...lines: string[]) =>
    [`POST ${BASE_PATH} HTTP/1.1`, 'Host: orders', ...lines, '', ''].join('\r\n');
  const signedIn = `Authorization: Bearer ${tokenOf()}`;
  const CHUNKED = 'Transfer-Encoding: chunked';
  const chunked = head(CHUNKED, 'Content-Type: application/json', signedIn);

  /** By Node's name of what is wrong; null where the handler sees the request. */
  const cases: [string, number, string | null, string][] = [
    ['nonsense', 400, 'HPE_INVALID_METHOD', 'nonsense\r\n\r\n'],
    ['TLS', 400, 'HPE_INVALID_METHOD', '\x16\x03\x01\x00\xa5\x01'],
    ['another version', 400, 'HPE_INVALID_VERSION', 'GET / HTTP/7.7\r\nHost: orders\r\n\r\n'],
    ['two lengths', 400, 'HPE_UNEXPECTED_CONTENT_LENGTH', head('Content-Length: 1', 'Content-Length: 2')],
    ['a length and chunks', 400, 'HPE_INVALID_TRANSFER_ENCODING', head('Content-Length: 5', CHUNKED)],
    ['a length that is no number', 400, 'HPE_INVALID_CONTENT_LENGTH', head('Content-Length: -1')],
    ['a name with a space', 400, 'HPE_INVALID_HEADER_TOKEN', head('X Y: z')],
    ['a name that is folded', 400, 'HPE_INVALID_HEADER_TOKEN', head('X-A: 1', ' b: 2')],
    [
      'too many headers',
      431,
      'HPE_HEADER_OVERFLOW',
      head(...Array.from({ length: 5_000 }, (_, i) => `X-${i}: ${i}`)),
    ],
    ['a chunk that is none', 400, 'HPE_INVALID_CHUNK_SIZE', `${chunked}zz\r\n`],
    ['headers of more than 16 kB', 431, 'HPE_HEADER_OVERFLOW', head(`X-Large: ${'x'.repeat(16 * 1024)}`)],
    [
      'chunk extensions of more than 16 kB',
      413,
      'HPE_CHUNK_EXTENSIONS_OVERFLOW',
      `${chunked}1;${'x'.repeat(17 * 1024)}`,
    ],
    ['a tunnel', 405, 'CONNECT', 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n'],
    ['a body that does not end', 408, 'ERR_HTTP_REQUEST_TIMEOUT', chunked],
    ['headers that do not end', 408, 'ERR_HTTP_REQUEST_TIMEOUT', HALF_A_REQUEST],
    ['a request without Host', 400, null, 'GET / HTTP/1.1\r\n\r\n'],
    ['what cannot be expected', 417, null, head('Expect: a-miracle', 'Connection: close')],
  ];

  it.each(cases)('is a problem document: %s', async (_, status, code, bytes) => {
    const { answers } = await exchange(port, { bytes: Buffer.from(bytes, 'latin1') }, 10_000);

    expect(answers).toMatchObject([
      {
        status,
        headers: {
          'content-type': 'application/problem+json; charset=utf-8',
          'cache-control': 'no-store',
          'x-content-type-options': 'nosniff',
          connection: 'close',
          'x-request-id': expect.stringMatching(/^[\w-]{36}$/) as unknown,
        },
      },
    ]);
    const { headers, body = '' } = answers[0] ?? {};
    const requestId = headers?.['x-request-id'];
    expect(JSON.parse(body)).toMatchObject({
      type: expect.stringMatching(/^\/api\/v1\/orders\/problems\/[a-z-]+$/) as unknown,
      title: expect.any(String) as unknown,
      status,
      instance: `urn:request:${requestId}`,
      errors: [{ message: expect.any(String) as unknown }],
    });
    expect(refusals).toEqual(code === null ? [] : [{ requestId, status, code }]);
  });

  it('is one also where the client ends in the middle of its headers', async () => {
    const bytes = Buffer.from(HALF_A_REQUEST);

    const { answers } = await exchange(port, { bytes, end: true }, 10_000);

    expect(answers).toMatchObject([{ status: 400 }]);
    expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject({ status: 400 });
  });

  it('is nothing to a client that is gone', async () => {
    const client = await connectTo(port);
    client.socket.write(HALF_A_REQUEST);
    client.socket.resetAndDestroy();
    const other = await connectTo(port);
    other.socket.write(HALF_A_REQUEST);

    await other.closed;

    expect(refusals.at(-1)).toMatchObject({ status: 408 });
  });

  it('is no answer to an expectation that HTTP/1.0 does not know, and 100-continue is one', async () => {
    const old = 'GET /livez HTTP/1.0\r\nExpect: a-miracle\r\n\r\n';
    const now = 'GET /livez HTTP/1.1\r\nHost: orders\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n';

    for (const bytes of [old, now].map((text) => Buffer.from(text))) {
      expect((await exchange(port, { bytes }, 10_000)).answers).toMatchObject([{ status: 200 }]);
    }
  });
});

describe('a refusal', () => {
  const BROKEN = 'nonsense\r\n\r\n';
  const broken = 'POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n';
  let server: HttpServer | undefined;
  afterEach(() => stopAlone(server));

  async function start(handler: (res: ServerResponse, req: IncomingMessage) => void) {
    server = createHttpServer((req, res) => handler(res, req), HERE, soon);
    const { port } = await server.start();
    return connectTo(port);
  }

  it('comes after the answers to what was asked before', async () => {
    const answers: ServerResponse[] = [];
    const client = await start((res) => answers.push(res));

    client.socket.write(REQUEST + REQUEST + BROKEN);
    await eventually(() => expect(answers).toHaveLength(2));
    answers.reverse().forEach((answer) => answer.end());
    await client.closed;

    expect(client.statuses()).toEqual([200, 200, 400]);
  });

  it('comes in place of the answer that the broken request did not get yet', async () => {
    const client = await start(() => {});

    client.socket.write(`${broken}zz\r\n`);
    await client.closed;

    expect(client.statuses()).toEqual([400]);
  });

  it('is not put behind the answer that the broken request has got already', async () => {
    const client = await start((res) => void res.writeHead(401).end());

    client.socket.write(broken);
    await eventually(() => expect(client.statuses()).toEqual([401]));
    client.socket.write('zz\r\n');
    await client.closed;

    expect(client.statuses()).toEqual([401]);
  });

  it('is not even tried where the connection is cut off', async () => {
    const refusals: Refusal[] = [];
    const refuse = (refusal: Refusal) => void refusals.push(refusal);
    const cutOff: RequestListener = ({ socket }) => void socket.destroy();
    server = createHttpServer(cutOff, HERE, soon, refuse);
    const client = await connectTo((await server.start()).port);

    client.socket.write(REQUEST + BROKEN);
    await client.closed;

    expect(refusals).toEqual([]);
  });

  it('of a tunnel is none while something else is asked', async () => {
    const client = await start(() => {});

    client.socket.write(`${REQUEST}CONNECT other:443 HTTP/1.1\r\nHost: other\r\n\r\n`);
    await client.closed;

    expect(client.received()).toBe('');
  });

  it('is not put into the middle of an answer', async () => {
    const client = await start((res) => void res.writeHead(200, { 'Content-Length': 10 }).write('half'));

    client.socket.write(broken);
    await eventually(() => expect(client.received()).toMatch(/half$/));
    client.socket.write('zz\r\n');
    await client.closed;

    expect(client.received()).toMatch(/half$/);
  });

  it('does not wait for a client that sends on and reads nothing', async () => {
    const client = await start((res) => void res.end(Buffer.alloc(32 * 1024 * 1024)));
    client.socket.pause();
    client.socket.write(REQUEST + BROKEN);
    const more = setInterval(() => client.socket.writable && client.socket.write(BROKEN), 20);

    await once(
      client.socket.on('error', () => {}),
      'error',
    ).catch(() => {});
    clearInterval(more);
  });
});
