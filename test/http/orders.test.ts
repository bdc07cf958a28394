import { createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import request from 'supertest';
import type { Order } from '../../src/domain/order';
import type { OrderUseCases } from '../../src/http/orders';
import { eventually } from '../support/eventually';
import { BASE_PATH, bearer, createTestApp, newId, orderOf } from '../support/http-app';

type Commands<Name extends keyof OrderUseCases> = Parameters<OrderUseCases[Name]>[0][];

/** A use case that always gives this answer and remembers what it was asked, and by which request. */
function answering<Name extends keyof OrderUseCases>(
  name: Name,
  result: Awaited<ReturnType<OrderUseCases[Name]>>,
): { useCases: Partial<OrderUseCases>; asked: Commands<Name>; causes: unknown[] } {
  const asked: unknown[] = [];
  const causes: unknown[] = [];
  const useCase = ({ cause, ...command }: { cause?: unknown }) => {
    asked.push(command);
    causes.push(cause);
    return Promise.resolve(result);
  };
  return { useCases: { [name]: useCase }, asked: asked as Commands<Name>, causes };
}

function bodyOf(order: Order): object {
  const { payments: _, createdAt, expiresAt, ...rest } = order;
  return { ...rest, createdAt: createdAt.toISOString(), expiresAt: expiresAt.toISOString() };
}

describe('POST', () => {
  const ticketId = newId();
  const place = (useCases: Partial<OrderUseCases>, headers: Record<string, string> = {}, body = {}) =>
    request(createTestApp({ useCases }).app)
      .post(BASE_PATH)
      .set({ ...bearer('ann'), ...headers })
      .send({ ticketId, ...body });

  it('answers 201 with the order, its location and its tag', async () => {
    const order = orderOf({ userId: 'ann' });
    const { useCases, asked, causes } = answering('placeOrder', { type: 'placed', order });

    const answer = await place(useCases).expect(201);

    expect(asked).toEqual([{ userId: 'ann', ticketId }]);
    expect(causes).toEqual([{ type: 'request', requestId: answer.headers['x-request-id'] }]);
    expect(answer.body).toEqual(bodyOf(order));
    expect(Object.keys(answer.body as object).join(' ')).toBe(
      'id version status userId expiresAt createdAt ticket',
    );
    expect(answer.headers).toMatchObject({
      location: `${BASE_PATH}/${order.id}`,
      etag: '"0"',
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'private, no-store',
    });
  });

  it('answers a replay byte for byte like the first time', async () => {
    const order = orderOf();

    const first = await place(answering('placeOrder', { type: 'placed', order }).useCases);
    const second = await place(answering('placeOrder', { type: 'replayed', order }).useCases);

    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.text).toBe(first.text);
    expect([second.headers['location'], second.headers['etag']]).toEqual([
      first.headers['location'],
      first.headers['etag'],
    ]);
  });

  it.each(['k', 'k'.repeat(255), '"8e03978e-40d5-43dd-bc93-6894a57f9324"', '!#$%&()*+,-./:;<=>?@[]^_`{|}~'])(
    'hands the Idempotency-Key %s on as it is',
    async (key) => {
      const { useCases, asked } = answering('placeOrder', { type: 'placed', order: orderOf() });

      await place(useCases, { 'Idempotency-Key': key }).expect(201);

      expect(asked).toEqual([{ userId: 'ann', ticketId, idempotencyKey: key }]);
    },
  );

  it('takes an id in any case and hands it on in lower case', async () => {
    const { useCases, asked } = answering('placeOrder', { type: 'placed', order: orderOf() });

    await request(createTestApp({ useCases }).app)
      .post(BASE_PATH)
      .set(bearer())
      .send({ ticketId: 'ABCDEFabcdef0123456789AB' })
      .expect(201);

    expect(asked).toMatchObject([{ ticketId: 'abcdefabcdef0123456789ab' }]);
  });

  it('answers 404 when there is no such ticket', async () => {
    const answer = await place(answering('placeOrder', { type: 'unknown-ticket' }).useCases).expect(404);

    expect(answer.body).toMatchObject({ status: 404, errors: [{ field: 'ticketId' }] });
  });

  it('answers 409 when the ticket is reserved, and names no order of someone else', async () => {
    const answer = await place(answering('placeOrder', { type: 'reserved' }).useCases).expect(409);

    expect(answer.body).toMatchObject({ status: 409, errors: [{ message: 'Ticket is already reserved' }] });
    expect(answer.body).not.toHaveProperty('orderId');
    expect(answer.headers).not.toHaveProperty('location');
  });

  it("answers 409 with the caller's own order when that holds the ticket", async () => {
    const ownOrderId = newId();

    const answer = await place(answering('placeOrder', { type: 'reserved', ownOrderId }).useCases).expect(
      409,
    );

    expect(answer.body).toMatchObject({ status: 409, orderId: ownOrderId });
    expect(answer.headers['location']).toBe(`${BASE_PATH}/${ownOrderId}`);
  });

  it('answers 409 with the new price when the buyer saw another one', async () => {
    const { useCases, asked } = answering('placeOrder', { type: 'price-changed', price: 12.5 });

    const answer = await place(useCases, {}, { price: 10 }).expect(409);

    expect(asked).toEqual([{ userId: 'ann', ticketId, price: 10 }]);
    expect(answer.body).toMatchObject({
      code: 'price-changed',
      price: 12.5,
      errors: [{ field: 'price' }],
    });
  });

  it('answers 409 when the user has too many open orders', async () => {
    const answer = await place(answering('placeOrder', { type: 'too-many-open-orders' }).useCases).expect(
      409,
    );

    expect(answer.body).toMatchObject({
      code: 'too-many-open-orders',
      status: 409,
    });
    expect(answer.headers).not.toHaveProperty('retry-after');
  });

  it('answers 422 when the key was used for another ticket', async () => {
    const answer = await place(answering('placeOrder', { type: 'key-reused' }).useCases).expect(422);

    expect(answer.body).toMatchObject({ status: 422, errors: [{ field: 'Idempotency-Key' }] });
  });
});

