import { createSecretKey } from 'node:crypto';
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import jwt from 'jsonwebtoken';
import { createHttpServer } from '../../src/http/server';
import { createTokenVerifier } from '../../src/http/tokens';
import { eventually } from '../support/eventually';

describe('a connection', () => {
  const cleanUp: (() => unknown)[] = [];
  afterEach(async () => {
    for (const task of cleanUp.splice(0).reverse()) await task();
  });

  async function open(handler: RequestListener): Promise<Socket> {
    const server = createHttpServer(handler, { host: '127.0.0.1', port: 0 });
    const { port } = await server.start();
    cleanUp.push(() => server.stop());
    const socket = connect(port, '127.0.0.1');
    cleanUp.push(() => socket.destroy());
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  }

  const requests = (count: number) => 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n'.repeat(count);
  const answersIn = (text: string) => text.split('HTTP/1.1 200 OK').length - 1;

  function received(socket: Socket): () => string {
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
    return () => text;
  }

  it('may have 100 requests waiting for their answers', async () => {
    const answers: (() => void)[] = [];
    const socket = await open((_req, res) => void answers.push(() => res.end()));
    const text = received(socket);
    socket.write(requests(100));
    await eventually(() => expect(answers).toHaveLength(100));

    for (const answer of answers) answer();

    await eventually(() => expect(answersIn(text())).toBe(100));
  });

  it('is cut off with one more, and that one is not looked at', async () => {
    let begun = 0;
    const socket = await open(() => void (begun += 1));
    received(socket);
    socket.write(requests(101));
    await once(socket, 'close');
    expect(begun).toBe(100);
  });

  it('may have any number of them one after the other', async () => {
    const socket = await open((_req, res) => void res.end());
    const text = received(socket);
    for (let round = 1; round <= 3; round += 1) {
      socket.write(requests(60));
      await eventually(() => expect(answersIn(text())).toBe(60 * round));
    }
  });
});

describe('tokens that were verified', () => {
  const key = createSecretKey(Buffer.from('a key of the tests, long enough for HS256'));

  function setUp() {
    const verify = createTokenVerifier({
      keys: [key],
      now: () => new Date('2026-01-01T00:00:00Z'),
    });
    const verifications = jest.spyOn(jwt, 'verify');
    const tokenOf = (userId: string, more: object = {}) =>
      jwt.sign({ id: userId, email: 'e', iat: 1, ...more }, key, { algorithm: 'HS256' });
    /** How often the signature was looked at meanwhile. */
    const looksDuring = (use: () => void) => {
      verifications.mockClear();
      use();
      return verifications.mock.calls.length;
    };
    return { verify, tokenOf, looksDuring };
  }

  afterEach(() => jest.restoreAllMocks());

  it('are remembered, but no more than 10,000 of them: the one that was not used for the longest is forgotten', () => {
    const { verify, tokenOf, looksDuring } = setUp();
    const tokens = Array.from({ length: 10_000 }, (_, i) => tokenOf(`user-${i}`));
    expect(looksDuring(() => tokens.forEach(verify))).toBe(10_000);
    expect(looksDuring(() => tokens.forEach(verify))).toBe(0);

    expect(looksDuring(() => verify(tokenOf('one more')))).toBe(1);

    expect(looksDuring(() => verify(tokens[1]!))).toBe(0);
    expect(looksDuring(() => verify(tokens[0]!))).toBe(1);
  }, 60_000);

  it('are not remembered where they are long', () => {
    const { verify, tokenOf, looksDuring } = setUp();
    const short = tokenOf('a', { more: 'x'.repeat(100) });
    const long = tokenOf('a', { more: 'x'.repeat(1_024) });
    const twice = (token: string) => looksDuring(() => [verify(token), verify(token)]);
    expect([short.length < 1_024, long.length > 1_024]).toEqual([true, true]);
    expect([twice(short), twice(long)]).toEqual([1, 2]);
  });
});
