import { gzipSync } from 'node:zlib';
import fc, { type Arbitrary } from 'fast-check';
import { BASE_PATH, cookieOf, tokenOf } from '../support/http-app';
import { hostileJson, hostileName, hostileText, objectId, pollution, wellFormed, weighted } from './values';

/** A request, possibly one that is not even HTTP. */
export interface HostileRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly Header[];
  readonly body: Buffer;
  /** The users whose valid token it carries, anywhere. */
  readonly users: readonly string[];
}

type Header = readonly [name: string, value: string];

/** What the requests may be about. */
export interface Surroundings {
  /** Users whose tokens may be used. */
  readonly users: readonly string[];
  readonly orderIds: readonly string[];
  readonly ticketIds: readonly string[];
}

const METHODS = ['GET', 'GET', 'GET', 'POST', 'POST', 'POST', 'DELETE', 'DELETE', 'HEAD'];
const OTHER_METHODS = 'PUT PATCH OPTIONS TRACE PROPFIND SEARCH M-SEARCH UNLOCK LINK'.split(' ');
const NO_METHODS = [
  ...['CONNECT', 'PRI', 'get', 'FOO', '', 'GET\t', 'P\u00d6ST', 'G'.repeat(300), '\0', '__proto__'],
];

/** They say how the request is delimited or what becomes of the connection: other answers would be mistaken for it. */
const FRAMING = /^(connection|keep-alive|content-length|transfer-encoding|upgrade|expect|host|te|trailer)$/i;
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
// eslint-disable-next-line no-control-regex -- those are what a header must not hold
const NOT_IN_A_HEADER = /[\0-\x08\x0a-\x1f\x7f]|[^\0-\xff]/;
const SAFE_TARGET = /^\/[\x21\x22\x24-\x7e]*$/;
const MOST_HEADER_BYTES = 12 * 1024;

export function hostileRequest(surroundings: Surroundings): Arbitrary<HostileRequest> {
  const any = anyRequest(surroundings);
  // Those that are not sound need a connection each, which takes longer than all the rest.
  return weighted([4, any.filter(isSound)], [1, any]);
}

function anyRequest(surroundings: Surroundings): Arbitrary<HostileRequest> {
  return fc
    .record({
      method: oftenOneOf(METHODS, OTHER_METHODS, NO_METHODS),
      target: hostileTarget(surroundings),
      identity: identity(surroundings),
      headers: fc.array(hostileHeader, { maxLength: 4 }),
      body: hostileBody(surroundings),
    })
    .map(({ method, target, identity, headers, body }) => ({
      method,
      target,
      headers: [...identity.headers, ...headers, ...body.headers],
      body: body.bytes,
      users: identity.users,
    }));
}

/** Whether any HTTP server can tell where it ends, so that more may follow on the same connection. */
export function isSound({ method, target, headers }: HostileRequest): boolean {
  const size =
    target.length + headers.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);
  return (
    (METHODS.includes(method) || OTHER_METHODS.includes(method)) &&
    SAFE_TARGET.test(target) &&
    size < MOST_HEADER_BYTES &&
    headers.every(([name, value]) => TOKEN.test(name) && !FRAMING.test(name) && !NOT_IN_A_HEADER.test(value))
  );
}

/** Whether it may be waiting for more than there is. */
export function isUnfinished({ headers }: HostileRequest): boolean {
  return headers.some(([name]) => FRAMING.test(name.trim()));
}

export function toBytes(request: HostileRequest, connection: 'keep' | 'close'): Buffer {
  const { method, target, headers, body } = request;
  const framing: Header[] = [['Host', 'localhost']];
  if (body.length > 0) framing.push(['Content-Length', String(body.length)]);
  if (connection === 'close') framing.push(['Connection', 'close']);
  const head = [
    `${method} ${target} HTTP/1.1`,
    ...[...framing, ...headers].map((header) => header.join(': ')),
  ];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), body]);
}

function oftenOneOf(usual: string[], unusual: string[], rare: string[]): Arbitrary<string> {
  return weighted(
    [16, fc.constantFrom(...usual)],
    [2, fc.constantFrom(...unusual)],
    [1, fc.constantFrom(...rare)],
  );
}

// --- the target ------------------------------------------------------------------------------

const percentEncoded = fc.oneof(
  hostileText.map((text) => encodeURIComponent(wellFormed(text))),
  fc.constantFrom('%', '%zz', '%00', '%0a', '%ff', '%c0%af', '%E0%A4%A', '%2e%2e', '%2f', '%252e', '%u0041'),
);

