import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { runProgram } from '../support/run-program';

/** Small documents that have a bit of everything; each test changes one thing in them. */
const openApi = () => ({
  security: [{ bearer: [] }, { cookie: [] }],
  paths: {
    '/': {
      parameters: [{ $ref: '#/components/parameters/Limit' }],
      get: {
        security: [] as object[] | undefined,
        parameters: [
          { name: 'status', in: 'query', required: false, schema: { $ref: '#/components/schemas/Status' } },
        ],
        responses: {
          '200': {
            headers: { ETag: { required: true, schema: { type: 'string' } } },
            content: {
              'application/json': {
                schema: { type: 'array', items: { $ref: '#/components/schemas/Order' } },
              },
            },
          },
          '404': { content: {} },
        },
      },
      post: {
        parameters: [],
        requestBody: {
          required: false,
          content: {
            'application/json': {
              schema: {
                type: 'object',
                required: ['ticketId'],
                properties: {
                  ticketId: { type: 'string', pattern: '^[0-9a-f]+$', maxLength: 24 },
                  price: { type: ['number', 'null'], minimum: 0 },
                },
              },
            },
          },
        },
        responses: { '409': { $ref: '#/components/responses/Conflict' } },
      },
    },
    '/{id}': { delete: { parameters: [], responses: { '204': {} } } },
  },
  components: {
    parameters: { Limit: { name: 'limit', in: 'query', schema: { type: 'integer', maximum: 200 } } },
    responses: {
      Conflict: {
        content: {
          'application/problem+json': {
            schema: {
              oneOf: [{ $ref: '#/components/schemas/Reserved' }, { $ref: '#/components/schemas/Paid' }],
            },
          },
        },
      },
    },
    schemas: {
      Status: { type: 'string', enum: ['created', 'complete'] },
      Order: {
        type: 'object',
        required: ['id', 'status'],
        properties: {
          id: { type: 'string' },
          status: { $ref: '#/components/schemas/Status' },
          reason: { type: 'string', 'x-extensible-enum': ['user', 'expired'] },
          createdAt: { type: 'string', format: 'date-time' },
          price: { type: 'number' },
        },
      },
      Problem: {
        type: 'object',
        required: ['code'],
        properties: { code: { type: 'string' }, detail: { type: 'string' } },
      },
      Reserved: {
        allOf: [
          { $ref: '#/components/schemas/Problem' },
          { required: ['orderId'], properties: { code: { const: 'reserved' }, orderId: { type: 'string' } } },
        ],
      },
      Paid: {
        allOf: [{ $ref: '#/components/schemas/Problem' }, { properties: { code: { const: 'paid' } } }],
      },
    },
  },
});

const asyncApi = () => ({
  channels: {
    ticket: { address: 'ticket:created', messages: { ticket: { $ref: '#/components/messages/Ticket' } } },
    order: { address: 'order:created', messages: { order: { $ref: '#/components/messages/Order' } } },
  },
  operations: {
    receiveTicket: { action: 'receive', channel: { $ref: '#/channels/ticket' } },
    sendOrder: { action: 'send', channel: { $ref: '#/channels/order' } },
  },
  components: {
    messages: {
      Ticket: { name: 'ticket:created', payload: { $ref: '#/components/schemas/Ticket' } },
      Order: { name: 'order:created', payload: { $ref: '#/components/schemas/Order' } },
    },
    schemas: {
      Ticket: {
        type: 'object',
        required: ['id'],
        properties: {
          id: { type: 'string' },
          price: { anyOf: [{ type: 'number', minimum: 0 }, { type: 'string' }] },
        },
      },
      Order: {
        type: 'object',
        required: ['id', 'version'],
        properties: { id: { type: 'string' }, version: { type: 'integer', const: 0 } },
      },
    },
  },
});

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'contracts-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What is said about a change of one of the documents. */
async function compared(change: { openApi?: Change; asyncApi?: Change }) {
  write('old', openApi(), asyncApi());
  write('new', changed(openApi(), change.openApi), changed(asyncApi(), change.asyncApi));
  const { code, stdout, stderr } = await run(join(folder, 'old'), join(folder, 'new'));
  expect(stderr).toBe('');
  return { code, lines: stdout.split('\n').filter((line) => line !== '') };
}

/** Paths with `>` between their steps, and the value that stands there then; undefined removes it. */
type Change = Readonly<Record<string, unknown>>;

function changed(document: object, change: Change = {}): object {
  for (const [path, value] of Object.entries(change)) {
    const steps = path.split('>');
    const last = steps.pop()!;
    const place = steps.reduce<Record<string, unknown>>(
      (at, step) => at[step] as typeof at,
      document as never,
    );
    expect(place).toBeDefined();
    if (value === undefined) delete place[last];
    else place[last] = value;
  }
  return document;
}

