import express from 'express';
import { PROBLEM_CODES, PROBLEM_TYPES } from '../../src/http/problem-types';
import { BASE_PATH, createTestApp } from '../support/http-app';
import {
  documentedFor,
  documentedPaths,
  isAnyProblem,
  METHODS,
  openApi,
  resolve,
  violationsForClients,
  violationsOf,
  violationsOfSchema,
  type Answered,
  type Operation,
  type Responses,
} from '../support/contract';
import { provoke, type Documented } from './provoke';

/** The development route alone answers with it, which is never part of what is delivered. */
const ONLY_IN_DEVELOPMENT = ['not-from-here'];
const codes = PROBLEM_CODES.filter((code) => !ONLY_IN_DEVELOPMENT.includes(code));

interface ProblemSchema {
  readonly allOf: readonly [
    unknown,
    { readonly properties: Record<string, { const?: unknown; pattern?: string }> },
  ];
}

/** The code of each schema of a problem. */
const problemSchemas = new Map(
  Object.entries(openApi.components.schemas).flatMap(([name, schema]) => {
    const code = (schema as Partial<ProblemSchema>).allOf?.[1].properties['code']?.const;
    return typeof code === 'string' ? [[`#/components/schemas/${name}`, code] as [string, string]] : [];
  }),
);

/** All that is documented as an answer: one for each status and problem of each operation. */
const operations: { title: string; answers: Documented[] }[] = [
  ...documentedPaths().flatMap(({ template, address, item }) => [
    ...METHODS.flatMap((method) => {
      const operation = item[method];
      return operation
        ? [
            {
              title: `${method.toUpperCase()} ${address}`,
              answers: answersIn(operation.responses, { template, address, method, operation }),
            },
          ]
        : [];
    }),
    {
      title: `another method of ${address}`,
      answers: answersIn(item['x-other-methods'], {
        template,
        address,
        method: 'put',
        operation: otherMethodOf(item),
      }),
    },
  ]),
  {
    title: 'another path',
    answers: answersIn(openApi['x-other-paths'], {
      template: 'other',
      address: '/nowhere',
      method: 'get',
      operation: { operationId: 'other', description: '', security: [], responses: {} },
    }),
  },
];

/** Other methods are refused after sign-in where the documented ones need it. */
function otherMethodOf(item: Readonly<Record<string, unknown>>): Operation {
  return { ...(item['get'] as Operation), operationId: 'other' };
}

function answersIn(responses: Responses, of: Omit<Documented, 'status' | 'code'>): Documented[] {
  return Object.entries(responses).flatMap(([status, response]) => {
    const all = codesIn(resolve(response).content?.['application/problem+json']?.schema);
    return (all.length > 0 ? all : [undefined]).map((code) => ({ ...of, status: Number(status), code }));
  });
}

/** Each schema of problems is open for those of later versions. */
function codesIn(schema: { anyOf?: { $ref: string }[] } | undefined): string[] {
  if (!schema) return [];
  const { anyOf = [] } = schema;
  expect(anyOf.filter(isAnyProblem)).toHaveLength(1);
  return anyOf
    .filter((one) => !isAnyProblem(one))
    .map(({ $ref }) => {
      const code = problemSchemas.get($ref);
      if (code === undefined) throw new Error(`no problem: ${JSON.stringify(schema)}`);
      return code;
    });
}

