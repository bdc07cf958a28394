import request from 'supertest';
import { BASE_PATH, bearer, createTestApp } from '../support/http-app';

describe('/livez', () => {
  it('answers 200 whatever the dependencies do', async () => {
    const { app, readiness } = createTestApp();
    Object.assign(readiness, { database: 'down', broker: 'down', draining: true });

    await request(app).get('/livez').expect(200, { status: 'alive' });
    await request(app).head('/livez').expect(200);
  });
});

describe('/readyz', () => {
  it.each([
    [200, { database: 'up', broker: 'up', draining: false, status: 'ready' }],
    [200, { database: 'up', broker: 'down', draining: false, status: 'degraded' }],
    [503, { database: 'down', broker: 'up', draining: false, status: 'unready' }],
    [503, { database: 'down', broker: 'down', draining: false, status: 'unready' }],
    [503, { database: 'up', broker: 'up', draining: true, status: 'unready' }],
  ] as const)('answers %d with %j', async (code, { status, ...state }) => {
    const { app, readiness } = createTestApp();
    Object.assign(readiness, state);

    const answer = await request(app).get('/readyz');
    const head = await request(app).head('/readyz');

    expect([answer.status, head.status]).toEqual([code, code]);
    expect(answer.body).toEqual({ status, ...state });
    expect(answer.headers['cache-control']).toBe('no-store');
  });
});

describe('/metrics', () => {
  it('shows what the metrics expose', async () => {
    const { app } = createTestApp({
      expose: () =>
        Promise.resolve({ contentType: 'text/plain; version=0.0.4; charset=utf-8', body: 'up 1\n' }),
    });

    const answer = await request(app).get('/metrics').expect(200);

    expect(answer.text).toBe('up 1\n');
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    await request(app).head('/metrics').expect(200);
  });

  it('answers 500 without a detail when they cannot', async () => {
    const { app, logLines } = createTestApp({ expose: () => Promise.reject(new Error('inner')) });

    const { text } = await request(app).get('/metrics').expect(500);

    expect(text).not.toContain('inner');
    expect(logLines).toMatchObject([{ level: 'error', err: { message: 'inner' } }]);
  });
});

it.each(['/livez', '/readyz', '/metrics', `${BASE_PATH}/problems`])(
  'an answer without a tag is never "not modified": %s',
  async (path) => {
    const { app } = createTestApp();

    for (const tag of ['*', '"0"']) await request(app).get(path).set('If-None-Match', tag).expect(200);
  },
);

describe('a process that drains', () => {
  it('closes connections with their answer, so that clients go elsewhere', async () => {
    const { app, readiness } = createTestApp({
      useCases: { listOrders: () => Promise.resolve({ orders: [] }) },
    });
    const list = () => request(app).get(BASE_PATH).set(bearer()).set('Connection', 'keep-alive').expect(200);

    const before = await list();
    readiness.draining = true;
    const after = await list();

    expect(before.headers['connection']).toBe('keep-alive');
    expect(after.headers['connection']).toBe('close');
  });
});