const paths = fc.constantFrom(
  ...['/', '//', '/api', `/${BASE_PATH}`, `${BASE_PATH}/`, `${BASE_PATH}//`, `${BASE_PATH}/../orders`],
  ...[`${BASE_PATH}/../../../../etc/passwd`, `${BASE_PATH}/..%2f..%2fmetrics`, `${BASE_PATH}\\..\\x`],
  ...[
    BASE_PATH.toUpperCase(),
    `${BASE_PATH};jsessionid=1`,
    '/livez',
    '/livez/',
    '/readyz',
    '/readyz?verbose',
  ],
  ...['/__proto__', '/constructor/prototype', '/favicon.ico', `http://elsewhere.example${BASE_PATH}`],
  ...['http://[', 'ftp://x/y', '*', '', '/ with a space', '/\0', '/caf\u00e9', '/#fragment'],
  ...[`/${'a'.repeat(5_000)}`, `/${'x/'.repeat(5_000)}`, `/${'a'.repeat(20_000)}`],
);

function hostileTarget({ orderIds }: Surroundings): Arbitrary<string> {
  const orderId = weighted(
    [6, fc.constantFrom(...orderIds)],
    [2, objectId],
    [2, percentEncoded],
    [1, fc.constantFrom(...orderIds).map((id) => id.toUpperCase())],
    [1, hostileName.map(encodeURIComponent)],
  );
  return weighted(
    [8, fc.constant(BASE_PATH)],
    [5, hostileQuery.map((query) => `${BASE_PATH}?${query}`)],
    [8, orderId.map((id) => `${BASE_PATH}/${id}`)],
    [1, fc.tuple(orderId, hostileQuery).map(([id, query]) => `${BASE_PATH}/${id}?${query}`)],
    [1, percentEncoded.map((segment) => `/${segment}`)],
    [3, paths],
  );
}

const cursors = fc.oneof(
  fc.tuple(fc.nat(), objectId).map(([at, id]) => base64url(`${at}.${id}`)),
  fc.constantFrom('99999999999999999999', '-1', '1e9', '').map((at) => base64url(`${at}.${'a'.repeat(24)}`)),
  fc.base64String({ maxLength: 60 }),
);

const queryName = weighted(
  [6, fc.constantFrom('limit', 'cursor', 'status', 'ticketId', 'total')],
  [1, fc.constantFrom('limit[]', 'status[$ne]', 'limit[__proto__]', '$where', 'a.b', '')],
  [1, hostileName.map(encodeURIComponent)],
);

const queryValue = fc.oneof(
  fc.constantFrom('1', '2', '1', '0', '-1', '201', '1e2', '0x1', '9'.repeat(400), 'NaN', ' 1', '\u0661'),
  fc.constantFrom('created', 'complete', 'cancelled', 'awaiting:payment', 'lost', 'created,complete'),
  cursors.map(encodeURIComponent),
  percentEncoded,
);

const hostileQuery = weighted(
  [
    10,
    fc
      .array(fc.tuple(queryName, queryValue), { minLength: 1, maxLength: 4 })
      .map((pairs) => pairs.map((pair) => pair.join('=')).join('&')),
  ],
  [1, fc.constantFrom('&&', '=', '?', '%', 'limit', 'a=1&'.repeat(2_000))],
);

// --- who is calling --------------------------------------------------------------------------

interface Identity {
  readonly headers: readonly Header[];
  readonly users: readonly string[];
}

function identity({ users }: Surroundings): Arbitrary<Identity> {
  const tokens = users.map((user) => ({ user, token: tokenOf(user) }));
  const known = fc.constantFrom(...tokens);
  const changed = fc
    .tuple(known, fc.nat(), fc.constantFrom(...'aB3-_.=+/ %'))
    .map(([{ token }, at, character]) => withCharacter(token, at % token.length, character));
  const unknown = weighted([3, changed], [3, fc.constantFrom(...FOREIGN_TOKENS)], [2, hostileText]);
  const asBearer = (token: string): Header => ['Authorization', `Bearer ${token}`];
  const asCookie = (token: unknown): Header => ['Cookie', `session=${cookieOf(token)}`];
  const nobody = (...headers: Header[]): Identity => ({ headers, users: [] });

  return weighted(
    [12, known.map(({ user, token }) => ({ headers: [asBearer(token)], users: [user] }))],
    [3, known.map(({ user, token }) => ({ headers: [asCookie(token)], users: [user] }))],
    [
      1,
      fc.tuple(known, unknown).map(([{ user, token }, other]) => ({
        headers: [asBearer(token), asBearer(other), asCookie(other)],
        users: [user],
      })),
    ],
    [
      1,
      fc.tuple(known, known).map(([first, second]) => ({
        headers: [asCookie(first.token), asCookie(second.token), asBearer(second.token)],
        users: [first.user, second.user],
      })),
    ],
    [3, unknown.map((token) => nobody(asBearer(token)))],
    [1, unknown.map((token) => nobody(asCookie(token)))],
    [1, hostileJson.map((json) => nobody(asCookie(json)))],
    [1, hostileText.map((text) => nobody(['Cookie', text]))],
    [1, hostileText.map((text) => nobody(['Authorization', text]))],
    [1, fc.constant(nobody())],
  );
}

