import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import pino from 'pino';
import request from 'supertest';
import { Unavailable } from '../../src/application/ports';
import { logRequests } from '../../src/http/observe';
import { handleError } from '../../src/http/problems';
import { exchange } from '../hostile/wire';
import { BASE_PATH, bearer, createTestApp, newId } from '../support/http-app';

const id = newId();

/** Every call that reaches a use case, as a function that makes it. */
const calls: [string, (app: RequestListener) => request.Test][] = [
  ['placing', (app) => request(app).post(BASE_PATH).set(bearer()).send({ ticketId: id })],
  ['listing', (app) => request(app).get(BASE_PATH).set(bearer())],
  ['showing', (app) => request(app).get(`${BASE_PATH}/${id}`).set(bearer())],
  ['cancelling', (app) => request(app).delete(`${BASE_PATH}/${id}`).set(bearer())],
];

function failingWith(error: unknown) {
  // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- libraries reject with anything
  const fail = () => Promise.reject(error);
  return createTestApp({
    useCases: { placeOrder: fail, listOrders: fail, findOrder: fail, cancelOrder: fail },
  });
}

describe('a problem', () => {
  it('has the members of RFC 9457 and the errors that existing clients read', async () => {
    const { app } = createTestApp();

    const answer = await request(app).get(BASE_PATH).set('X-Request-Id', 'abc-1').expect(401);

    expect(answer.headers).toMatchObject({
      'content-type': 'application/problem+json; charset=utf-8',
      'cache-control': 'no-store',
      'x-request-id': 'abc-1',
    });
    expect(answer.body).toEqual({
      type: `${BASE_PATH}/problems/not-authorized`,
      code: 'not-authorized',
      title: 'Not authorized',
      status: 401,
      detail: 'Sign in first: there is neither a Bearer token nor a session cookie',
      instance: 'urn:request:abc-1',
      errors: [{ message: 'Sign in first: there is neither a Bearer token nor a session cookie' }],
    });
  });

  it.each(['/', '/nowhere', '/api/v1', `${BASE_PATH}/${id}/more`, '/api/v1/ordersx', '//', '/livez/x'])(
    'with status 404 answers %s, where nothing is',
    async (path) => {
      const { app } = createTestApp();

      for (const answer of [await request(app).get(path), await request(app).post(path).send('{')]) {
        expect(answer.status).toBe(404);
        expect(answer.body).toMatchObject({ status: 404, errors: [{ message: 'Not found' }] });
      }
    },
  );

  it.each([
    [BASE_PATH, 'GET, HEAD, POST, OPTIONS', ['PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND']],
    [`${BASE_PATH}/${id}`, 'GET, HEAD, DELETE, OPTIONS', ['POST', 'PUT', 'PATCH']],
    ['/livez', 'GET, HEAD, OPTIONS', ['POST', 'DELETE']],
    ['/readyz', 'GET, HEAD, OPTIONS', ['POST']],
    ['/metrics', 'GET, HEAD, OPTIONS', ['PUT']],
  ])(
    'with status 405 answers other methods of %s, and says that %s are allowed',
    async (path, allowed, methods) => {
      const { app } = createTestApp();

      for (const method of methods) {
        const answer = await send(app, `${method} ${path} HTTP/1.1`, bearer());
        expect(answer).toContain('HTTP/1.1 405');
        expect(answer).toContain(`Allow: ${allowed}\r\n`);
        expect(answer).toContain('"status":405');
      }
    },
  );

  it.each(['http://[', 'http://[::1', 'http://', 'http://a?x', 'foo://bar?%', '*'])(
    'with status 404 answers the request target %s, which is no path',
    async (target) => {
      const { app, logLines } = createTestApp();

      const answer = await send(app, `${target === '*' ? 'OPTIONS' : 'GET'} ${target} HTTP/1.1`);

      expect(answer).toContain('HTTP/1.1 404');
      expect(answer).toContain('application/problem+json');
      expect(logLines).toHaveLength(1);
    },
  );

  it('is not what a whole URL as request target gets', async () => {
    const { app } = createTestApp();

    expect(await send(app, 'GET http://example.com:8080/livez?x=1 HTTP/1.1')).toContain('HTTP/1.1 200');
  });

  it.each(calls)('with status 503 and Retry-After answers %s when the store cannot', async (_, call) => {
    const { app, logLines } = failingWith(new Unavailable('connection to 10.0.0.7:27017 timed out'));

    const answer = await call(app).expect(503);

    expect(answer.headers['retry-after']).toMatch(/^[1-9]\d*$/);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(answer.text).not.toMatch(/10\.0\.0\.7|timed out|Unavailable|stack/);
    expect(logLines).toMatchObject([{ level: 'warn', status: 503 }]);
    expect(JSON.stringify(logLines[0]?.['err'])).toContain('timed out');
  });

  it.each(calls)('with status 500 and no detail answers %s when something broke', async (_, call) => {
    const { app, logLines } = failingWith(new TypeError('mongo secret at /srv/app/x.js'));

    const answer = await call(app).expect(500);

    expect(answer.body).toEqual({
      type: `${BASE_PATH}/problems/internal-error`,
      code: 'internal-error',
      title: 'Something went wrong on our side',
      status: 500,
      instance: expect.stringMatching(/^urn:request:/) as unknown,
      errors: [{ message: 'Something went wrong on our side' }],
    });
    expect(logLines).toHaveLength(1);
    expect(logLines[0]).toMatchObject({
      level: 'error',
      status: 500,
      requestId: answer.headers['x-request-id'],
      err: { type: 'TypeError', stack: expect.stringContaining('problems.test') as unknown },
    });
  });

  it.each([
    [
      'an error that claims a status',
      Object.assign(new Error('x'), { status: 418, statusCode: 418, expose: true }),
    ],
    ['an error that claims a type', Object.assign(new Error('x'), { type: 'something' })],
    ['an error that claims headers', Object.assign(new Error('x'), { headers: { 'Set-Cookie': 'a=b' } })],
    ['a text', 'x'],
    ['undefined', undefined],
    ['null', null],
    ['an object', { status: 200 }],
  ])('with status 500 answers %s too', async (_, thrown) => {
    const { app } = failingWith(thrown);

    const answer = await request(app).get(BASE_PATH).set(bearer());

    expect(answer.status).toBe(500);
    expect(answer.headers).not.toHaveProperty('set-cookie');
    expect(answer.body).toMatchObject({ title: 'Something went wrong on our side' });
  });

  it('is not put behind an answer that has begun: that is broken off, and logged', async () => {
    const logLines: string[] = [];
    const logger = pino({}, { write: (line) => logLines.push(line) });
    const app = express()
      .use(logRequests(logger, []))
      .use((_req, res) => {
        res.write('half of it');
        throw new Error('broken');
      })
      .use(handleError);

    await expect(request(app).get('/')).rejects.toThrow();

    expect(logLines).toHaveLength(1);
    expect(JSON.parse(logLines[0] ?? '')).toMatchObject({ level: 50, err: { message: 'broken' } });
  });

  it('never carries a stack trace or the name of something inside', async () => {
    const { app } = failingWith(new Error('inner'));
    const post = () => request(app).post(BASE_PATH).set(bearer());
    const answers = [
      await post().type('json').send('{'),
      await post().send({ ticketId: { $gt: '' } }),
      await post().send({ ticketId: 'x'.repeat(20_000) }),
      await post().type('text').send('x'),
      await request(app).get(`${BASE_PATH}/%zz`).set(bearer()),
      await request(app).get(`${BASE_PATH}?limit=x`).set(bearer()),
      await request(app).get(`${BASE_PATH}`).set('Authorization', 'Bearer x.y.z'),
      await request(app).get('/nowhere'),
      await request(app).get(BASE_PATH).set(bearer()),
    ];

    for (const { text } of answers) {
      expect(text).not.toMatch(/ at |\.js|\.ts|node_modules|Error|express|mongo|jwt|entity\.|inner/);
    }
  });
});

describe('every answer', () => {
  it.each(['/livez', '/nowhere', BASE_PATH])(
    'forbids browsers to render, frame or sniff it, at %s',
    async (path) => {
      const { app } = createTestApp();

      const { headers } = await request(app).get(path);

      expect(headers).toMatchObject({
        'content-security-policy': "default-src 'none';frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
      });
      expect(headers).not.toHaveProperty('x-powered-by');
      // The TLS terminator's matter.
      expect(headers).not.toHaveProperty('strict-transport-security');
    },
  );
});

/** Sends a request line as it is, which clients would tidy up, and resolves to the whole answer. */
async function send(app: RequestListener, line: string, headers: object = {}): Promise<string> {
  const server = createServer(app).listen(0);
  const fields = { Host: 'localhost', Connection: 'close', ...headers };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const bytes = Buffer.from(`${line}\r\n${lines.join('')}\r\n`);
  try {
    return (await exchange((server.address() as AddressInfo).port, { bytes }, 10_000)).text;
  } finally {
    server.close();
  }
}
