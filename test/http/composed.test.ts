import request from 'supertest';
import { eventually } from '../support/eventually';
import { exchange } from '../hostile/wire';
import { startComposed, type ComposedService, type Order } from '../support/composed-service';
import { BASE_PATH, bearer, cookieOf, newId, tokenOf } from '../support/http-app';

let service: ComposedService;
beforeAll(async () => {
  service = await startComposed();
});
afterAll(() => service.stop());

const place = (user: string, ticketId: string, key?: string) =>
  request(service.url)
    .post(BASE_PATH)
    .set({ ...bearer(user), ...(key === undefined ? {} : { 'Idempotency-Key': key }) })
    .send({ ticketId });
const show = (user: string, id: string) => request(service.url).get(`${BASE_PATH}/${id}`).set(bearer(user));
const cancel = (user: string, id: string) =>
  request(service.url).delete(`${BASE_PATH}/${id}`).set(bearer(user));
const list = (user: string, query = '') => request(service.url).get(`${BASE_PATH}${query}`).set(bearer(user));
const orderIn = (answer: request.Response) => answer.body as Order;

/** Follows the links to the end, with something done between the pages. */
async function readAll(user: string, query: string, between: () => Promise<unknown>): Promise<string[]> {
  const ids: string[] = [];
  for (let next: string | undefined = query; next !== undefined;) {
    const page: request.Response = await list(user, next).expect(200);
    ids.push(...(page.body as Order[]).map(({ id }) => id));
    next = /^<[^?]+(\?.+)>; rel="next"$/.exec(page.headers['link'] ?? '')?.[1];
    await between();
  }
  return ids;
}

describe('an order that is waited for', () => {
  const wait = (user: string, id: string, tag?: string, url = service.url) =>
    fetch(`${url}${BASE_PATH}/${id}?wait=30`, {
      headers: { ...bearer(user), ...(tag === undefined ? {} : { 'If-None-Match': tag }) },
    });

  it('is answered as soon as it is cancelled or paid, and at once where it has changed already', async () => {
    const [first, second] = [
      orderIn(await place('ann', await service.sell()).expect(201)),
      orderIn(await place('ann', await service.sell()).expect(201)),
    ];
    const waiting = [wait('ann', first.id), wait('ann', first.id, '"0"'), wait('ann', second.id, '"0"')];
    await cancel('ann', first.id).expect(204);
    await service.pay(second);

    const answers = await Promise.all(waiting);
    const bodies = await Promise.all(answers.map(async (answer) => (await answer.json()) as Order));
    expect(bodies.map(({ status, version }) => [status, version])).toEqual([
      ['cancelled', 1],
      ['cancelled', 1],
      ['complete', 1],
    ]);
    expect((await wait('ann', first.id, '"0"')).status).toBe(200);
    expect((await wait('bob', first.id)).status).toBe(404);
    expect((await wait('ann', newId())).status).toBe(404);
  });

  it('is answered as it is, or with 304, when the service stops', async () => {
    const polled: string[] = [];
    const other = await startComposed(
      {},
      {
        between: {
          orders: (orders) => ({
            ...orders,
            versions: (ids) => (polled.push(...ids), orders.versions(ids)),
          }),
        },
      },
    );
    const { id } = await other.place('ann', await other.sell());
    const waiting = [wait('ann', id, undefined, other.url), wait('ann', id, '"0"', other.url)];
    await eventually(() => expect(polled).toContain(id));

    expect(await other.stop()).toBe(true);

    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 304]);
  });
});