describe('GET one', () => {
  const show = (order: Order | undefined, id = order?.id ?? newId(), headers: Record<string, string> = {}) =>
    request(createTestApp({ useCases: answering('findOrder', order).useCases }).app)
      .get(`${BASE_PATH}/${id}`)
      .set({ ...bearer('ann'), ...headers });

  it('answers 200 with the order and its version as tag', async () => {
    const order = orderOf({ version: 3, status: 'cancelled', reason: 'expired' });

    const answer = await show(order).expect(200);

    expect(answer.body).toEqual(bodyOf(order));
    expect(answer.headers).toMatchObject({ etag: '"3"', 'cache-control': 'private, no-cache' });
  });

  it('shows no payments and nothing else that clients have no business with', async () => {
    const paid = {
      ...orderOf({ status: 'complete', payments: [{ id: 'p', stripeId: 's', at: new Date() }] }),
      outbox: ['secret'],
    };

    const { text } = await show(paid).expect(200);

    expect(text).not.toMatch(/payments|stripeId|outbox|secret/);
  });

  it('asks for the order of the caller, by the id in lower case', async () => {
    const { useCases, asked } = answering('findOrder', orderOf());

    await request(createTestApp({ useCases }).app)
      .get(`${BASE_PATH}/ABCDEFabcdef0123456789AB`)
      .set(bearer('ann'))
      .expect(200);

    expect(asked).toEqual([{ userId: 'ann', orderId: 'abcdefabcdef0123456789ab' }]);
  });

  it.each(['"3"', 'W/"3"', '"1", "3"', '*'])('answers 304 to If-None-Match: %s', async (tag) => {
    const answer = await show(orderOf({ version: 3 }), undefined, { 'If-None-Match': tag }).expect(304);

    expect(answer.text).toBe('');
    expect(answer.headers['etag']).toBe('"3"');
  });

  it('answers 304 to fetch() too, which adds Cache-Control: no-cache', async () => {
    const headers = { 'If-None-Match': '"3"', 'Cache-Control': 'no-cache', Pragma: 'no-cache' };

    await show(orderOf({ version: 3 }), undefined, headers).expect(304);
    await show(orderOf({ version: 4 }), undefined, headers).expect(200);
  });

  it.each(['"2"', '"33"', '3'])('answers 200 to If-None-Match: %s', async (tag) => {
    await show(orderOf({ version: 3 }), undefined, { 'If-None-Match': tag }).expect(200);
  });

  it("answers 404 when there is none, which someone else's looks like", async () => {
    const answer = await show(undefined).expect(404);

    expect(answer.body).toMatchObject({ status: 404, errors: [{ message: 'There is no such order' }] });
  });

  it('answers HEAD like GET, without the body', async () => {
    const order = orderOf();
    const { app } = createTestApp({ useCases: answering('findOrder', order).useCases });

    const answer = await request(app).head(`${BASE_PATH}/${order.id}`).set(bearer()).expect(200);

    expect(answer.headers['etag']).toBe('"0"');
    expect(answer.text ?? '').toBe('');
  });
});