function write(name: string, openApiDocument: object, asyncApiDocument: object): void {
  mkdirSync(join(folder, name));
  writeFileSync(join(folder, name, 'openapi.yaml'), stringify(openApiDocument));
  writeFileSync(join(folder, name, 'asyncapi.yaml'), stringify(asyncApiDocument));
}

const run = (...args: string[]) =>
  runProgram(['scripts/compare-contracts.mjs', ...args], { PATH: process.env['PATH'] });

const get = 'paths>/>get';
const order = 'components>schemas>Order';
const placing = 'paths>/>post>requestBody>content>application/json>schema';

describe('a break of the OpenAPI document', () => {
  it.each<[string, Change]>([
    ['/{id} was removed', { 'paths>/{id}': undefined }],
    ['POST / was removed', { 'paths>/>post': undefined }],
    ['GET / 404 was removed', { [`${get}>responses>404`]: undefined }],
    ['GET / 200 header etag was removed', { [`${get}>responses>200>headers`]: {} }],
    ['GET / 200 header etag may be absent now', { [`${get}>responses>200>headers>ETag>required`]: false }],
    [
      'GET / 200 has no application/json any more',
      { [`${get}>responses>200>content`]: { 'text/plain': {} } },
    ],
    ['GET / 200[] .price was removed', { [`${order}>properties>price`]: undefined }],
    ['GET / 200[] .id may be absent now', { [`${order}>required`]: ['status'] }],
    ['GET / 200[] .price may be string now', { [`${order}>properties>price>type`]: ['number', 'string'] }],
    ['GET / 200[] .price may be null now', { [`${order}>properties>price>type`]: 'null' }],
    ['GET / 200[] .price may be anything else now', { [`${order}>properties>price`]: {} }],
    [
      'GET / 200[] .reason is never expired any more',
      { [`${order}>properties>reason>x-extensible-enum`]: ['user'] },
    ],
    [
      'GET / 200[] .reason may have any value now',
      { [`${order}>properties>reason>x-extensible-enum`]: undefined },
    ],
    ['GET / 200[] .createdAt has another format', { [`${order}>properties>createdAt>format`]: undefined }],
    ['GET / query status was removed', { [`${get}>parameters`]: [] }],
    ['GET / query status is required now', { [`${get}>parameters>0>required`]: true }],
    [
      'GET / query status does not accept created any more',
      { 'components>schemas>Status>enum': ['complete'] },
    ],
    ['GET / query limit has a lower maximum', { 'components>parameters>Limit>schema>maximum': 100 }],
    ['GET / query limit has a higher minimum', { 'components>parameters>Limit>schema>minimum': 2 }],
    [
      'GET / query limit is not accepted as integer any more',
      { 'components>parameters>Limit>schema>type': 'string' },
    ],
    [
      'GET / header X is required now',
      { [`${get}>parameters>1`]: { name: 'X', in: 'header', required: true } },
    ],
    ['POST / body is required now', { 'paths>/>post>requestBody>required': true }],
    [
      'POST / body is not accepted as application/json any more',
      { 'paths>/>post>requestBody>content': { 'application/xml': {} } },
    ],
    ['POST / body .price is required now', { [`${placing}>required`]: ['ticketId', 'price'] }],
    ['POST / body .price was removed', { [`${placing}>properties>price`]: undefined }],
    [
      'POST / body .price is not accepted as null any more',
      { [`${placing}>properties>price>type`]: 'number' },
    ],
    ['POST / body .ticketId has another pattern', { [`${placing}>properties>ticketId>pattern`]: '^[0-9]+$' }],
    ['POST / body .ticketId has a lower maxLength', { [`${placing}>properties>ticketId>maxLength`]: 20 }],
    [
      'POST / 409 paid was removed',
      { 'components>responses>Conflict>content>application/problem+json>schema>oneOf>1': undefined },
    ],
    [
      'POST / 409 paid was removed',
      {
        'components>responses>Conflict>content>application/problem+json>schema': {
          $ref: '#/components/schemas/Reserved',
        },
      },
    ],
    [
      'POST / 409 reserved .orderId was removed',
      { 'components>schemas>Reserved>allOf>1': { properties: { code: { const: 'reserved' } } } },
    ],
    ['GET / needs sign-in now', { [`${get}>security`]: undefined }],
    ['POST / does not accept cookie any more', { security: [{ bearer: [] }] }],
  ])('is told: %s', async (line, change) => {
    const { code, lines } = await compared({ openApi: change });

    expect(lines).toContain(`openapi.yaml: ${line}`);
    expect(code).toBe(1);
  });
});

