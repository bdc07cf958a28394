import { gzipSync } from 'node:zlib';
import request from 'supertest';
import { BASE_PATH, bearer, createTestApp, newId, orderOf } from '../support/http-app';

const ticketId = newId();

/** Reaching a use case would be the failure: each of them answers with success. */
function setUp() {
  const reached: string[] = [];
  const reach = (name: string) => {
    reached.push(name);
  };
  const { app } = createTestApp({
    useCases: {
      placeOrder: () => (reach('place'), Promise.resolve({ type: 'placed', order: orderOf() })),
      cancelOrder: () => (reach('cancel'), Promise.resolve('cancelled')),
      findOrder: () => (reach('find'), Promise.resolve(orderOf())),
      listOrders: () => (reach('list'), Promise.resolve({ orders: [] })),
    },
  });
  const post = (query = '') => request(app).post(`${BASE_PATH}${query}`).set(bearer());
  const get = (path: string) => request(app).get(`${BASE_PATH}${path}`).set(bearer());
  const remove = (path: string) => request(app).delete(`${BASE_PATH}${path}`).set(bearer());
  return { post, get, remove, reached };
}

function fieldsOf(answer: request.Response): unknown[] {
  return (answer.body as { errors: { field?: string }[] }).errors.map(({ field }) => field);
}

function expectProblem(answer: request.Response, status: number, field: string): void {
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toContain('application/problem+json');
  expect(answer.body).toMatchObject({
    status,
    type: expect.stringMatching(/^\/api\/v1\/orders\/problems\/[a-z-]+$/) as unknown,
    title: expect.any(String) as unknown,
    instance: `urn:request:${answer.headers['x-request-id']}`,
  });
  expect(fieldsOf(answer)).toContain(field);
  for (const { message } of (answer.body as { errors: { message: unknown }[] }).errors) {
    expect(message).toEqual(expect.stringMatching(/\w+/));
  }
}

/** The answer names what is wrong, and no use case is asked. */
async function isRefused(
  ask: (client: ReturnType<typeof setUp>) => PromiseLike<request.Response>,
  status: number,
  field: string,
  { alone = true } = {},
): Promise<void> {
  const client = setUp();
  const answer = await ask(client);
  expectProblem(answer, status, field);
  if (alone) expect(fieldsOf(answer)).toEqual([field]);
  expect(client.reached).toEqual([]);
}