describe('GET one with wait', () => {
  const BEFORE = [orderOf({ version: 1 }), orderOf({ version: 3 })];

  const wait = (
    query: string,
    headers: Record<string, string> = {},
    order: Order | undefined = orderOf(),
  ) => {
    const { useCases, asked } = answering('awaitOrder', order);
    const test = createTestApp({ useCases });
    const path = `${BASE_PATH}/ABCDEFabcdef0123456789AB${query}`;
    const answer = request(test.app)
      .get(path)
      .set({ ...bearer('ann'), ...headers });
    return { asked, answer, ...test };
  };

  it.each([1, 30])('waits for %d seconds, and answers with the order as it is then', async (seconds) => {
    const order = orderOf({ version: 3 });
    const { answer, asked } = wait(`?wait=${seconds}`, {}, order);

    const { body, headers } = await answer.expect(200);

    expect(body).toEqual(bodyOf(order));
    expect(headers).toMatchObject({ etag: '"3"', 'cache-control': 'private, no-cache' });
    expect(asked).toMatchObject([{ userId: 'ann', orderId: 'abcdefabcdef0123456789ab', seconds }]);
  });

  it.each([
    [undefined, [true, true]],
    ['"3"', [false, true]],
    ['W/"3"', [false, true]],
    ['"2", W/"3"', [false, true]],
    ['"1","3"', [true, true]],
    ['*', [true, true]],
    ['"2"', [false, false]],
    ['"33"', [false, false]],
    ['3', [false, false]],
  ])('with If-None-Match: %s, waits while the order has a version that it names', async (tags, expected) => {
    const { answer, asked } = wait('?wait=5', tags === undefined ? {} : { 'If-None-Match': tags });

    await answer;

    expect(BEFORE.map(({ version }) => asked[0]?.isKnown(version))).toEqual(expected);
  });

  it('answers 304 where the order has not changed, 200 where it has, 404 where there is none', async () => {
    const tag = { 'If-None-Match': '"3"' };

    await wait('?wait=1', tag, orderOf({ version: 3 })).answer.expect(304);
    await wait('?wait=1', tag, orderOf({ version: 4 })).answer.expect(200);
    const { useCases } = answering('awaitOrder', undefined);
    const { app } = createTestApp({ useCases });
    await request(app).get(`${BASE_PATH}/${newId()}?wait=1`).set(bearer()).expect(404);
  });

  it('waits for HEAD as for GET', async () => {
    const { useCases, asked } = answering('awaitOrder', orderOf({ version: 7 }));

    const { headers } = await request(createTestApp({ useCases }).app)
      .head(`${BASE_PATH}/${newId()}?wait=2`)
      .set(bearer())
      .expect(200);

    expect(headers['etag']).toBe('"7"');
    expect(asked).toMatchObject([{ seconds: 2 }]);
  });

  it('is measured and logged as a route of its own', async () => {
    const { answer, logLines, observations } = wait('?wait=1');

    await answer.expect(200);

    const route = `${BASE_PATH}/:orderId?wait`;
    expect([logLines, observations]).toMatchObject([[{ route }], [{ route }]]);
  });

  it('is given up when its client disconnects', async () => {
    let signal: AbortSignal | undefined;
    const { app } = createTestApp({
      useCases: {
        awaitOrder: (query) => {
          signal = query.signal;
          return new Promise(() => {});
        },
      },
    });
    const server = createServer(app).listen(0);
    const { port } = server.address() as AddressInfo;
    const path = `${BASE_PATH}/${newId()}?wait=30`;
    const call = send({ port, path, headers: bearer() }).on('error', () => {});
    call.end();
    await eventually(() => expect(signal?.aborted).toBe(false));

    call.destroy();

    await eventually(() => expect(signal?.aborted).toBe(true));
    server.close();
  });
});

