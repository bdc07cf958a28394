import { createHmac, createSecretKey, createSign, generateKeyPairSync } from 'node:crypto';
import jwt from 'jsonwebtoken';
import request from 'supertest';
import {
  BASE_PATH,
  CURRENT_KEY,
  PREVIOUS_KEY,
  cookieOf,
  createTestApp,
  orderOf,
  tokenOf,
} from '../support/http-app';
import type { OrderUseCases } from '../../src/http/orders';
import { createTokenVerifier } from '../../src/http/tokens';

const NOW = new Date('2026-01-01T00:00:00Z');
const nowSeconds = NOW.getTime() / 1000;

/** Lists nothing, and remembers for whom. */
function createListing() {
  const asked: string[] = [];
  const listOrders: OrderUseCases['listOrders'] = ({ userId }) => {
    asked.push(userId);
    return Promise.resolve({ orders: [] });
  };
  return { asked, listOrders };
}

function setUp({ now = () => NOW } = {}) {
  const { asked, listOrders } = createListing();
  const { app, logLines } = createTestApp({ useCases: { listOrders }, now });
  const get = (headers: Record<string, string>) => request(app).get(BASE_PATH).set(headers);
  return { get, asked, app, logLines };
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function withSignature(header: object, payload: object, sign: (input: string) => string): string {
  const input = `${base64url(header)}.${base64url(payload)}`;
  return `${input}.${sign(input)}`;
}

/** Whoever sends this is let in as Ann. */
async function isAnn(headers: Record<string, string>): Promise<void> {
  const { get, asked } = setUp();
  await get(headers).expect(200);
  expect(asked).toEqual(['ann']);
}

/** Who sends this is told so by the header, and nobody is asked for orders. */
async function isRefused(headers: Record<string, string>, challenge: RegExp): Promise<void> {
  const { get, asked } = setUp();
  const answer = await get(headers).expect(401);
  expect(answer.headers['www-authenticate']).toMatch(challenge);
  expect(answer.headers['content-type']).toContain('application/problem+json');
  expect(answer.body).toMatchObject({ status: 401, title: 'Not authorized' });
  expect(asked).toEqual([]);
}

const goodClaims = { id: 'user-1', email: 'one@example.com', iat: nowSeconds };

describe('a caller is known', () => {
  it.each(['Bearer', 'bearer', 'BEARER'])('by the header "Authorization: %s <token>"', (scheme) =>
    isAnn({ Authorization: `${scheme} ${tokenOf('ann')}` }),
  );

  it.each(['session', 'express:sess'])('by the cookie "%s"', (name) =>
    isAnn({ Cookie: `theme=dark; ${name}=${cookieOf(tokenOf('ann'))}; ${name}.sig=whatever` }),
  );

  it.each([
    ['base64url', (json: string) => Buffer.from(json).toString('base64url')],
    ['percent-encoded base64', (json: string) => encodeURIComponent(Buffer.from(json).toString('base64'))],
    ['quoted base64', (json: string) => `"${Buffer.from(json).toString('base64')}"`],
  ])('by a cookie in %s', (_, encode) =>
    isAnn({ Cookie: `session=${encode(JSON.stringify({ jwt: tokenOf('ann'), more: '?>' }))}` }),
  );

  it.each([{ kid: '../../etc/passwd' }, { jku: 'http://127.0.0.1:1/' }, { jwk: {} }, { x5c: ['x'] }])(
    'by our key alone, whatever the header of the token says of others: %j',
    async (said) => {
      const token = withSignature({ alg: 'HS256', ...said }, { ...goodClaims, id: 'ann' }, (input) =>
        hmac(input, CURRENT_KEY),
      );
      await isAnn({ Authorization: `Bearer ${token}` });
    },
  );

  const ann = cookieOf(tokenOf('ann'));
  const stale = cookieOf(tokenOf('ann', { claims: { exp: nowSeconds - 60 } }));
  const foreign = cookieOf(tokenOf('bob', { key: 'not our key' }));
  const bob = cookieOf(tokenOf('bob'));
  it.each([
    ['of the second name, the first holding no valid token', `session=${foreign}; express:sess=${ann}`],
    ['that is the first of two of one name', `session=${ann}; session=${bob}`],
    ['behind a stale one of the same name', `session=${stale}; session=${ann}`],
    [
      'behind several of both names',
      `session=${stale}; express:sess=${stale}; session=${foreign}; express:sess=${ann}`,
    ],
    ['behind one of another application', `session=s%3Aabc.def; session=${ann}`],
    [
      'behind another application under both names',
      `express:sess=eyJ1c2VyIjoxfQ==; session=x; express:sess=${ann}`,
    ],
    ['behind one in quotes', `session="${stale}"; session="${ann}"`],
    ['behind one without a value', `session=; session; session=${ann}`],
    ['behind one that is too long', `session=${'x'.repeat(12 * 1024 + 1)}; session=${ann}`],
    ['behind hundreds of other applications', `${'session=x; '.repeat(500)}session=${ann}`],
    ['behind 19 that are stale', `${`session=${cookieOf('a.b.c')}; `.repeat(19)}session=${ann}`],
  ])('by a good cookie %s', (_, Cookie) => isAnn({ Cookie }));

  it('by a good cookie in a Cookie header of its own', () =>
    isAnn({ Cookie: [`session=${stale}`, `session=${ann}`] as unknown as string }));

  it.each(['Basic YW5uOnNlY3JldA==', 'Negotiate abc', 'Digest username="x"', 'Token x', 'Bearerish x', ''])(
    'by a good cookie beside the header "Authorization: %s"',
    (Authorization) => isAnn({ Authorization, Cookie: `session=${ann}` }),
  );

  it('by a token of the previous key, so that keys can be rotated', () =>
    isAnn({ Authorization: `Bearer ${tokenOf('ann', { key: PREVIOUS_KEY })}` }));

  it('by a token that never expires', async () => {
    const { get } = setUp({ now: () => new Date('2099-01-01') });

    await get({ Authorization: `Bearer ${tokenOf('ann')}` }).expect(200);
  });

  it('every time by their own token, cached or not', async () => {
    const { get, asked } = setUp();
    for (const user of ['ann', 'bob', 'ann', 'bob']) {
      await get({ Authorization: `Bearer ${tokenOf(user)}` }).expect(200);
    }

    expect(asked).toEqual(['ann', 'bob', 'ann', 'bob']);
  });
});

describe('a token', () => {
  const verificationsOf = async (token: string, times: number) => {
    const { get } = setUp();
    const verify = jest.spyOn(jwt, 'verify');
    for (let i = 0; i < times; i += 1) await get({ Authorization: `Bearer ${token}` });
    const count = verify.mock.calls.length;
    verify.mockRestore();
    return count;
  };

  it('is verified once, for that costs more than the rest of a request', async () => {
    expect(await verificationsOf(tokenOf('ann'), 3)).toBe(1);
  });

  it('is not taken for another that is remembered, however alike', async () => {
    const { get } = setUp();
    const token = tokenOf('ann');
    await get({ Authorization: `Bearer ${token}` }).expect(200);

    for (const alike of [token.toUpperCase(), token.slice(0, -1), `${token}=`, `${token}.`, `x${token}`]) {
      await get({ Authorization: `Bearer ${alike}` }).expect(401);
    }
  });

  it('is not remembered when it is bad', async () => {
    expect(await verificationsOf(tokenOf('ann', { key: PREVIOUS_KEY, claims: { exp: 1 } }), 3)).toBe(6);
  });
});

describe('a token counts only in its time, and for five seconds more, for clocks differ', () => {
  const TOLERANCE_MS = 5_000;
  const cases: [string, () => Record<string, string>][] = [
    ['a header', () => ({ Authorization: `Bearer ${token()}` })],
    ['a cookie', () => ({ Cookie: `session=${cookieOf(token())}` })],
  ];
  const token = () => tokenOf('ann', { claims: { iat: nowSeconds, nbf: nowSeconds, exp: nowSeconds + 60 } });

  it.each(cases)('also when %s brought it before and it is cached', async (_, headers) => {
    let now = NOW;
    const { get } = setUp({ now: () => now });
    const same = headers();

    const isGoodAt = async (milliseconds: number) => {
      now = new Date(NOW.getTime() + milliseconds);
      expect((await get(same)).status).toBe(200);
      expect((await setUp({ now: () => now }).get(same)).status).toBe(200);
    };
    const isRefusedAt = async (milliseconds: number, why: RegExp) => {
      now = new Date(NOW.getTime() + milliseconds);
      for (const answer of [await get(same), await setUp({ now: () => now }).get(same)]) {
        expect(answer.status).toBe(401);
        expect(answer.headers['www-authenticate']).toMatch(why);
      }
    };

    await isGoodAt(0);
    await isGoodAt(60_000 + TOLERANCE_MS - 1);
    await isRefusedAt(60_000 + TOLERANCE_MS, /expired/);
    await isRefusedAt(-TOLERANCE_MS - 1, /not valid yet/);
    await isGoodAt(-TOLERANCE_MS);
  });

  it('and is tried again once its time has come', async () => {
    let now = new Date(NOW.getTime() - 10_000);
    const { get } = setUp({ now: () => now });
    const headers = { Authorization: `Bearer ${token()}` };

    await get(headers).expect(401);
    now = NOW;
    await get(headers).expect(200);
  });
});

describe('401 is the answer to', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const rs256 = (input: string) => createSign('RSA-SHA256').update(input).sign(rsa.privateKey, 'base64url');
  const publicKey = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const good = tokenOf('ann');
  const [header, payload, signature] = good.split('.') as [string, string, string];
  const ofOtherUser = base64url({ ...goodClaims, id: 'bob' });
  const goodText = JSON.stringify(goodClaims);
  const jwk = rsa.publicKey.export({ format: 'jwk' });
  const secret = { kty: 'oct', k: Buffer.from('s').toString('base64url') };
  const by = (key: string) => (input: string) => hmac(input, key);

  const tokens: [string, string][] = [
    ['algorithm none, unsigned', withSignature({ alg: 'none', typ: 'JWT' }, goodClaims, () => '')],
    [
      'algorithm none, with a signature',
      withSignature({ alg: 'none', typ: 'JWT' }, goodClaims, () => signature),
    ],
    ['algorithm None in other letters', withSignature({ alg: 'nOnE', typ: 'JWT' }, goodClaims, () => '')],
    ['algorithm RS256', withSignature({ alg: 'RS256', typ: 'JWT' }, goodClaims, rs256)],
    ['algorithm RS256 in name, HMAC in truth', withAlgorithm(good, 'RS256')],
    ['an HMAC made with a public key', tokenOf('ann', { key: publicKey })],
    ['algorithm HS512, signed with our key', tokenOf('ann', { algorithm: 'HS512' })],
    ['algorithm HS384, signed with our key', tokenOf('ann', { algorithm: 'HS384' })],
    ['an algorithm that is an object', withSignature({ alg: { a: 1 }, typ: 'JWT' }, goodClaims, () => 'x')],
    ['an algorithm that is null', withSignature({ alg: null }, goodClaims, () => 'x')],
    ['no algorithm', withSignature({}, goodClaims, () => 'x')],
    ['another key', tokenOf('ann', { key: 'someone else made this one up' })],
    ['an empty key', withEmptyKey()],
    ['an expired token', tokenOf('ann', { claims: { iat: nowSeconds - 20, exp: nowSeconds - 10 } })],
    ['a token that expired five seconds ago', tokenOf('ann', { claims: { exp: nowSeconds - 5 } })],
    ['a token that is not valid yet', tokenOf('ann', { claims: { nbf: nowSeconds + 6 } })],
    ['an expiry that is no number', signedAsIs({ ...goodClaims, exp: 'tomorrow' })],
    ['an expiry that is null', signedAsIs({ ...goodClaims, exp: null })],
    ['a start that is no number', signedAsIs({ ...goodClaims, nbf: 'yesterday' })],
    ['no time of issue', signedAsIs({ ...goodClaims, iat: undefined })],
    ['a time of issue that is no number', signedAsIs({ ...goodClaims, iat: '1' })],
    ['no user id', tokenOf('ann', { claims: { id: undefined } })],
    ['a user id that is an object', tokenOf({ $gt: '' })],
    ['a user id that is a number', tokenOf(7)],
    ['a user id that is an array', tokenOf(['ann'])],
    ['a user id that is null', tokenOf(null)],
    ['a user id that is true', tokenOf(true)],
    ['an empty user id', tokenOf('')],
    ['a user id longer than 200 characters', tokenOf('a'.repeat(201))],
    ['a user id with half a surrogate pair', signedAsText('{"id":"ann\\ud800","email":"a","iat":1}')],
    ['a user id in the prototype only', signedAsText('{"__proto__":{"id":"ann"},"email":"a","iat":1}')],
    ['no email', tokenOf('ann', { claims: { email: undefined } })],
    ['an email that is an object', tokenOf('ann', { claims: { email: {} } })],
    ['claims that are null', signedAsText('null')],
    ['claims that are an array', signedAsText('[]')],
    ['claims that are a text', signedAsText('"ann"')],
    ['claims that are not JSON', signedAsText('{')],
    ['claims of someone else under our signature', `${header}.${ofOtherUser}.${signature}`],
    ['a token without its signature', `${header}.${payload}.`],
    ['a token without its last character', good.slice(0, -1)],
    ['a token with one more part', `${good}.${signature}`],
    ['a token of two parts', `${header}.${payload}`],
    ['dots', '..'],
    ['one dot', '.'],
    ['a word', 'token'],
    ['garbage', '%%%.$$$.###'],
    ['"null"', 'null'],
    ['a header that brings its own key', withSignature({ alg: 'RS256', jwk }, goodClaims, rs256)],
    [
      'a header that brings its own secret',
      withSignature({ alg: 'HS256', jwk: secret }, goodClaims, by('s')),
    ],
    ['a header that says where keys are', withSignature({ alg: 'HS256', jku: '/keys' }, goodClaims, by('s'))],
    ['an empty file named as key', withSignature({ alg: 'HS256', kid: '/dev/null' }, goodClaims, by(''))],
    ['an algorithm in small letters', withSignature({ alg: 'hs256' }, goodClaims, by(CURRENT_KEY))],
    ['two algorithms, the last of them none', signedAsText(goodText, '{"alg":"HS256","alg":"none"}')],
    ['an algorithm in the prototype only', signedAsText(goodText, '{"__proto__":{"alg":"HS256"}}')],
    ['a header that is an array', signedAsText(goodText, '[{"alg":"HS256"}]')],
    ['a header that is null', signedAsText(goodText, 'null')],
    ['a signature that differs from ours only in bits that say nothing', otherwiseSpelt(good)],
    ['a signature with padding', `${good}=`],
    ['a signature in ordinary base64', withSignature({ alg: 'HS256' }, goodClaims, ordinarySignature)],
    ['two user ids, the last of them an object', signedAsText('{"id":"ann","id":{},"email":"a","iat":1}')],
    ['a line break between its parts', `${header}.${payload}.\u0085${signature}`],
    ['a token of more than 8 kB', tokenOf('ann', { claims: { filling: 'x'.repeat(6_200) } })],
  ];

  it.each(tokens)('%s, as Bearer token and in the cookie', async (_, token) => {
    const challenge = /^Bearer error="invalid_token", error_description="/;
    await isRefused({ Authorization: `Bearer ${token}` }, challenge);
    await isRefused({ Cookie: `session=${cookieOf(token)}` }, challenge);
    await isRefused({ Cookie: `express:sess=${cookieOf(token)}` }, challenge);
  });

  it.each<[string, Record<string, string>]>([
    ['nothing at all', {}],
    ['an empty Authorization header', { Authorization: '' }],
    ['another scheme', { Authorization: `Basic ${good}` }],
    ['a token without a scheme', { Authorization: good }],
    ['a good token in a cookie of another name', { Cookie: `jwt=${cookieOf(good)}` }],
    ['the bare token as cookie', { Cookie: `session=${good}` }],
    ['the signature cookie alone', { Cookie: `express:sess.sig=${cookieOf(good)}` }],
  ])('%s, which is no sign-in at all', (_, headers) => isRefused(headers, /^Bearer$/));

  it.each([
    ['a scheme without a token', { Authorization: 'Bearer' }],
    ['a scheme and a space', { Authorization: 'Bearer ' }],
    ['two tokens', { Authorization: `Bearer ${good} ${good}` }],
    ['a bad token', { Authorization: 'Bearer x' }],
    ['an expired token', { Authorization: `Bearer ${tokenOf('ann', { claims: { exp: 1 } })}` }],
  ])('%s, also beside a good cookie', async (_, headers) => {
    await isRefused(headers, /error="invalid_token"/);
    await isRefused({ ...headers, Cookie: `session=${cookieOf(good)}` }, /error="invalid_token"/);
  });

  const encoded = (json: string) => Buffer.from(json).toString('base64');
  it.each([
    ['empty', ''],
    ['an equals sign', '='],
    ['not base64', '%%%'],
    ['not JSON', encoded('{"jwt":')],
    ['not UTF-8', Buffer.from([0xff, 0xfe, 0x00, 0xc3, 0x28]).toString('base64')],
    ['null', encoded('null')],
    ['a number', encoded('7')],
    ['true', encoded('true')],
    ['a text', encoded('"jwt"')],
    ['an array', encoded('["jwt"]')],
    ['an array of one object', encoded(`[{"jwt":"${good}"}]`)],
    ['an object without jwt', encoded('{}')],
    ['jwt in the prototype', encoded(`{"__proto__":{"jwt":"${good}"}}`)],
    ['a constructor', encoded('{"constructor":{"prototype":{"jwt":"x"}}}')],
    ['jwt as null', cookieOf(null)],
    ['jwt as a number', cookieOf(7)],
    ['jwt as true', cookieOf(true)],
    ['jwt as an array', cookieOf([good])],
    ['jwt as an object', cookieOf({ toString: good })],
    ['jwt as nested objects', cookieOf({ jwt: { jwt: good } })],
    ['jwt as an empty text', cookieOf('')],
    ['thousands of brackets', encoded('['.repeat(9000))],
  ])('a cookie that is or holds %s', async (_, value) => {
    for (const name of ['session', 'express:sess'])
      await isRefused({ Cookie: `${name}=${value}` }, /^Bearer/);
  });

  it('more tokens than anybody has, for each takes time', async () => {
    const { get } = setUp();
    const verify = jest.spyOn(jwt, 'verify');
    const Cookie = `${`session=${cookieOf('a.b.c')}; `.repeat(20)}session=${cookieOf(good)}`;

    await get({ Cookie }).expect(401);

    // With each of the two keys.
    expect(verify).toHaveBeenCalledTimes(40);
    verify.mockRestore();
  });

  it('a good token in a cookie of more than 12 kB', async () => {
    const { get } = setUp();
    const cookieWith = (filling: number) =>
      Buffer.from(JSON.stringify({ jwt: good, filling: 'x'.repeat(filling) })).toString('base64');
    const cookies = [9_000, 9_500].map(cookieWith);

    expect(cookies.map(({ length }) => length > 12 * 1024)).toEqual([false, true]);
    await get({ Cookie: `session=${cookies[0]}` }).expect(200);
    await get({ Cookie: `session=${cookies[1]}` }).expect(401);
  });

  it.each(['=', ';', '; ;', 'session', ';session=', 'a=b;;c', '__proto__=x; constructor=y'])(
    'the cookie header "%s"',
    (Cookie) => isRefused({ Cookie }, /^Bearer/),
  );

  it('every method of every route of orders', async () => {
    const { app } = setUp();
    const id = orderOf().id;

    await request(app).get(BASE_PATH).expect(401);
    await request(app).post(BASE_PATH).send({ ticketId: id }).expect(401);
    await request(app).get(`${BASE_PATH}/${id}`).expect(401);
    await request(app).delete(`${BASE_PATH}/${id}`).expect(401);
  });

  it('a body that is too large, unread', async () => {
    const { app } = setUp();

    await request(app)
      .post(BASE_PATH)
      .send({ ticketId: 'x'.repeat(20_000) })
      .expect(401);
  });

  function withAlgorithm(token: string, alg: string): string {
    const [, claims = '', mac = ''] = token.split('.');
    return `${base64url({ alg, typ: 'JWT' })}.${claims}.${mac}`;
  }

  /** Of the last character of a signature only four bits count. */
  function otherwiseSpelt(token: string): string {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    return token.slice(0, -1) + alphabet.charAt(alphabet.indexOf(token.slice(-1)) ^ 1);
  }

  /** Different from base64url for sure: it is padded. */
  function ordinarySignature(input: string): string {
    return createHmac('sha256', CURRENT_KEY).update(input).digest('base64');
  }

  function signedAsIs(claims: object): string {
    return signedAsText(JSON.stringify(claims));
  }
});

