import { createServer, type Server } from 'node:http';
import request from 'supertest';
import { withDevelopmentRoute } from '../../src/demo/development-route';
import { startService, type ServiceProcess } from '../support/service-process';

const PATH = '/development/events/ticket:created';
const TICKET = { id: 'a'.repeat(24), version: 0, title: 'Jazz', price: 30, userId: 'seller' };

describe('the development route', () => {
  const published: { subject: string; data: unknown }[] = [];
  const listener = withDevelopmentRoute(
    (_req, res) => res.end('the app'),
    (subject, data) => {
      published.push({ subject, data: JSON.parse(data) as unknown });
      return Promise.resolve();
    },
    '/api/v1/orders',
  );
  const post = (path = PATH, server: Server | typeof listener = listener) => request(server).post(path);

  afterEach(() => published.splice(0));

  it.each(['ticket:created', 'ticket:updated', 'payment:created', 'expiration:complete'])(
    'publishes %s',
    async (subject) => {
      await post(`/development/events/${subject}`).send(TICKET).expect(202);

      expect(published).toEqual([{ subject, data: TICKET }]);
    },
  );

  it.each([['another subject', '/development/events/order:created']])(
    'has nothing for %s',
    async (_, path) => {
      await post(path).send(TICKET).expect(404);
      expect(published).toEqual([]);
    },
  );

  it('has nothing but POST', async () => {
    const { headers } = await request(listener).get(PATH).expect(405);
    expect(headers['allow']).toBe('POST');
  });

  it.each([
    ['Origin', 'http://localhost:3000'],
    ['Origin', 'null'],
    ['Sec-Fetch-Site', 'cross-site'],
    ['Sec-Fetch-Site', 'same-origin'],
    ['X-Forwarded-For', '127.0.0.1'],
    ['Forwarded', 'for=127.0.0.1'],
    ['Via', '1.1 proxy'],
  ])('refuses what a browser or a proxy sends: %s: %s', async (name, value) => {
    await post().set(name, value).send(TICKET).expect(403);
    expect(published).toEqual([]);
  });

  it.each(['10.0.0.7', '::ffff:192.168.1.5', 'fe80::1', '2001:db8::127.0.0.1'])(
    'refuses another machine: %s',
    async (remoteAddress) => {
      await post(PATH, from(remoteAddress)).send(TICKET).expect(403);
      expect(published).toEqual([]);
    },
  );

  it.each(['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1'])(
    'serves this machine: %s',
    async (remoteAddress) => {
      await post(PATH, from(remoteAddress)).send(TICKET).expect(202);
      expect(published).toHaveLength(1);
    },
  );

  it.each(['text/plain', 'application/x-www-form-urlencoded'])('refuses a body of %s', async (type) => {
    await post().set('Content-Type', type).send(JSON.stringify(TICKET)).expect(415);
    expect(published).toEqual([]);
  });

  it('refuses what is no JSON', async () => {
    await post().set('Content-Type', 'application/json').send('{').expect(400);
    expect(published).toEqual([]);
  });

  it('leaves everything else to the app', async () => {
    const { text } = await request(listener).post('/api/v1/orders').expect(200);
    expect(text).toBe('the app');
  });

  function from(remoteAddress: string): Server {
    return createServer((req, res) => {
      Object.defineProperty(req.socket, 'remoteAddress', { value: remoteAddress });
      listener(req, res);
    });
  }
});

describe('the service', () => {
  let service: ServiceProcess | undefined;
  afterEach(() => service?.kill('SIGKILL'));

  const postTo = async (env: Record<string, string>) => {
    service = await startService(env);
    const headers = { 'content-type': 'application/json' };
    return fetch(service.url + PATH, { method: 'POST', headers, body: JSON.stringify(TICKET) });
  };

  // Nobody answers there, and nobody needs to.
  const MONGO_URL = 'mongodb://127.0.0.1:1/orders';
  const NATS_URL = 'nats://127.0.0.1:1';

  it('has the development route with an embedded broker', async () => {
    expect((await postTo({ NODE_ENV: 'development' })).status).toBe(202);
  });

  it.each([
    ['in production', { NODE_ENV: 'production', MONGO_URL, NATS_URL }],
    ['with a broker', { NODE_ENV: 'development', NATS_URL }],
    ['with a broker and a database', { NODE_ENV: 'development', MONGO_URL, NATS_URL }],
    ['with a database alone', { NODE_ENV: 'development', MONGO_URL }],
  ])('has none %s', async (_, env) => {
    expect((await postTo(env)).status).toBe(404);
  });
});