describe('an order over HTTP', () => {
  it('is placed, shown, listed, cancelled and cancelled again', async () => {
    const ticketId = await service.sell();

    const placed = await place('ann', ticketId).expect(201);
    const { id } = orderIn(placed);
    expect(placed.body).toMatchObject({
      status: 'created',
      version: 0,
      userId: 'ann',
      ticket: { id: ticketId, title: 'A concert', price: 20 },
    });
    expect(placed.headers).toMatchObject({ location: `${BASE_PATH}/${id}`, etag: '"0"' });

    const shown = await request(service.url)
      .get(placed.headers['location'] ?? '')
      .set(bearer('ann'))
      .expect(200);
    expect(shown.text).toBe(placed.text);
    expect((await list('ann').expect(200)).body).toContainEqual(placed.body);

    await cancel('ann', id).expect(204);
    await cancel('ann', id).expect(204);
    const cancelled = await show('ann', id).expect(200);
    expect(cancelled.body).toMatchObject({ status: 'cancelled', reason: 'user', version: 1 });
    expect(cancelled.headers['etag']).toBe('"1"');
  });

  it('is for a ticket that exists', async () => {
    await place('ann', newId()).expect(404);
  });

  it("is nobody else's business", async () => {
    const { id } = orderIn(await place('ann', await service.sell()).expect(201));

    const others = [await show('bob', id), await cancel('bob', id)];
    const unknown = [await show('bob', newId()), await cancel('bob', newId())];

    const withoutInstance = ({ status, body }: request.Response) => ({
      status,
      ...(body as object),
      instance: '',
    });
    expect(others.map(withoutInstance)).toEqual(unknown.map(withoutInstance));
    expect(others.map(({ status }) => status)).toEqual([404, 404]);
    const bobs = orderIn(await place('bob', await service.sell()).expect(201)).id;
    const listed = ((await list('bob').expect(200)).body as Order[]).map((order) => order.id);
    expect(listed).toContain(bobs);
    expect(listed).not.toContain(id);
    await show('ann', id).expect(200);
  });

  it('keeps its ticket from everyone else, and names itself to its owner only', async () => {
    const ticketId = await service.sell();
    const { id } = orderIn(await place('ann', ticketId).expect(201));

    const own = await place('ann', ticketId).expect(409);
    const other = await place('bob', ticketId).expect(409);

    expect(own.body).toMatchObject({ orderId: id });
    expect(own.headers['location']).toBe(`${BASE_PATH}/${id}`);
    expect(other.text).not.toContain(id);
    expect(other.headers).not.toHaveProperty('location');
  });

  it('is placed at the price that the buyer saw, or not at all', async () => {
    const ticketId = await service.sell();
    const ask = (price: number) => place('ann', ticketId).send({ ticketId, price });
    expect((await ask(19).expect(409)).body).toMatchObject({ price: 20 });
    expect((await ask(20).expect(201)).body).toMatchObject({ ticket: { price: 20 } });
  });

  it('is placed once when many want the same ticket at once', async () => {
    const ticketId = await service.sell();

    const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => place(`buyer-${i}`, ticketId)));

    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array<number>(29).fill(409)]);
  });

  it('cannot be cancelled once it is paid', async () => {
    const order = orderIn(await place('ann', await service.sell()).expect(201));
    await service.pay(order);

    await cancel('ann', order.id).expect(409);
    expect((await show('ann', order.id)).body).toMatchObject({ status: 'complete' });
  });

  it('is cancelled with If-Match only by who has seen it as it is', async () => {
    const { id } = orderIn(await place('ann', await service.sell()).expect(201));
    const { headers } = await show('ann', id).expect(200);

    const refused = await cancel('ann', id).set('If-Match', '"7"').expect(412);
    expect(refused.body).toMatchObject({ status: 412, errors: [{ field: 'If-Match' }] });
    await cancel('ann', id).set('If-Match', `W/${headers['etag']}`).expect(412);
    await cancel('bob', id)
      .set('If-Match', headers['etag'] ?? '')
      .expect(404);
    expect((await show('ann', id)).body).toMatchObject({ status: 'created', version: 0 });

    await cancel('ann', id).set('If-Match', `"7", ${headers['etag']}`).expect(204);
    // A repetition, whose first answer may have been lost.
    await cancel('ann', id)
      .set('If-Match', headers['etag'] ?? '')
      .expect(204);
    await cancel('ann', newId()).set('If-Match', '*').expect(404);
  });

  it('that is paid is refused for its version first, then because it is paid', async () => {
    const order = orderIn(await place('ann', await service.sell()).expect(201));
    await service.pay(order);
    const cancelWith = (tags: string) => cancel('ann', order.id).set('If-Match', tags);

    expect((await cancelWith('"0"').expect(412)).body).toMatchObject({ code: 'precondition-failed' });
    expect((await cancelWith('W/"1"').expect(412)).body).toMatchObject({ code: 'precondition-failed' });
    for (const tags of ['"1"', '*']) {
      expect((await cancelWith(tags).expect(409)).body).toMatchObject({ code: 'already-paid' });
    }
  });
});