describe('a 401', () => {
  const good = tokenOf('ann');
  const expired = tokenOf('ann', { claims: { exp: nowSeconds - 60 } });
  const early = tokenOf('ann', { claims: { nbf: nowSeconds + 60 } });
  const foreign = tokenOf('ann', { key: 'not our key' });
  const forgedAndExpired = tokenOf('ann', { key: 'not our key', claims: { exp: 1 } });
  const ofPreviousKey = tokenOf('ann', { key: PREVIOUS_KEY, claims: { exp: 1 } });
  const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
  const cookies = (...tokens: string[]) => ({
    Cookie: tokens.map((token) => `session=${cookieOf(token)}`).join('; '),
  });

  it.each([
    ['expired', bearer(expired), 'The token has expired'],
    ['expired', bearer(ofPreviousKey), 'The token has expired'],
    ['expired', cookies(expired), 'The token in the session cookie has expired'],
    ['not-yet-valid', bearer(early), 'The token is not valid yet'],
    ['not-yet-valid', cookies(early), 'The token in the session cookie is not valid yet'],
    ['not-ours', bearer(foreign), 'The token is not one that this service accepts'],
    ['not-ours', bearer(forgedAndExpired), 'The token is not one that this service accepts'],
    ['not-ours', bearer('x'), 'The token is not one that this service accepts'],
    ['not-ours', bearer(tokenOf(7)), 'The token is not one that this service accepts'],
    ['not-ours', cookies(foreign), 'The token in the session cookie is not one that this service accepts'],
    ['expired', cookies(foreign, early, expired), 'The token in the session cookie has expired'],
    ['not-yet-valid', cookies(foreign, early), 'The token in the session cookie is not valid yet'],
    [
      'expired',
      { ...cookies(expired), Authorization: 'Basic x' },
      'The token in the session cookie has expired',
    ],
  ])('tells why: %s', async (reason, headers, description) => {
    const { get, logLines } = setUp();

    const answer = await get(headers).expect(401);

    expect(answer.headers['www-authenticate']).toBe(
      `Bearer error="invalid_token", error_description="${description}"`,
    );
    expect(answer.body).toMatchObject({
      code: 'not-authorized',
      title: 'Not authorized',
      detail: description,
      errors: [{ message: description }],
    });
    expect(logLines).toMatchObject([{ status: 401, signInRefused: reason }]);
    expect(JSON.stringify([answer.body, answer.headers, logLines])).not.toContain('eyJ');
  });

  it.each<Record<string, string>>([{}, { Authorization: 'Basic x' }, { Cookie: 'session=s%3Aabc' }])(
    'names no error where no token was sent, but %j',
    async (headers) => {
      const { get, logLines } = setUp();

      const answer = await get(headers).expect(401);

      expect(answer.headers['www-authenticate']).toBe('Bearer');
      expect(answer.body).toMatchObject({ detail: expect.stringMatching(/^Sign in/) as unknown });
      expect(logLines).toMatchObject([{ status: 401, signInRefused: 'missing' }]);
    },
  );

  it('leaves no trace on the request that is let in', async () => {
    const { get, logLines } = setUp();

    await get(cookies(expired, good)).expect(200);

    expect(logLines).toMatchObject([{ status: 200, userId: 'ann' }]);
    expect(logLines[0]).not.toHaveProperty('signInRefused');
  });
});