describe('GET all', () => {
  const list = (page: Awaited<ReturnType<OrderUseCases['listOrders']>>, query = '') => {
    const { useCases, asked } = answering('listOrders', page);
    const { app } = createTestApp({ useCases });
    return { asked, answer: request(app).get(`${BASE_PATH}${query}`).set(bearer('ann')) };
  };

  it('answers 200 with a bare array in the order given', async () => {
    const orders = [orderOf(), orderOf({ status: 'complete', version: 1 }), orderOf({ status: 'cancelled' })];
    const { answer, asked } = list({ orders });

    const page = await answer.expect(200);

    expect(page.body).toEqual(orders.map(bodyOf));
    expect(page.headers).not.toHaveProperty('link');
    expect(page.headers).not.toHaveProperty('x-total-count');
    expect(page.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'private, no-cache',
    });
    expect(asked).toEqual([{ userId: 'ann', limit: 100 }]);
  });

  it.each(['created', 'awaiting:payment', 'complete', 'cancelled'])('takes the status %s', async (status) => {
    const { answer, asked } = list({ orders: [] }, `?status=${status}`);

    expect((await answer.expect(200)).body).toEqual([]);
    expect(asked).toEqual([{ userId: 'ann', limit: 100, statuses: [status] }]);
  });

  it('takes several statuses, each once, and a ticket in any case', async () => {
    const { answer, asked } = list(
      { orders: [] },
      '?status=complete&status=created&status=complete&ticketId=ABCDEFabcdef0123456789AB',
    );

    await answer.expect(200);

    expect(asked).toEqual([
      {
        userId: 'ann',
        limit: 100,
        statuses: ['complete', 'created'],
        ticketId: 'abcdefabcdef0123456789ab',
      },
    ]);
  });

  it.each([
    ['true', { withTotal: true }, '12'],
    ['false', {}, undefined],
  ])('with total=%s asks for %j and answers X-Total-Count: %s', async (value, expected, count) => {
    const page = { orders: [orderOf()], ...(count === undefined ? {} : { total: 12 }) };
    const { answer, asked } = list(page, `?total=${value}&limit=1`);

    const { headers } = await answer.expect(200);

    expect(asked).toEqual([{ userId: 'ann', limit: 1, ...expected }]);
    expect(headers['x-total-count']).toBe(count);
  });

  it('counts for HEAD as for GET, down to zero', async () => {
    const { useCases, asked } = answering('listOrders', { orders: [], total: 0 });
    const { app } = createTestApp({ useCases });

    const { headers, text } = await request(app).head(`${BASE_PATH}?total=true`).set(bearer('ann'));

    expect(asked).toEqual([{ userId: 'ann', limit: 100, withTotal: true }]);
    expect(headers).toMatchObject({ 'x-total-count': '0', etag: expect.stringMatching(/^".+"$/) as unknown });
    expect(text ?? '').toBe('');
  });

  it('answers 304 to the tag of the same page, with what is not in the page as it is now', async () => {
    const order = orderOf();
    const next = { createdAt: order.createdAt, id: order.id };
    const first = await list({ orders: [order], next, total: 2 }, '?total=true').answer.expect(200);
    const tag = first.headers['etag'] ?? '';
    const again = (page: Parameters<typeof list>[0]) => list(page).answer.set('If-None-Match', tag);

    const same = await again({ orders: [order], total: 1 }).expect(304);
    expect(same.text).toBe('');
    await again({ orders: [order] })
      .set('Cache-Control', 'no-cache')
      .expect(304);
    expect(same.headers).toMatchObject({ etag: tag, 'x-total-count': '1' });
    expect(same.headers).not.toHaveProperty('link');

    const changed = await again({ orders: [{ ...order, version: 1, status: 'complete' }] }).expect(200);
    expect(changed.headers['etag']).toMatch(/^"[\w-]{43}"$/);
    expect(changed.headers['etag']).not.toBe(tag);
    await again({ orders: [order, orderOf()] }).expect(200);
    await again({ orders: [] }).expect(200);
  });

  it('links to the next page, which begins behind the last order of this one and keeps the question', async () => {
    const next = { createdAt: new Date('2026-02-03T04:05:06.789Z'), id: newId() };
    const ticketId = newId();
    const filters = `status=awaiting%3Apayment&status=created&ticketId=${ticketId}&total=true`;
    const first = list({ orders: [orderOf()], next, total: 2 }, `?${filters}&limit=1`);

    const { headers } = await first.answer.expect(200);
    const [, url = ''] = /^<(.+)>; rel="next"$/.exec(headers['link'] ?? '') ?? [];
    const query = new URL(url, 'http://localhost').searchParams;
    const second = list({ orders: [] }, url.slice(BASE_PATH.length));
    await second.answer.expect(200);

    expect(url.startsWith(`${BASE_PATH}?`)).toBe(true);
    expect(query.has('cursor')).toBe(true);
    const asked = {
      userId: 'ann',
      statuses: ['awaiting:payment', 'created'],
      ticketId,
      withTotal: true,
      limit: 1,
    };
    expect(first.asked).toEqual([asked]);
    expect(second.asked).toEqual([{ ...asked, after: next }]);
  });

  it.each([0, 1, Date.now(), 999_999_999_999_999])(
    'hands out cursors that hold any time, %d',
    async (time) => {
      const next = { createdAt: new Date(time), id: newId() };

      const { headers } = await list({ orders: [], next }).answer;
      const [, url = ''] = /^<(.+)>; rel="next"$/.exec(headers['link'] ?? '') ?? [];
      const second = list({ orders: [] }, url.slice(BASE_PATH.length));
      await second.answer.expect(200);

      expect(second.asked).toEqual([{ userId: 'ann', limit: 100, after: next }]);
    },
  );
});