describe('docs/openapi.yaml', () => {
  it('has each route of the code with its methods, and no other', () => {
    const route = jest.spyOn(express.application, 'route');
    createTestApp();
    const routes = route.mock.results.map(({ value }) => value as { path: string; methods: object });
    route.mockRestore();

    const inCode = routes.map(({ path, methods }) => [
      path.replace(/:(\w+)/g, '{$1}'),
      // Express answers HEAD with the handler of GET.
      ['get', 'head', 'post', 'delete', 'options', 'put', 'patch', 'trace'].filter(
        (method) => (method === 'head' ? 'get' : method) in methods,
      ),
    ]);
    const inDocument = documentedPaths().map(({ address, item }) => [
      address === `${BASE_PATH}/` ? BASE_PATH : address,
      ['get', 'head', 'post', 'delete', 'options', 'put', 'patch', 'trace'].filter(
        (method) => method in item,
      ),
    ]);

    expect(inCode.length).toBeGreaterThan(5);
    expect(inDocument.sort(byPath)).toEqual(inCode.sort(byPath));
  });

  it('has each type of problem with its status and title, and no other', () => {
    const inDocument = Object.fromEntries(
      [...problemSchemas].map(([$ref, code]) => {
        const { properties } = resolve<ProblemSchema>({ $ref }).allOf[1];
        return [
          code,
          {
            status: properties['status']?.const,
            title: openApi.components.examples[code]?.value.title,
            type: properties['type']?.pattern,
          },
        ];
      }),
    );

    expect(inDocument).toEqual(
      Object.fromEntries(
        codes.map((code) => {
          const { status, title } = PROBLEM_TYPES[code];
          return [code, { status, title, type: `/problems/${code}$` }];
        }),
      ),
    );
  });

  it('tells of each type of problem what its page tells', () => {
    for (const [$ref, code] of problemSchemas) {
      const { cause, remedy } = PROBLEM_TYPES[code as (typeof codes)[number]];
      const { description } = resolve<{ description: string }>({ $ref });
      expect(description).toBe(`${cause} What a client does: ${remedy}`);
    }
  });

  it('names each type of problem in an answer', () => {
    expect(new Set(operations.flatMap(({ answers }) => answers.flatMap(({ code }) => code ?? [])))).toEqual(
      new Set(codes),
    );
  });

  it('has examples that are as it says', () => {
    let count = 0;
    for (const [name, { content = {} }] of Object.entries(openApi.components.responses)) {
      for (const { schema, examples } of Object.values(content)) {
        for (const example of Object.values(examples)) {
          count += 1;
          const { value } = resolve(example);
          expect([name, violationsOfSchema(schema, value)]).toEqual([name, []]);
        }
      }
    }
    expect(count).toBeGreaterThan(codes.length);
  });

  it('has examples of headers that are as it says', () => {
    const examples = Object.entries(openApi.components.headers).filter(([, header]) => 'example' in header);

    expect(examples.map(([name]) => name)).toEqual(expect.arrayContaining(['ETag', 'Link', 'Location']));
    for (const [name, { schema, example }] of examples)
      expect([name, violationsOfSchema(schema, example)]).toEqual([name, []]);
  });

  it('closes nothing that a client receives', () => {
    const { GivenStatus, NewOrder, ...received } = openApi.components.schemas;
    const closing = /"enum"|"additionalProperties":false|"unevaluatedProperties"|"oneOf"/;

    expect(JSON.stringify([GivenStatus, NewOrder])).toMatch(closing);
    expect(JSON.stringify([received, openApi.components.responses])).not.toMatch(closing);
  });

  it('lists the problems of each operation in its description', () => {
    const all = documentedPaths().flatMap(({ item }) => METHODS.flatMap((method) => item[method] ?? []));

    expect(all.length).toBeGreaterThan(20);
    for (const { operationId, description, responses } of all) {
      const byStatus = Object.entries(responses).flatMap(([status, response]) => {
        const found = codesIn(resolve(response).content?.['application/problem+json']?.schema);
        return found.length > 0 ? [`${status} ${found.map((code) => `\`${code}\``).join(', ')}`] : [];
      });
      const [listed] = /Problems: .*$/.exec(description) ?? [];
      expect([operationId, listed]).toEqual([operationId, `Problems: ${byStatus.join('; ')}.`]);
    }
  });

  it.each(operations)('documents only what the service answers: $title', async (operation) => {
    for (const one of operation.answers) {
      const answer = await provoke(one);

      // An answer to HEAD names no code.
      const { code } = one.method === 'head' ? { code: undefined } : one;
      expect({ status: answer.status, code: codeIn(answer) }).toEqual({ status: one.status, code });
      expect(violationsOf(answer)).toEqual([]);
    }
  });
});

describe('an answer that is not as the document says', () => {
  const order = {
    id: 'a'.repeat(24),
    version: 0,
    status: 'created',
    userId: 'ann',
    expiresAt: '2026-01-01T00:15:00.000Z',
    createdAt: '2026-01-01T00:00:00.000Z',
    ticket: { id: 'b'.repeat(24), title: 'A concert', price: 20 },
  };
  const good = {
    method: 'GET',
    path: `${BASE_PATH}/${order.id}`,
    status: 200,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'private, no-cache',
      etag: '"0"',
      'x-request-id': 'r-1',
      'x-content-type-options': 'nosniff',
    },
    body: JSON.stringify(order),
  };

  it('is accepted by a client that validates, if it has what a later version may add', () => {
    const [schema, refusals] = ['200', '404'].map((status) => {
      const { content } = resolve(documentedFor('GET', good.path)[status]!);
      return Object.values(content ?? {})[0]!.schema;
    }) as [object, object];
    const problem = openApi.components.examples['unknown-order']!.value;
    const later: [object, object][] = [
      [schema, { ...order, payments: [] }],
      [schema, { ...order, ticket: { ...order.ticket, seat: 'A 7' } }],
      [schema, { ...order, status: 'new' }],
      [schema, { ...order, status: 'cancelled', reason: 'new' }],
      [refusals, { ...problem, hint: 'new' }],
      [refusals, { ...problem, errors: [{ message: 'new', hint: 'new' }] }],
      [refusals, { ...problem, type: '/api/v1/orders/problems/new', code: 'new' }],
    ];

    for (const [of, value] of later) {
      expect([value, violationsForClients(of, value)]).toEqual([value, []]);
      expect([value, violationsOfSchema(of, value)]).not.toEqual([value, []]);
    }
    expect(violationsForClients(schema, { ...order, id: 7 })).not.toEqual([]);
    expect(violationsForClients(refusals, { ...problem, code: undefined })).not.toEqual([]);
  });

  it('is noticed', () => {
    const { etag: _, ...withoutTag } = good.headers;
    const wrong = [
      { ...good, status: 202 },
      { ...good, path: '/nowhere' },
      { ...good, method: 'PATCH' },
      { ...good, headers: withoutTag },
      { ...good, headers: { ...good.headers, 'x-new': '1' } },
      { ...good, headers: { ...good.headers, etag: 'no tag' } },
      { ...good, headers: { ...good.headers, 'content-type': 'text/plain' } },
      { ...good, body: JSON.stringify({ ...order, payments: [] }) },
      { ...good, body: JSON.stringify({ ...order, status: 'new' }) },
      { ...good, body: JSON.stringify({ ...order, createdAt: 'yesterday' }) },
      { ...good, body: JSON.stringify([order]) },
      { ...good, method: 'HEAD' },
    ];

    expect(violationsOf(good)).toEqual([]);
    for (const answer of wrong) expect(violationsOf(answer)).not.toEqual([]);
  });
});

function byPath([a]: unknown[], [b]: unknown[]): number {
  return String(a) < String(b) ? -1 : 1;
}

function codeIn({ headers, body }: Answered): unknown {
  if (body === '' || headers['content-type']?.startsWith('application/problem+json') !== true)
    return undefined;
  return (JSON.parse(body) as { code: unknown }).code;
}