describe('a break of the AsyncAPI document', () => {
  it.each<[string, Change]>([
    ['send order:created was removed', { 'operations>sendOrder': undefined }],
    ['receive ticket:created was removed', { 'channels>ticket>address': 'ticket:new' }],
    ['send order:created .version was removed', { [`${order}>properties>version`]: undefined }],
    ['send order:created .version may be absent now', { [`${order}>required`]: ['id'] }],
    ['send order:created .version is never 0 any more', { [`${order}>properties>version>const`]: 1 }],
    ['send order:created .id may be integer now', { [`${order}>properties>id>type`]: 'integer' }],
    [
      'receive ticket:created .price is required now',
      { 'components>schemas>Ticket>required': ['id', 'price'] },
    ],
    [
      'receive ticket:created .price string was removed',
      { 'components>schemas>Ticket>properties>price>anyOf>1': undefined },
    ],
    [
      'receive ticket:created .price number has a higher minimum',
      { 'components>schemas>Ticket>properties>price>anyOf>0>minimum': 1 },
    ],
    [
      'receive ticket:created .id is not accepted as string any more',
      { 'components>schemas>Ticket>properties>id': { type: 'integer' } },
    ],
  ])('is told: %s', async (line, change) => {
    const { code, lines } = await compared({ asyncApi: change });

    expect(lines).toContain(`asyncapi.yaml: ${line}`);
    expect(code).toBe(1);
  });
});

describe('an addition', () => {
  it.each<[string, { openApi?: Change; asyncApi?: Change }]>([
    ['nothing at all', {}],
    ['a path', { openApi: { 'paths>/new': { get: { responses: {} } } } }],
    ['a method', { openApi: { 'paths>/{id}>get': { responses: {} } } }],
    ['a status', { openApi: { [`${get}>responses>429`]: {} } }],
    ['a header', { openApi: { [`${get}>responses>200>headers>Link`]: { schema: { type: 'string' } } } }],
    ['a field of an answer', { openApi: { [`${order}>properties>note`]: { type: 'string' } } }],
    ['a field that is always there', { openApi: { [`${order}>required`]: ['id', 'status', 'price'] } }],
    [
      'a value of a field of an answer',
      { openApi: { [`${order}>properties>reason>x-extensible-enum`]: ['user', 'expired', 'operator'] } },
    ],
    ['a narrower type of an answer', { openApi: { [`${order}>properties>price>type`]: 'integer' } }],
    ['a parameter', { openApi: { [`${get}>parameters>1`]: { name: 'wait', in: 'query', schema: {} } } }],
    [
      'a value of a parameter',
      { openApi: { 'components>schemas>Status>enum': ['created', 'complete', 'new'] } },
    ],
    ['a wider bound', { openApi: { 'components>parameters>Limit>schema>maximum': 500 } }],
    ['a field of a request', { openApi: { [`${placing}>properties>note`]: { type: 'string' } } }],
    ['a field that need not be sent any more', { openApi: { [`${placing}>required`]: [] } }],
    ['no pattern any more', { openApi: { [`${placing}>properties>ticketId>pattern`]: undefined } }],
    [
      'a problem',
      {
        openApi: {
          'components>responses>Conflict>content>application/problem+json>schema>oneOf>2': {
            properties: { code: { const: 'new' } },
          },
        },
      },
    ],
    ['a way to sign in', { openApi: { security: [{ bearer: [] }, { cookie: [] }, { key: [] }] } }],
    ['no sign-in', { openApi: { security: [] } }],
    ['a description', { openApi: { [`${order}>description`]: 'Another text.' } }],
    ['a field of an event', { asyncApi: { [`${order}>properties>note`]: { type: 'string' } } }],
    [
      'a type of a field of a message',
      { asyncApi: { 'components>schemas>Ticket>properties>price>anyOf>2': { type: 'null' } } },
    ],
    [
      'another name of an operation',
      {
        asyncApi: {
          'operations>announceOrder': asyncApi().operations.sendOrder,
          'operations>sendOrder': undefined,
        },
      },
    ],
  ])('is allowed: %s', async (_, change) => {
    expect(await compared(change)).toEqual({ code: 0, lines: [] });
  });
});

describe('scripts/compare-contracts.mjs', () => {
  it('compares a document with itself, however large', async () => {
    expect(await run('docs', 'docs')).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('says which document the old release did not have', async () => {
    write('new', openApi(), asyncApi());

    const { code, stderr } = await run(folder, join(folder, 'new'));

    expect(code).toBe(0);
    expect(stderr.split('\n')).toEqual([
      expect.stringMatching(/openapi\.yaml does not exist: openapi\.yaml is not compared\.$/),
      expect.stringMatching(/asyncapi\.yaml does not exist: asyncapi\.yaml is not compared\.$/),
      '',
    ]);
  });

  it('explains itself when it does not understand', async () => {
    expect(await run('docs')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'usage: node scripts/compare-contracts.mjs OLD NEW\n',
    });
  });
});