describe('placing an order', () => {
  it.each([
    ['no ticketId', {}],
    ['null', { ticketId: null }],
    ['a number', { ticketId: 7 }],
    ['a number of 24 digits', { ticketId: 1e23 }],
    ['true', { ticketId: true }],
    ['an operator', { ticketId: { $gt: '' } }],
    ['an empty object', { ticketId: {} }],
    ['an object that can become a text', { ticketId: { toString: ticketId } }],
    ['an empty array', { ticketId: [] }],
    ['an array of one good id', { ticketId: [ticketId] }],
    ['an empty text', { ticketId: '' }],
    ['23 characters', { ticketId: ticketId.slice(1) }],
    ['25 characters', { ticketId: `${ticketId}0` }],
    ['a letter that is not hexadecimal', { ticketId: `${ticketId.slice(1)}g` }],
    ['twelve bytes, as an ObjectId takes them', { ticketId: 'abcdefghijkl' }],
    ['a space at the end', { ticketId: `${ticketId} ` }],
    ['a line break at the end', { ticketId: `${ticketId}\n` }],
    ['full-width digits', { ticketId: '０'.repeat(24) }],
  ])('with %s as ticketId gets 400 that names it', (_, body) =>
    isRefused(({ post }) => post().send(body), 400, 'ticketId'),
  );

  it.each([
    ['a text', '"10"'],
    ['null', 'null'],
    ['a list', '[10]'],
    ['less than nothing', '-0.01'],
    ['more than a number can be', '1e999'],
  ])('with %s as price gets 400 that names it', (_, price) =>
    isRefused(
      ({ post }) => post().type('json').send(`{"ticketId":"${ticketId}","price":${price}}`),
      400,
      'price',
    ),
  );

  it('without any body gets 400 that names ticketId', async () => {
    await isRefused(({ post }) => post(), 400, 'ticketId');
    await isRefused(({ post }) => post().set('Content-Length', '0'), 400, 'ticketId');
    await isRefused(({ post }) => post().set('Content-Type', 'application/json'), 400, 'ticketId');
    await isRefused(({ post }) => post().type('json').send(''), 400, 'ticketId');
  });

  it.each([
    ...['{', '{"ticketId":', '{"ticketId": undefined}', "{'ticketId': 1}", 'ticketId', '{}{}', '\u0000'],
    '{"a":1,}',
  ])('with the malformed JSON %j gets 400 that names the body', (text) =>
    isRefused(({ post }) => post().type('json').send(text), 400, 'body'),
  );

  it.each(['null', 'true', '7', '"text"', '[]', '[{}]', `["${ticketId}"]`, `[{"ticketId":"${ticketId}"}]`])(
    'with %s, which is no JSON object, gets 400 that names the body',
    (text) => isRefused(({ post }) => post().type('json').send(text), 400, 'body', { alone: false }),
  );

  it.each([
    ['prize', '1'],
    ['userId', '"someone else"'],
    ['$where', '"1"'],
    ['__proto__', '1'],
    ['__proto__', 'null'],
    ['__proto__', '{"ticketId":"x"}'],
    ['constructor', '1'],
    ['constructor', 'null'],
    ['constructor', '{"prototype":{}}'],
    ['toString', 'null'],
    ['hasOwnProperty', '{}'],
    ['', '1'],
    ['*', '1'],
    ['**', '1'],
    ['ticketId.x', '1'],
  ])('with the unknown field %j (%s) gets 400 that names it', (name, value) => {
    const body = `{"ticketId":"${ticketId}",${JSON.stringify(name)}:${value}}`;
    return isRefused(({ post }) => post().type('json').send(body), 400, name);
  });

  it('with hundreds of unknown fields gets an answer of a sensible size', async () => {
    const { post } = setUp();
    const body = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`field-${i}`, 1]));

    const answer = await post().send({ ticketId, ...body });

    expectProblem(answer, 400, 'field-0');
    expect(answer.text.length).toBeLessThan(2000);
  });

  it('names everything that is wrong at once', async () => {
    const { post } = setUp();

    const answer = await post().set('Idempotency-Key', 'a b').send({ ticketId: 1, color: 'red' });

    expect(fieldsOf(answer).sort()).toEqual(['Idempotency-Key', 'color', 'ticketId']);
  });

  it('with a body over 10 kB gets 413', () =>
    isRefused(({ post }) => post().send({ ticketId: 'x'.repeat(10 * 1024) }), 413, 'body'));

  it('with a body over 10 kB of unannounced length gets 413', () =>
    isRefused(
      ({ post }) => {
        const chunked = post().type('json').set('Transfer-Encoding', 'chunked');
        chunked.write(`{"ticketId":"${'x'.repeat(20 * 1024)}`);
        return chunked;
      },
      413,
      'body',
    ));

  it('with a body of almost 10 kB is read', async () => {
    const { post, reached } = setUp();
    const padding = ' '.repeat(10 * 1024 - 50);

    await post().type('json').send(`{"ticketId":"${ticketId}"${padding}}`).expect(201);
    expect(reached).toEqual(['place']);
  });

  it.each([
    ...['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'],
    ...['application/xml', 'application/problem+json', 'application/jsonp', 'json', '*/*', ';'],
    'application/json/x',
  ])('as %s gets 415', (type) =>
    isRefused(
      ({ post }) => post().set('Content-Type', type).serialize(String).send(JSON.stringify({ ticketId })),
      415,
      'Content-Type',
    ),
  );

  it.each(['application/json', 'application/json; charset=utf-8', 'APPLICATION/JSON;charset="UTF-8"'])(
    'as %s is read',
    async (type) => {
      const { post } = setUp();

      await post().set('Content-Type', type).serialize(String).send(JSON.stringify({ ticketId })).expect(201);
    },
  );

  it.each(['latin1', 'utf-99', 'utf-'])('in the character set %s gets 415', (charset) => {
    const type = `application/json; charset=${charset}`;
    const body = JSON.stringify({ ticketId });
    return isRefused(({ post }) => post().set('Content-Type', type).send(body), 415, 'Content-Type');
  });

  it.each(['gzip', 'br', 'deflate', 'compress', 'unheard-of'])('compressed as %s gets 415', (encoding) =>
    isRefused(
      ({ post }) => {
        const zipped = post().type('json').set('Content-Encoding', encoding);
        zipped.write(gzipSync(JSON.stringify({ ticketId })));
        return zipped;
      },
      415,
      'Content-Encoding',
    ),
  );

  it.each<[string, string | string[]]>([
    ['an empty key', ''],
    ['a space in it', 'a b'],
    ['a tab in it', 'a\tb'],
    ['a letter outside ASCII', 'sch\u00f6n'],
    ['256 characters', 'k'.repeat(256)],
    ['two keys', ['one', 'two']],
  ])('with an Idempotency-Key that is or has %s gets 400 that names it', (_, key) => {
    const headers = { 'Idempotency-Key': key } as Record<string, string>;
    return isRefused(({ post }) => post().set(headers).send({ ticketId }), 400, 'Idempotency-Key');
  });
});