describe('the memory of verified tokens', () => {
  const keys = [createSecretKey(Buffer.from(CURRENT_KEY))];
  const tokens = Array.from({ length: 10_001 }, (_, i) => tokenOf(`user-${i}`));

  it('holds 10,000 of them, those that were used last', () => {
    const verifyToken = createTokenVerifier({ keys, now: () => NOW });
    const verify = jest.spyOn(jwt, 'verify');
    const isRemembered = (token: string) => {
      const before = verify.mock.calls.length;
      expect(verifyToken(token)).toHaveProperty('userId');
      return verify.mock.calls.length === before;
    };

    const [first = '', second = ''] = tokens;
    for (const token of tokens.slice(0, 10_000)) verifyToken(token);
    expect(isRemembered(first)).toBe(true);
    expect(isRemembered(tokens.at(-1) ?? '')).toBe(false);

    expect(isRemembered(first)).toBe(true);
    expect(isRemembered(tokens.at(-1) ?? '')).toBe(true);
    expect(isRemembered(second)).toBe(false);
    verify.mockRestore();
  });

  it('holds none that is longer than 1 kB, and none of more than 8 kB is looked at', () => {
    const verifyToken = createTokenVerifier({ keys, now: () => NOW });
    const verify = jest.spyOn(jwt, 'verify');
    const tokenOfLength = (length: number) => {
      for (let filling = 0; ; filling += 1) {
        const token = tokenOf('ann', { claims: { filling: 'x'.repeat(filling) } });
        if (token.length >= length) return token;
        filling += Math.max(0, Math.floor(((length - token.length) * 3) / 4) - 8);
      }
    };
    const verifications = (token: string) => {
      verify.mockClear();
      const verdicts = [verifyToken(token), verifyToken(token)];
      return { times: verify.mock.calls.length, isGood: verdicts.every((verdict) => 'userId' in verdict) };
    };

    expect(verifications(tokenOfLength(1_000))).toEqual({ times: 1, isGood: true });
    expect(verifications(tokenOfLength(1_026))).toEqual({ times: 2, isGood: true });
    expect(verifications(tokenOfLength(8_180))).toEqual({ times: 2, isGood: true });
    expect(verifications(tokenOfLength(8_193))).toEqual({ times: 0, isGood: false });
    verify.mockRestore();
  });
});