describe('a repeated Idempotency-Key', () => {
  it('gets the first answer again, byte for byte, also when the order is cancelled or paid since', async () => {
    const [cancelledKey, paidKey] = [newId(), newId()];
    const [one, two] = [await service.sell(), await service.sell()];
    const cancelled = await place('ann', one, cancelledKey).expect(201);
    const paid = await place('ann', two, paidKey).expect(201);
    await cancel('ann', orderIn(cancelled).id).expect(204);
    await service.pay(orderIn(paid));

    const again = await place('ann', one, cancelledKey).expect(201);
    expect(again.text).toBe(cancelled.text);
    for (const name of ['location', 'etag']) expect(again.headers[name]).toBe(cancelled.headers[name]);
    expect((await place('ann', two, paidKey).expect(201)).text).toBe(paid.text);
  });

  it('gets 422 for another ticket', async () => {
    const key = newId();
    await place('ann', await service.sell(), key).expect(201);

    await place('ann', await service.sell(), key).expect(422);
  });

  it('is another key when another user sends it', async () => {
    const key = newId();
    const first = await place('ann', await service.sell(), key).expect(201);
    const second = await place('bob', await service.sell(), key).expect(201);

    expect(orderIn(second).id).not.toBe(orderIn(first).id);
  });

  it('places one order when it comes many times at once', async () => {
    const ticketId = await service.sell();
    const key = newId();

    const answers = await Promise.all(
      Array.from({ length: 20 }, () => place('ann', ticketId, key).expect(201)),
    );

    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  });

  it('does not remember a refusal', async () => {
    const ticketId = await service.sell();
    const key = newId();
    const { id } = orderIn(await place('bob', ticketId).expect(201));

    await place('ann', ticketId, key).expect(409);
    await cancel('bob', id).expect(204);
    await place('ann', ticketId, key).expect(201);
  });

  it('may be sent with the new price, after a refusal because of it, or for another ticket', async () => {
    const [one, other] = [await service.sell(), await service.sell()];
    const placeAt = (ticketId: string, price: number, key: string) =>
      place('ann', ticketId, key).send({ ticketId, price });
    const [key, otherKey] = [newId(), newId()];

    const refused = await placeAt(one, 19, key).expect(409);
    expect(refused.body).toMatchObject({ code: 'price-changed', price: 20 });
    const placed = await placeAt(one, (refused.body as { price: number }).price, key).expect(201);
    expect((await placeAt(one, 20, key).expect(201)).text).toBe(placed.text);
    expect((await placeAt(one, 19, key).expect(422)).body).toMatchObject({ code: 'key-reused' });

    await place('ann', one, otherKey).expect(409);
    await place('ann', other, otherKey).expect(201);
  });
});

describe('the listing', () => {
  it('shows every order that was there at the start exactly once, while others come', async () => {
    const placed: string[] = [];
    const placeOne = async () =>
      placed.unshift(orderIn(await place('cat', await service.sell()).expect(201)).id);
    for (let i = 0; i < 7; i += 1) await placeOne();
    const atTheStart = [...placed];

    const seen = await readAll('cat', '?limit=2', placeOne);

    // Those of one millisecond are sorted by their ids.
    expect(seen.sort()).toEqual(atTheStart.sort());
  });

  it('shows only one status when asked to, on every page', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 4; i += 1)
      ids.unshift(orderIn(await place('dan', await service.sell()).expect(201)).id);
    await cancel('dan', ids[1] ?? '').expect(204);

    const created = await readAll('dan', '?status=created&limit=1', () => Promise.resolve());
    const cancelled = await readAll('dan', '?status=cancelled&limit=1', () => Promise.resolve());

    expect(created.sort()).toEqual([ids[0], ids[2], ids[3]].sort());
    expect(cancelled).toEqual([ids[1]]);
  });

  it('is an empty array for who has none', async () => {
    await list('nobody').expect(200, []);
  });
});

