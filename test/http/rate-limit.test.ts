import request from 'supertest';
import { BASE_PATH, bearer, createTestApp, tokenOf } from '../support/http-app';

const useCases = { listOrders: () => Promise.resolve({ orders: [] }) };

describe('the rate limit', () => {
  it('answers 429 and Retry-After to a user who asks too often', async () => {
    const { app } = createTestApp({ useCases, rateLimitPerMinute: 2 });
    const ask = () => request(app).get(BASE_PATH).set(bearer('ann'));

    const first = await ask().expect(200);
    await ask().expect(200);
    const third = await ask().expect(429);

    expect(first.headers).toMatchObject({ 'ratelimit-policy': '2;w=60' });
    expect(first.headers['ratelimit']).toContain('remaining=1');
    expect(Number(third.headers['retry-after'])).toBeGreaterThan(0);
    expect(third.headers['content-type']).toContain('application/problem+json');
    expect(third.body).toMatchObject({ status: 429, errors: [{ message: 'Too many requests' }] });
  });

  it('counts a user, not a token or a way to sign in', async () => {
    const { app } = createTestApp({ useCases, rateLimitPerMinute: 1 });
    const ask = (token: string) => request(app).get(BASE_PATH).set('Authorization', `Bearer ${token}`);

    await ask(tokenOf('ann')).expect(200);
    await ask(tokenOf('ann', { claims: { more: 1 } })).expect(429);
  });

  it('leaves every other user alone', async () => {
    const { app } = createTestApp({ useCases, rateLimitPerMinute: 1 });

    await request(app).get(BASE_PATH).set(bearer('ann')).expect(200);
    await request(app).get(BASE_PATH).set(bearer('ann')).expect(429);
    await request(app).get(BASE_PATH).set(bearer('bob')).expect(200);
    await request(app).get(BASE_PATH).set(bearer('__proto__')).expect(200);
    await request(app).get(BASE_PATH).set(bearer('constructor')).expect(200);
  });

  it('does not count who is not signed in, nor the probes', async () => {
    const { app } = createTestApp({ useCases, rateLimitPerMinute: 1 });

    for (let i = 0; i < 3; i += 1) {
      await request(app).get(BASE_PATH).expect(401);
      await request(app).get('/livez').expect(200);
    }
    await request(app).get(BASE_PATH).set(bearer('ann')).expect(200);
  });

  it('counts for each app alone', async () => {
    for (let i = 0; i < 2; i += 1) {
      const { app } = createTestApp({ useCases, rateLimitPerMinute: 1 });
      await request(app).get(BASE_PATH).set(bearer('ann')).expect(200);
    }
  });

  it('is off at 0', async () => {
    const { app } = createTestApp({ useCases, rateLimitPerMinute: 0 });

    for (let i = 0; i < 5; i += 1) {
      const { headers } = await request(app).get(BASE_PATH).set(bearer('ann')).expect(200);
      expect(headers).not.toHaveProperty('ratelimit');
    }
  });

  it('has nothing to complain about on the console', async () => {
    const complaints = [jest.spyOn(console, 'error'), jest.spyOn(console, 'warn')];
    const { app } = createTestApp({ useCases, rateLimitPerMinute: 5 });

    await request(app).get(BASE_PATH).set(bearer('ann')).set('X-Forwarded-For', '10.0.0.1').expect(200);

    for (const complaint of complaints) {
      expect(complaint).not.toHaveBeenCalled();
      complaint.mockRestore();
    }
  });
});