describe('DELETE', () => {
  const cancel = (result: Awaited<ReturnType<OrderUseCases['cancelOrder']>>) => {
    const { useCases, asked } = answering('cancelOrder', result);
    const { app } = createTestApp({ useCases });
    return { asked, answer: request(app).delete(`${BASE_PATH}/ABCDEFabcdef0123456789AB`).set(bearer('ann')) };
  };

  it('answers 204 without a body', async () => {
    const { answer, asked } = cancel('cancelled');

    const { text, headers } = await answer.expect(204);

    expect(text).toBe('');
    expect(headers).not.toHaveProperty('content-type');
    expect(asked).toEqual([{ userId: 'ann', orderId: 'abcdefabcdef0123456789ab' }]);
  });

  it("answers 404 for an unknown order, and for someone else's", async () => {
    const answer = await cancel('not-found').answer.expect(404);

    expect(answer.body).toMatchObject({ errors: [{ message: 'There is no such order' }] });
  });

  it.each([
    ['"0"', [0]],
    ['"12"', [12]],
    ['"0", "2"', [0, 2]],
    ['"0","2" , "10"', [0, 2, 10]],
    [', "0",, "2",', [0, 2]],
    ['W/"0", "2"', [2]],
    ['W/"0"', []],
    ['"00"', []],
    ['"+1", "1.0", "", " "', undefined],
    ['"+1", "1.0", ""', []],
    ['"0,1", "2"', [2]],
    ['"\u00e9"', []],
  ])('asks for the versions of If-Match: %s', async (tags, versions) => {
    const { answer, asked } = cancel('cancelled');

    const { status } = await answer.set('If-Match', tags);

    expect(status).toBe(versions === undefined ? 400 : 204);
    expect(asked).toEqual(
      versions === undefined ? [] : [{ userId: 'ann', orderId: 'abcdefabcdef0123456789ab', versions }],
    );
  });

  it('takes If-Match: * for any order that there is', async () => {
    const { answer, asked } = cancel('cancelled');

    await answer.set('If-Match', '*').expect(204);

    expect(asked).toEqual([{ userId: 'ann', orderId: 'abcdefabcdef0123456789ab' }]);
  });

  it('answers 412 for an order of another version', async () => {
    const answer = await cancel('precondition-failed').answer.set('If-Match', '"7"').expect(412);

    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(answer.body).toMatchObject({
      code: 'precondition-failed',
      status: 412,
      errors: [{ field: 'If-Match' }],
    });
  });

  it('answers 409 for an order that is paid', async () => {
    const answer = await cancel('already-paid').answer.expect(409);

    expect(answer.body).toMatchObject({ errors: [{ message: 'Order is already paid' }] });
  });
});

describe('at the root', () => {
  it('places, links, lists, shows and cancels, and leaves the probes where they are', async () => {
    const order = orderOf();
    const next = { createdAt: new Date(0), id: newId() };
    const { app, logLines } = createTestApp({
      basePath: '',
      useCases: {
        placeOrder: () => Promise.resolve({ type: 'placed', order }),
        listOrders: () => Promise.resolve({ orders: [order], next }),
        findOrder: () => Promise.resolve(order),
        cancelOrder: () => Promise.resolve('cancelled'),
      },
    });

    const placed = await request(app).post('/').set(bearer()).send({ ticketId: newId() }).expect(201);
    expect(placed.headers['location']).toBe(`/${order.id}`);
    const listed = await request(app).get('/').set(bearer()).expect(200);
    const [, link = ''] = /^<(\/\?.+)>; rel="next"$/.exec(listed.headers['link'] ?? '') ?? [];
    expect(link).toContain('cursor=');
    await request(app).get(link).set(bearer()).expect(200);
    await request(app).get(`/${order.id}`).set(bearer()).expect(200);
    await request(app).delete(`/${order.id}`).set(bearer()).expect(204);
    await request(app).get('/').expect(401);

    for (const path of ['/livez', '/readyz', '/metrics']) await request(app).get(path).expect(200);
    await request(app).get('/no/where').expect(404);
    expect(logLines.map(({ route }) => route)).toEqual([
      ...['/', '/', '/', '/:orderId', '/:orderId', '/'],
      ...['/livez', '/readyz', '/metrics', 'unmatched'],
    ]);
  });
});
