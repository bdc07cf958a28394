import { createHash } from 'node:crypto';
import request from 'supertest';
import { PROBLEM_CODES, PROBLEM_TYPES } from '../../src/http/problem-types';
import { BASE_PATH, createTestApp } from '../support/http-app';

describe('/openapi.json', () => {
  it.each(['', BASE_PATH])('is answered without sign-in under "%s"', async (prefix) => {
    const { app } = createTestApp();

    const { body, headers } = await request(app).get(`${prefix}/openapi.json`).expect(200);

    expect(body).toMatchObject({ openapi: '3.1.1', servers: [{ url: BASE_PATH }] });
    expect(headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'public, max-age=300',
    });
  });

  it('is answered with 304 to who has it already', async () => {
    const { app } = createTestApp();
    const { headers } = await request(app).get('/openapi.json');

    const again = await request(app)
      .get('/openapi.json')
      .set('If-None-Match', headers['etag'] ?? '')
      .expect(304);

    expect(again.text).toBe('');
    await request(app).get('/openapi.json').set('If-None-Match', '"another"').expect(200);
  });

  it.each([
    ['/shop/orders', '/shop/orders', '/shop/orders/problems/price-changed'],
    ['', '/', '/problems/price-changed'],
  ])('is for the base path "%s"', async (basePath, url, type) => {
    const { app } = createTestApp({ basePath });

    const { body, text } = await request(app).get(`${basePath}/openapi.json`).expect(200);

    expect(body.servers[0].url).toBe(url);
    expect(body.paths['/openapi.json'].servers).toMatchObject([{ url }, { url: '/' }]);
    expect(body.components.examples['price-changed'].value.type).toBe(type);
    expect(text).not.toContain(BASE_PATH);
  });
});

describe('the pages about problems', () => {
  it.each(PROBLEM_CODES)('tell the cause of %s, and what a client does', async (code) => {
    const { app } = createTestApp();

    const { text, headers } = await request(app).get(`${BASE_PATH}/problems/${code}`).expect(200);

    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    const { status, title, cause, remedy } = PROBLEM_TYPES[code];
    expect(text).toContain(`${status} ${code}`);
    for (const said of [title, cause, remedy]) expect(plainTextOf(text)).toContain(said.replaceAll('`', ''));
  });

  it('are listed', async () => {
    const { app } = createTestApp();

    const { text } = await request(app).get(`${BASE_PATH}/problems`).expect(200);

    const listed = [...text.matchAll(/href="([^"]+)"/g)].map(([, address]) => address);
    expect(listed).toEqual(PROBLEM_CODES.map((code) => `${BASE_PATH}/problems/${code}`));
  });

  it('are where the problems say', async () => {
    const { app } = createTestApp({ basePath: '/shop' });
    const { body } = await request(app).get('/shop').expect(401);

    const { text } = await request(app)
      .get((body as { type: string }).type)
      .expect(200);

    expect(text).toContain('401 not-authorized');
  });

  it('run nothing, load nothing, and have their style', async () => {
    const { app } = createTestApp();

    for (const page of ['', '/price-changed']) {
      const { text, headers } = await request(app).get(`${BASE_PATH}/problems${page}`).expect(200);
      const policy = headers['content-security-policy'] ?? '';
      const [, hash] = /^default-src 'none';style-src '(sha256-[\w+/=]+)';/.exec(policy) ?? [];
      expect(policy).toContain("frame-ancestors 'none'");
      expect(hash).toBe(sha256Of(/<style>([^]*)<\/style>/.exec(text)?.[1] ?? ''));
      expect(text).not.toMatch(/<script|<link|<img|style=|url\(/);
    }
  });

  it.each(['nothing', 'Price-Changed', '__proto__', 'constructor', '%3Cscript%3E'])(
    'are not there for %s',
    async (code) => {
      const { app } = createTestApp();

      const { body, text } = await request(app).get(`${BASE_PATH}/problems/${code}`).expect(404);

      expect(body).toMatchObject({ code: 'no-such-route' });
      expect(text).not.toContain('script');
    },
  );
});

function sha256Of(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

function plainTextOf(html: string): string {
  return html
    .replaceAll(/<[^>]+>/g, '')
    .replaceAll('&lt;', '<')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');
}
