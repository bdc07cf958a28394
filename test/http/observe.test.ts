import { createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import request from 'supertest';
import type { OrderUseCases } from '../../src/http/orders';
import { eventually } from '../support/eventually';
import { BASE_PATH, bearer, cookieOf, createTestApp, newId, orderOf, tokenOf } from '../support/http-app';

const order = orderOf();
const useCases: Partial<OrderUseCases> = {
  placeOrder: () => Promise.resolve({ type: 'placed', order }),
  findOrder: () => Promise.resolve(undefined),
  cancelOrder: () => Promise.resolve('cancelled'),
  listOrders: () => Promise.resolve({ orders: [] }),
};

describe('the log', () => {
  it('has one flat line for each request', async () => {
    const { app, logLines } = createTestApp({ useCases });

    await request(app)
      .post(BASE_PATH)
      .set({ ...bearer('ann'), 'X-Request-Id': 'r-1' })
      .send({ ticketId: newId() });

    expect(logLines).toEqual([
      {
        level: 'info',
        time: expect.any(Number) as unknown,
        pid: expect.any(Number) as unknown,
        hostname: expect.any(String) as unknown,
        requestId: 'r-1',
        userId: 'ann',
        orderId: order.id,
        method: 'POST',
        route: BASE_PATH,
        status: 201,
        durationMs: expect.any(Number) as unknown,
        msg: 'request answered',
      },
    ]);
  });

  it('names the order that a request is about, also where there is none', async () => {
    const { app, logLines } = createTestApp({ useCases });
    const id = newId();

    await request(app).get(`${BASE_PATH}/${id}`).set(bearer());
    await request(app).delete(`${BASE_PATH}/${id}`).set(bearer());
    await request(app).get(`${BASE_PATH}/nonsense`).set(bearer());

    const route = `${BASE_PATH}/:orderId`;
    expect(logLines).toMatchObject([
      { route, method: 'GET', orderId: id, status: 404 },
      { route, method: 'DELETE', orderId: id, status: 204 },
      { route, method: 'GET', status: 400 },
    ]);
    expect(logLines[2]).not.toHaveProperty('orderId');
  });

  it('tells the path, without its query, only where no route says more', async () => {
    const { app, logLines } = createTestApp({ useCases });

    await request(app).get('/no/where?token=secret');
    await request(app).get(`${BASE_PATH}?limit=1`).set(bearer());

    expect(logLines).toMatchObject([{ route: 'unmatched', path: '/no/where' }, { route: BASE_PATH }]);
    expect(logLines[1]).not.toHaveProperty('path');
    expect(JSON.stringify(logLines)).not.toContain('secret');
  });

  it('never holds a token, a cookie, an idempotency key or a body', async () => {
    const { app, logLines } = createTestApp({
      useCases: { ...useCases, placeOrder: () => Promise.reject(new Error('broken')) },
    });
    const token = tokenOf();
    const cookie = cookieOf(token);
    const post = () => request(app).post(BASE_PATH).set('Idempotency-Key', 'key-in-the-clear');

    await post().set('Authorization', `Bearer ${token}`).send({ ticketId: newId() }).expect(500);
    await post().set('Authorization', `Bearer ${token}x`).send({ ticketId: newId() }).expect(401);
    await post().set('Cookie', `session=${cookie}`).type('json').send('{"card":"4242"').expect(400);
    await post().set('Cookie', `express:sess=${cookie}x`).send({ card: '4242' }).expect(400);
    await request(app).get(BASE_PATH).set('Proxy-Authorization', 'Basic c2VjcmV0').expect(401);

    expect(logLines).toHaveLength(5);
    const text = JSON.stringify(logLines);
    for (const secret of [...token.split('.'), cookie, 'key-in-the-clear', '4242', 'c2VjcmV0']) {
      expect(text).not.toContain(secret);
    }
  });

  it('mentions probes and metrics at debug level only', async () => {
    const { app, logLines, readiness } = createTestApp();

    await request(app).get('/livez');
    await request(app).get('/readyz');
    readiness.database = 'down';
    await request(app).get('/readyz').expect(503);
    await request(app).get('/metrics');

    expect(logLines).toMatchObject(
      ['/livez', '/readyz', '/readyz', '/metrics'].map((route) => ({ level: 'debug', route })),
    );
  });

  it('says when the client did not wait for the answer', async () => {
    let answerNow = (): void => {};
    const { app, logLines, observations } = createTestApp({
      useCases: { listOrders: () => new Promise((resolve) => (answerNow = () => resolve({ orders: [] }))) },
    });
    const server = createServer(app).listen(0);
    const { port } = server.address() as AddressInfo;

    const call = send({ port, path: BASE_PATH, headers: bearer() }).on('error', () => {});
    const asked = new Promise((resolve) => server.once('request', resolve));
    call.end();
    await asked;
    call.destroy();
    await eventually(() => expect(logLines).toHaveLength(1));
    answerNow();
    server.close();

    expect(logLines).toMatchObject([{ status: 499, msg: 'client closed the connection' }]);
    await eventually(() => expect(observations).toMatchObject([{ status: 499 }]));
  });
});

describe('a client that breaks off while it sends its body', () => {
  it('is no error of ours', async () => {
    const { app, logLines } = createTestApp();
    const server = createServer(app).listen(0);
    const { port } = server.address() as AddressInfo;
    const headers = { ...bearer(), 'Content-Type': 'application/json', 'Content-Length': '100' };

    const call = send({ port, path: BASE_PATH, method: 'POST', headers }).on('error', () => {});
    const begun = new Promise((resolve) => server.once('request', resolve));
    call.write('{"ticketId":');
    await begun;
    call.destroy();
    await eventually(() => expect(logLines).toHaveLength(1));
    server.close();

    // Whether the answer is still written or nobody is left to take it is a matter of moments.
    expect(logLines).toMatchObject([{ level: 'info', route: BASE_PATH }]);
    expect([400, 499]).toContain(logLines[0]?.['status']);
  });
});

describe('the request id', () => {
  it.each(['r-1', '0af7651916cd43dd8448eb211c80319c', 'a.b_c:d-E9', 'x'.repeat(100)])(
    "is the caller's own, %s",
    async (id) => {
      const { app, logLines } = createTestApp();

      const { headers } = await request(app).get('/livez').set('X-Request-Id', id);

      expect(headers['x-request-id']).toBe(id);
      expect(logLines).toMatchObject([{ requestId: id }]);
    },
  );

  it.each(['', 'a b', 'a,b', '"quoted"', '<script>', 'x'.repeat(101), 'é'])(
    'is a new one where the caller sends %j',
    async (id) => {
      const { app, logLines } = createTestApp();

      const first = await request(app).get('/livez').set('X-Request-Id', id);
      const second = await request(app).get('/livez').set('X-Request-Id', id);

      expect(first.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
      expect(first.headers['x-request-id']).not.toBe(second.headers['x-request-id']);
      expect(logLines).toMatchObject([{ requestId: first.headers['x-request-id'] }, {}]);
    },
  );
});

describe('the duration of requests', () => {
  it('is observed by method, route template and status', async () => {
    const { app, observations } = createTestApp({ useCases });
    const id = newId();

    await request(app).post(BASE_PATH).set(bearer()).send({ ticketId: id });
    await request(app).post(BASE_PATH).set(bearer()).send({ ticketId: 'x' });
    await request(app).get(BASE_PATH);
    await request(app).get(`${BASE_PATH}/${id}`).set(bearer());
    await request(app).delete(`${BASE_PATH}/${id}`).set(bearer());
    await request(app).put(`${BASE_PATH}/${id}`).set(bearer());
    await request(app).get('/livez');
    await request(app).get(`/some/${id}`);
    await request(app).get(`${BASE_PATH}/%zz`);

    const one = `${BASE_PATH}/:orderId`;
    await eventually(() => expect(observations).toHaveLength(9));
    expect(observations).toMatchObject([
      { method: 'POST', route: BASE_PATH, status: 201 },
      { method: 'POST', route: BASE_PATH, status: 400 },
      { method: 'GET', route: BASE_PATH, status: 401 },
      { method: 'GET', route: one, status: 404 },
      { method: 'DELETE', route: one, status: 204 },
      { method: 'PUT', route: one, status: 405 },
      { method: 'GET', route: '/livez', status: 200 },
      { method: 'GET', route: 'unmatched', status: 404 },
      { method: 'GET', route: 'unmatched', status: 400 },
    ]);
    for (const { seconds } of observations) expect(seconds).toBeGreaterThan(0);
  });

  it('is observed once when something broke', async () => {
    const { app, observations } = createTestApp({
      useCases: { listOrders: () => Promise.reject(new Error('broken')) },
    });

    await request(app).get(BASE_PATH).set(bearer());

    await eventually(() => expect(observations).toMatchObject([{ route: BASE_PATH, status: 500 }]));
  });
});