describe('a query that is not known', () => {
  it.each([
    ['page', 'page=2'],
    ['limit', 'limit=1'],
    ['status', 'status=created'],
    ['orderId', `orderId=${ticketId}`],
    ['ticketId', `ticketId=${ticketId}`],
    ['__proto__', '__proto__=1'],
    ['constructor', 'constructor=1'],
    ['', '=1'],
  ])('gets 400 that names %j wherever it is not known: ?%s', async (field, query) => {
    await isRefused(({ post }) => post(`?${query}`).send({ ticketId }), 400, field);
    await isRefused(({ get }) => get(`/${ticketId}?${query}`), 400, field);
    await isRefused(({ remove }) => remove(`/${ticketId}?${query}`), 400, field);
    if (!['limit', 'status', 'ticketId'].includes(field))
      await isRefused(({ get }) => get(`?${query}`), 400, field);
  });

  it('is named together with all else that is wrong', async () => {
    const { post, remove } = setUp();

    expect(fieldsOf(await post('?a=1&b=2').send({ c: 3 })).sort()).toEqual(['a', 'b', 'c', 'ticketId']);
    expect(fieldsOf(await remove('/x?a=1').set('If-Match', 'y')).sort()).toEqual([
      'If-Match',
      'a',
      'orderId',
    ]);
  });

  it('is named ten times at most, and in part', async () => {
    const { get } = setUp();
    const long = 'x'.repeat(200);

    const answer = await get(`?${Array.from({ length: 11 }, (_, i) => `${i}${long}`).join('&')}`);

    expect(fieldsOf(answer)).toHaveLength(10);
    expect(fieldsOf(answer)[9]).toBe(`9${long}`.slice(0, 100));
  });
});

describe('cancelling an order with an If-Match that is none', () => {
  it.each([
    ...['0', '"0', '0"', "'0'", '"0" "1"', '"0""1"', '*, "0"', '"0", *', 'w/"0"', 'W/0', 'W/', ',', ''],
    ...['"a b"', '"0", x'],
  ])('gets 400 that names it: %s', (value) =>
    isRefused(({ remove }) => remove(`/${ticketId}`).set('If-Match', value), 400, 'If-Match'),
  );

  it('takes no longer for a long one', async () => {
    const { remove } = setUp();

    for (const value of [', '.repeat(6_000), `${'"0", '.repeat(2_000)}x`, `"0"${' '.repeat(10_000)}x`]) {
      expectProblem(await remove(`/${ticketId}`).set('If-Match', value), 400, 'If-Match');
    }
  });
});