describe('a request that another site caused', () => {
  const cookie = { Cookie: `session=${cookieOf(tokenOf('ann'))}` };
  const crossSite = { 'Sec-Fetch-Site': 'cross-site' };
  const caused = { ...cookie, ...crossSite };
  const id = orderOf().id;

  function setUpAll(corsOrigins: readonly string[] = []) {
    const called: string[] = [];
    const { app } = createTestApp({
      now: () => NOW,
      corsOrigins,
      useCases: {
        placeOrder: () => {
          called.push('place');
          return Promise.resolve({ type: 'placed', order: orderOf() });
        },
        cancelOrder: () => {
          called.push('cancel');
          return Promise.resolve('cancelled');
        },
        listOrders: () => Promise.resolve({ orders: [] }),
      },
    });
    return { app, called };
  }

  it('gets 403 when it signs in by cookie and would change something', async () => {
    const { app, called } = setUpAll();

    const placing = await request(app).post(BASE_PATH).set(caused).send({ ticketId: id });
    const cancelling = await request(app)
      .delete(`${BASE_PATH}/${id}`)
      .set({ ...cookie, ...crossSite });

    expect([placing.status, cancelling.status]).toEqual([403, 403]);
    expect(placing.body).toMatchObject({ status: 403, errors: [{ field: 'Sec-Fetch-Site' }] });
    expect(called).toEqual([]);
  });

  it('may read', async () => {
    const { app } = setUpAll();

    await request(app).get(BASE_PATH).set(caused).expect(200);
    await request(app).head(BASE_PATH).set(caused).expect(200);
  });

  it('may change something with a Bearer token, which no browser adds by itself', async () => {
    const { app, called } = setUpAll();

    await request(app)
      .delete(`${BASE_PATH}/${id}`)
      .set({ Authorization: `Bearer ${tokenOf('ann')}`, ...crossSite })
      .expect(204);

    expect(called).toEqual(['cancel']);
  });

  it('may change something when its origin is one of those that may', async () => {
    const { app, called } = setUpAll(['https://shop.example', 'https://other.example']);
    const cancelFrom = (Origin: string) =>
      request(app)
        .delete(`${BASE_PATH}/${id}`)
        .set({ ...caused, Origin });

    await cancelFrom('https://elsewhere.example').expect(403);
    await cancelFrom('https://shop.example.evil.example').expect(403);
    await cancelFrom('null').expect(403);
    expect(called).toEqual([]);
    await cancelFrom('https://shop.example').expect(204);
    await cancelFrom('https://other.example').expect(204);
    expect(called).toEqual(['cancel', 'cancel']);
  });

  it.each(['same-origin', 'same-site', 'none'])('is not one that says %s', async (site) => {
    const { app } = setUpAll();

    await request(app)
      .post(BASE_PATH)
      .set({ ...cookie, 'Sec-Fetch-Site': site })
      .send({ ticketId: id })
      .expect(201);
  });
});

/** Signs any text, not only claims that make sense. */
function signedAsText(payload: string, header = '{"alg":"HS256","typ":"JWT"}'): string {
  const input = [header, payload].map((text) => Buffer.from(text).toString('base64url')).join('.');
  return `${input}.${hmac(input, CURRENT_KEY)}`;
}

function withEmptyKey(): string {
  return withSignature({ alg: 'HS256', typ: 'JWT' }, goodClaims, (input) => hmac(input, ''));
}

function hmac(input: string, key: string): string {
  return createHmac('sha256', key).update(input).digest('base64url');
}