describe('the service without any settings', () => {
  it('is alive, ready and shows its metrics by route template', async () => {
    await show('ann', newId()).expect(404);

    await request(service.url).get('/livez').expect(200);
    await request(service.url)
      .get('/readyz')
      .expect(200, { status: 'ready', database: 'up', broker: 'up', draining: false });
    const { text } = await request(service.url).get('/metrics').expect(200);
    expect(text).toContain(`route="${BASE_PATH}/:orderId",status="404"`);
    expect(text).toContain('order_service_orders_total{outcome="placed"}');
  });
});

describe('the settings of HTTP', () => {
  /** Listens with these settings, and asks. */
  async function withSettings<T>(
    settings: Record<string, string>,
    use: (url: string) => Promise<T>,
  ): Promise<T> {
    const composed = await startComposed(settings);
    try {
      return await use(composed.url);
    } finally {
      await composed.stop();
    }
  }

  it.each([
    [{}, 'timeout=620'],
    [{ KEEP_ALIVE_SECONDS: '3700' }, 'timeout=3700'],
  ])('say how long idle connections are kept: %j', async (settings, expected) => {
    const { headers } = await withSettings(settings, (url) => fetch(`${url}/livez`));

    expect(headers.get('keep-alive')).toBe(expected);
  });

  it('name the origins whose pages may read answers', async () => {
    const shop = { Origin: 'https://shop.example' };
    const ask = (url: string) => fetch(`${url}${BASE_PATH}`, { headers: shop });

    const listed = await withSettings({ CORS_ORIGINS: 'https://a.example, https://shop.example' }, ask);
    const usual = await withSettings({}, ask);

    expect([listed.status, usual.status]).toEqual([401, 401]);
    expect(listed.headers.get('access-control-allow-origin')).toBe('https://shop.example');
    expect(usual.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('let those origins change something with a cookie, and no others', async () => {
    const cancelFrom = (Origin: string) => (url: string) =>
      fetch(`${url}${BASE_PATH}/${newId()}`, {
        method: 'DELETE',
        headers: { Cookie: `session=${cookieOf(tokenOf('ann'))}`, 'Sec-Fetch-Site': 'cross-site', Origin },
      });
    const settings = { CORS_ORIGINS: 'https://shop.example' };

    expect((await withSettings(settings, cancelFrom('https://shop.example'))).status).toBe(404);
    expect((await withSettings(settings, cancelFrom('https://evil.example'))).status).toBe(403);
  });

  it('may put the orders at the root', async () => {
    await withSettings({ API_BASE_PATH: '/' }, async (url) => {
      const ask = (path: string) => fetch(`${url}${path}`, { headers: bearer('ann') });

      expect((await ask('')).status).toBe(200);
      expect((await ask('?limit=1')).status).toBe(200);
      expect((await ask(`/${newId()}`)).status).toBe(404);
      expect((await ask('/readyz')).status).toBe(200);
      expect(await (await ask('/metrics')).text()).toContain('route="/:orderId",status="404"');
    });
  });

  it('are those of a server that refuses in problem documents, and logs it', async () => {
    const composed = await startComposed({}, { keeps: /request refused unread/ });

    const { answers } = await exchange(composed.port, { bytes: Buffer.from('nonsense\r\n\r\n') }, 10_000);
    await composed.stop();

    expect(answers).toMatchObject([
      { status: 400, headers: { 'content-type': 'application/problem+json; charset=utf-8' } },
    ]);
    expect(composed.logged).toContainEqual(
      expect.objectContaining({
        msg: 'request refused unread',
        requestId: answers[0]?.headers['x-request-id'],
        status: 400,
        code: 'HPE_INVALID_METHOD',
      }),
    );
  });
});