describe('showing or cancelling an order', () => {
  it.each([
    'x',
    ticketId.slice(1),
    `${ticketId}0`,
    'abcdefghijkl',
    `${ticketId}%20`,
    `${ticketId}%00`,
    `${ticketId}%0A`,
    '%2e%2e',
    '__proto__',
    '$gt',
    '[object Object]',
    'é'.repeat(24),
    'f'.repeat(5000),
  ])('by the malformed id %s gets 400 that names it', async (id) => {
    const path = `/${encodeURI(decodeURI(id))}`;
    await isRefused(({ get }) => get(path), 400, 'orderId');
    await isRefused(({ remove }) => remove(path), 400, 'orderId');
  });

  it.each(['/%', '/%zz', '/%E0%A4%A', `/${ticketId}%`, '/%ff'])(
    'by the path %s, wrongly encoded, gets 400',
    async (path) => {
      const { get, remove, reached } = setUp();

      for (const answer of [await get(path), await remove(path)]) {
        expect(answer.status).toBe(400);
        expect(answer.headers['content-type']).toContain('application/problem+json');
        expect(answer.text).not.toContain('decode');
      }
      expect(reached).toEqual([]);
    },
  );
});

describe('waiting for a change', () => {
  it.each(['0', '-1', '31', '1.5', '1e1', '010', '', '%201', 'ten', '1&wait=2'])(
    'for ?wait=%s gets 400 that names it',
    (value) => isRefused(({ get }) => get(`/${ticketId}?wait=${value}`), 400, 'wait'),
  );

  it('is for showing one order only', async () => {
    await isRefused(({ get }) => get('?wait=1'), 400, 'wait');
    await isRefused(({ remove }) => remove(`/${ticketId}?wait=1`), 400, 'wait');
    await isRefused(({ post }) => post('?wait=1').send({ ticketId }), 400, 'wait');
  });
});

describe('listing orders', () => {
  const goodCursor = Buffer.from(`1767225600000.${newId()}`).toString('base64url');
  const cursorOf = (text: string) => Buffer.from(text).toString('base64url');

  it.each<string[]>([
    ...['=lost', '=', '', '=Created', '=created,complete'].map((rest) => ['status', `status${rest}`]),
    ...['lost&status=created', 'created&status=', 'created&status=x'].map((rest) => [
      'status',
      `status=${rest}`,
    ]),
    ...['', '1', `${newId()}0`, `${newId()}&ticketId=${newId()}`].map((id) => ['ticketId', `ticketId=${id}`]),
    ...['', '1', 'TRUE', 'yes', 'true&total=true'].map((value) => ['total', `total=${value}`]),
    ...['0', '-1', '201', '1.5', '1e2', '0x10', '010', '', '%201', 'ten', 'NaN', 'Infinity', '1&limit=2'].map(
      (value) => ['limit', `limit=${value}`],
    ),
    ['limit', `limit=1${'0'.repeat(400)}`],
    ...['', 'x', '%zz', `${goodCursor}&cursor=${goodCursor}`].map((value) => ['cursor', `cursor=${value}`]),
    ...[`${goodCursor}=`, `${goodCursor}x`, `%20${goodCursor}`].map((value) => ['cursor', `cursor=${value}`]),
    ...[
      ...[`${newId()}.1`, `-1.${newId()}`, `01.${newId()}`, `1.5.${newId()}`, `9999999999999999.${newId()}`],
      ...[`1.${newId().toUpperCase().replace(/\d/g, 'A')}`, `1.${newId()}\n`, '{"createdAt":{"$gt":""}}'],
    ].map((text) => ['cursor', `cursor=${cursorOf(text)}`]),
    ['limit[]', 'limit[]=1'],
    ['status[$ne]', 'status[$ne]=created'],
    ['page', 'page=2'],
    ['Status', 'Status=created'],
    ['userId', 'userId=someone'],
    ['__proto__', '__proto__=1'],
    ['constructor', 'constructor=1'],
    ['constructor', 'constructor=1&constructor=2'],
    ['', '=1'],
  ])('gets 400 that names %j for ?%s', (field = '', query) =>
    isRefused(({ get }) => get(`?${query}`), 400, field),
  );

  it.each([
    ...['', '?', '?&&', '?limit=1', '?limit=200', '?status=awaiting:payment', `?cursor=${goodCursor}`],
    ...['?status=created&status=complete', '?status=created&status=created', `?ticketId=${newId()}`],
    ...['?total=true', '?total=false'],
  ])('takes %j', async (query) => {
    const { get } = setUp();

    await get(query).expect(200);
  });
});
