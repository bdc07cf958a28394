import request from 'supertest';
import { Unavailable } from '../../src/application/ports';
import { BASE_PATH, bearer, createTestApp, newId, type TestApp } from '../support/http-app';

const SHOP = 'https://shop.example';
const useCases = { listOrders: () => Promise.resolve({ orders: [] }) };
const one = `${BASE_PATH}/${newId()}`;
const routes: [string, string][] = [
  [BASE_PATH, 'GET, HEAD, POST, OPTIONS'],
  [one, 'GET, HEAD, DELETE, OPTIONS'],
  ['/livez', 'GET, HEAD, OPTIONS'],
  ['/readyz', 'GET, HEAD, OPTIONS'],
  ['/metrics', 'GET, HEAD, OPTIONS'],
];
const preflight = {
  'Access-Control-Request-Method': 'DELETE',
  'Access-Control-Request-Headers': 'authorization, if-match',
};

function ask(
  app: TestApp['app'],
  method: 'get' | 'options' | 'put',
  path: string,
  headers: Record<string, string>,
) {
  return request(app)[method](path).set(headers);
}

function namesIn(list: string | undefined): string[] {
  return (list ?? '').split(/, ?/).map((name) => name.toLowerCase());
}

function corsHeadersOf({ headers }: request.Response): string[] {
  return Object.keys(headers).filter((name) => name.startsWith('access-control-'));
}

describe('with CORS_ORIGINS', () => {
  const setUp = (options: Parameters<typeof createTestApp>[0] = {}) =>
    createTestApp({ useCases, corsOrigins: ['https://other.example', SHOP], ...options });

  it.each(routes)('a preflight is answered at %s, before sign-in', async (path, methods) => {
    const { app, logLines } = setUp();

    const { headers } = await ask(app, 'options', path, { Origin: SHOP, ...preflight }).expect(204);

    expect(headers).toMatchObject({
      'access-control-allow-origin': SHOP,
      'access-control-allow-credentials': 'true',
      allow: methods,
    });
    expect(namesIn(headers['vary'])).toContain('origin');
    expect(namesIn(headers['access-control-allow-methods'])).toEqual(['get', 'head', 'post', 'delete']);
    expect(namesIn(headers['access-control-allow-headers'])).toEqual(
      expect.arrayContaining([
        ...['authorization', 'content-type', 'idempotency-key', 'if-match', 'if-none-match'],
        'x-request-id',
      ]),
    );
    expect(Number(headers['access-control-max-age'])).toBeGreaterThan(0);
    expect(logLines).toHaveLength(1);
  });

  it('no preflight counts towards the rate limit', async () => {
    const { app } = setUp({ rateLimitPerMinute: 1 });

    for (let i = 0; i < 3; i += 1) {
      await ask(app, 'options', BASE_PATH, { Origin: SHOP, ...bearer(), ...preflight }).expect(204);
    }
    await request(app).get(BASE_PATH).set(bearer()).expect(200);
  });

  it('a page of a listed origin may read every answer, refusals too', async () => {
    const { app } = setUp({ rateLimitPerMinute: 1 });
    const broken = setUp({ useCases: { listOrders: () => Promise.reject(new Unavailable('x')) } }).app;
    const from = { Origin: SHOP };
    const signedIn = { ...from, ...bearer() };

    const answers = [
      await request(app).get(BASE_PATH).set(from),
      await request(app).get(BASE_PATH).set(signedIn),
      await request(app).get(BASE_PATH).set(signedIn),
      await request(app).get('/nowhere').set(from),
      await ask(app, 'put', BASE_PATH, { ...from, ...bearer('bob') }),
      await request(app).get(`${BASE_PATH}/%zz`).set(from),
      await ask(app, 'get', `${BASE_PATH}?page=1`, { ...from, ...bearer('cat') }),
      await request(broken).get(BASE_PATH).set(signedIn),
    ];

    expect(answers.map(({ status }) => status)).toEqual([401, 200, 429, 404, 405, 400, 400, 503]);
    for (const { headers } of answers) {
      expect(headers).toMatchObject({
        'access-control-allow-origin': SHOP,
        'access-control-allow-credentials': 'true',
      });
      expect(namesIn(headers['access-control-expose-headers'])).toEqual(
        expect.arrayContaining([
          ...['etag', 'link', 'location', 'ratelimit', 'ratelimit-policy', 'retry-after', 'x-total-count'],
          ...['www-authenticate', 'x-request-id'],
        ]),
      );
      expect(namesIn(headers['vary'])).toContain('origin');
    }
  });

  it.each([
    ...['https://elsewhere.example', 'http://shop.example', 'https://shop.example:8443'],
    ...['https://shop.example.evil.example', 'https://SHOP.example', 'https://a.shop.example'],
    ...['https://other.example,https://shop.example', 'null', '*', ''],
  ])('a page of %j may read nothing', async (Origin) => {
    const { app } = setUp();

    const answers = [
      await ask(app, 'get', BASE_PATH, { Origin, ...bearer() }),
      await ask(app, 'options', BASE_PATH, { Origin, ...preflight }),
    ];

    expect(answers.map(({ status }) => status)).toEqual([200, 204]);
    for (const answer of answers) {
      expect(corsHeadersOf(answer)).toEqual([]);
      // A cache must not give it to a page of another origin.
      expect(namesIn(answer.headers['vary'])).toContain('origin');
    }
  });

  it('who names no origin is served as ever', async () => {
    const { app } = setUp();

    const answer = await request(app).get(BASE_PATH).set(bearer()).expect(200);

    expect(corsHeadersOf(answer)).toEqual([]);
    expect(namesIn(answer.headers['vary'])).toContain('origin');
  });
});

describe('without CORS_ORIGINS', () => {
  it.each(routes)(
    'OPTIONS at %s says what is allowed, and nothing to other origins',
    async (path, methods) => {
      const { app } = createTestApp();

      const answer = await ask(app, 'options', path, { Origin: SHOP, ...preflight }).expect(204);

      expect(answer.headers['allow']).toBe(methods);
      expect(corsHeadersOf(answer)).toEqual([]);
      expect(answer.headers).not.toHaveProperty('vary');
    },
  );

  it('no answer says anything to other origins', async () => {
    const { app } = createTestApp({ useCases });

    for (const headers of [{}, bearer()]) {
      const answer = await ask(app, 'get', BASE_PATH, { Origin: SHOP, ...headers });
      expect(corsHeadersOf(answer)).toEqual([]);
    }
  });

  it('OPTIONS is not answered where nothing is', async () => {
    await request(createTestApp().app).options('/nowhere').expect(404);
  });
});