const FOREIGN_TOKENS = [
  tokenOf('stranger', { key: 'the key of somebody else, long enough' }),
  tokenOf('stranger', { algorithm: 'HS512' }),
  tokenOf('stranger', { claims: { exp: 1 } }),
  tokenOf({ $ne: '' }),
  `${base64url('{"alg":"none"}')}.${base64url('{"id":"stranger","email":"x","iat":1}')}.`,
  '..',
  'null',
  'x'.repeat(9_000),
];

function withCharacter(token: string, at: number, character: string): string {
  const other = token[at] === character ? '~' : character;
  return token.slice(0, at) + other + token.slice(at + 1);
}

// --- headers ---------------------------------------------------------------------------------

const headerName = weighted(
  [
    6,
    fc.constantFrom(
      ...['Idempotency-Key', 'Idempotency-Key', 'Idempotency-Key', 'Content-Type', 'Accept'],
      ...['Accept-Encoding', 'If-Match', 'If-None-Match', 'If-Modified-Since', 'Range', 'X-Request-Id'],
      ...['X-HTTP-Method-Override', 'X-Forwarded-For', 'Forwarded', 'Sec-Fetch-Site', 'Origin'],
      'Cache-Control',
    ),
  ],
  [2, hostileName],
  [1, fc.constantFrom('Content-Length', 'Transfer-Encoding', 'Connection', 'Upgrade', 'Expect', 'Host')],
);

const headerValue = weighted(
  [3, fc.stringMatching(/^[!-~]{1,20}$/)],
  [2, hostileText],
  [
    3,
    fc.constantFrom(
      ...['', '*', '*/*', '"0"', 'W/"0"', 'DELETE', 'cross-site', 'bytes=0-1', 'application/json'],
      ...['application/json; charset', 'application/json;charset=utf-7', 'text/html;q=0.1'],
      ...['identity;q=0, gzip', 'chunked', 'gzip, chunked', 'close', 'keep-alive, upgrade', 'websocket'],
      ...['h2c', '100-continue', '0', '5', '-1', '99999999999999999999', '1, 2', 'a\tb'],
      ...['a\r\nX-Injected: 1', 'a\nb', 'k'.repeat(256), 'v'.repeat(9_000)],
    ),
  ],
);

const hostileHeader: Arbitrary<Header> = fc.tuple(headerName, headerValue);

// --- bodies ----------------------------------------------------------------------------------

interface Body {
  readonly headers: readonly Header[];
  readonly bytes: Buffer;
}

function hostileBody({ ticketIds }: Surroundings): Arbitrary<Body> {
  const ticketId = weighted([5, fc.constantFrom(...ticketIds)], [1, objectId], [1, hostileJson]);
  const placing = ticketId.map((ticketId) => JSON.stringify({ ticketId }));
  const polluted = fc
    .tuple(ticketId, pollution)
    .map(([ticketId, fields]) => `{"ticketId":${JSON.stringify(ticketId)},${fields}}`);
  const json = weighted([8, placing], [2, polluted], [2, hostileJson.map((value) => JSON.stringify(value))]);
  const broken = fc.oneof(
    fc.tuple(json, fc.nat()).map(([text, at]) => Buffer.from(text.slice(0, at % (text.length + 1)))),
    json.map((text) => Buffer.from(`\ufeff${text}`)),
    json.map((text) => Buffer.from(text, 'utf16le')),
    json.map((text) => Buffer.concat([Buffer.from(text), Buffer.from([0xff, 0xc3, 0x28, 0x00])])),
    placing.map((text) => gzipSync(text)),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    hostileText.map((text) => Buffer.from(text)),
    fc
      .constantFrom('['.repeat(9_000), '{"a":'.repeat(1_800), `{"ticketId":"${'x'.repeat(11_000)}"}`)
      .map(toBuffer),
    fc
      .constantFrom('{"ticketId":1e999}', '{"ticketId":-0}', '{"ticketId":"a","ticketId":"b"}', '{}{}')
      .map(toBuffer),
  );
  const asJson: Header = ['Content-Type', 'application/json'];
  return weighted<Body>(
    [5, fc.constant({ headers: [], bytes: Buffer.alloc(0) })],
    [6, json.map((text) => ({ headers: [asJson], bytes: toBuffer(text) }))],
    [4, broken.map((bytes) => ({ headers: [asJson], bytes }))],
    [1, json.map((text) => ({ headers: [], bytes: toBuffer(text) }))],
  );
}

function toBuffer(text: string): Buffer {
  return Buffer.from(text);
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}
