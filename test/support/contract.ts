import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { join } from 'node:path';
import Ajv, { type ValidateFunction } from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';

/** docs/openapi.yaml, and whether answers are as it says. */

interface Reference {
  readonly $ref: string;
}

interface Header {
  readonly required?: boolean;
  readonly schema: { readonly type?: string };
  readonly example?: unknown;
}

interface MediaType {
  readonly schema: object;
  readonly examples: Readonly<Record<string, Reference | { readonly value: unknown }>>;
}

interface DocumentedResponse {
  readonly headers: Readonly<Record<string, Header | Reference>>;
  readonly content?: Readonly<Record<string, MediaType>>;
}

export type Responses = Readonly<Record<string, DocumentedResponse | Reference>>;

export interface Operation {
  readonly operationId: string;
  readonly description: string;
  readonly security?: readonly object[];
  readonly responses: Responses;
}

type PathItem = Readonly<Record<string, Operation | undefined>> & {
  readonly servers?: readonly { readonly url: string }[];
  /** What other methods than the documented ones get. */
  readonly 'x-other-methods': Responses;
};

interface OpenApi {
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, PathItem>>;
  /** What other paths than the documented ones get. */
  readonly 'x-other-paths': Responses;
  readonly components: {
    readonly schemas: Readonly<Record<string, object>>;
    readonly responses: Readonly<Record<string, DocumentedResponse>>;
    readonly headers: Readonly<Record<string, Header>>;
    /** Of problems, by their codes. */
    readonly examples: Readonly<Record<string, { readonly value: { readonly title: string } }>>;
    readonly securitySchemes: Readonly<Record<string, { readonly name?: string }>>;
  };
}

/** An answer, and what it answers. Header names are in lower case. */
export interface Answered {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

export const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options', 'trace'] as const;
export const OPENAPI_FILE = join(__dirname, '../../docs/openapi.yaml');
export const openApi = parse(readFileSync(OPENAPI_FILE, 'utf8')) as OpenApi;
/** The base path that the document is written for. */
export const DOCUMENTED_BASE = openApi.servers[0]!.url;

/** Of the connection or of the body: OpenAPI does not document them. */
const OF_TRANSPORT = new Set([
  ...['connection', 'content-length', 'content-type', 'date', 'keep-alive', 'transfer-encoding'],
]);

export function resolve<T extends object>(given: T | Reference): T {
  if (!('$ref' in given)) return given;
  const found = given.$ref
    .split('/')
    .slice(1)
    .reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], openApi);
  return resolve(found as T | Reference);
}

/** Every documented path with its address under this base path. */
export function documentedPaths(basePath = DOCUMENTED_BASE) {
  return Object.entries(openApi.paths).flatMap(([template, item]) =>
    (item.servers ?? openApi.servers).map(({ url }) => {
      const prefix = url === DOCUMENTED_BASE ? basePath : url.replace(/\/$/, '');
      return { template, item, address: `${prefix}${template}` };
    }),
  );
}

/** The responses that the document has for this request: of an operation, of other methods, or of other paths. */
export function documentedFor(method: string, path: string, basePath = DOCUMENTED_BASE): Responses {
  const found = documentedPaths(basePath)
    // Without a parameter first, as OpenAPI demands.
    .sort((a, b) => Number(a.address.includes('{')) - Number(b.address.includes('{')))
    .find(({ address }) => toPattern(address).test(path));
  if (!found) return openApi['x-other-paths'];
  return found.item[method.toLowerCase()]?.responses ?? found.item['x-other-methods'];
}

const patterns = new Map<string, RegExp>();

/** As Express matches: in any case, with or without a slash at the end. */
function toPattern(address: string): RegExp {
  let pattern = patterns.get(address);
  if (!pattern) {
    const source = address
      .replace(/\/$/, '')
      .replace(/[.]/g, '\\.')
      .replace(/\{\w+\}/g, '[^/]+');
    patterns.set(address, (pattern = new RegExp(`^${source}/?$`, 'i')));
  }
  return pattern;
}

/** What is not as the document says; empty for an answer that is. */
export function violationsOf(answer: Answered, basePath = DOCUMENTED_BASE): string[] {
  const { method, path, status } = answer;
  const given = documentedFor(method, path, basePath)[String(status)];
  if (!given) return [`${method} ${path} is not documented with ${status}`];
  const response = resolve(given);
  return [...violationsInHeaders(answer, response), ...violationsInBody(answer, response)].map(
    (violation) => `${method} ${path} ${status}: ${violation}`,
  );
}

function violationsInHeaders({ headers }: Answered, response: DocumentedResponse): string[] {
  const documented = new Map(
    Object.entries(response.headers).map(([name, header]) => [name.toLowerCase(), resolve(header)]),
  );
  const missing = [...documented]
    .filter(([name, { required }]) => required === true && headers[name] === undefined)
    .map(([name]) => `the header ${name} is missing`);
  const wrong = Object.entries(headers).flatMap(([name, value]) => {
    if (OF_TRANSPORT.has(name) || value === undefined) return [];
    const header = documented.get(name);
    if (!header) return [`the header ${name} is not documented`];
    const parsed = header.schema.type === 'integer' ? Number(value) : value;
    return violationsOfSchema(header.schema, parsed).map((violation) => `the header ${name} ${violation}`);
  });
  return [...missing, ...wrong];
}

function violationsInBody({ method, headers, body }: Answered, { content }: DocumentedResponse): string[] {
  const type = headers['content-type']?.split(';')[0];
  if (content === undefined)
    return type === undefined && body === ''
      ? []
      : [`there is a body of type ${type}, and none is documented`];
  const media = content[type ?? ''];
  if (!media) return [`the type ${type} is not documented`];
  if (method === 'HEAD') return body === '' ? [] : ['an answer to HEAD has a body'];
  const isJson = /\bjson$/.test(type ?? '');
  return violationsOfSchema(media.schema, isJson ? JSON.parse(body) : body);
}

/** What a value has that a schema of the document does not name, or names otherwise. */
export const violationsOfSchema = createCheck(closed);

/** What a client finds that validates with the document as it is published: it allows what later versions may add. */
export const violationsForClients = createCheck((schema) => schema);

function createCheck(prepare: (schema: object) => object) {
  const options = { strict: false, allErrors: true, validateSchema: false };
  const ajv = addFormats(new Ajv(options)).addSchema(prepare(openApi), 'openapi');
  const validators = new Map<object, ValidateFunction>();
  return (schema: object, value: unknown): string[] => {
    let validate = validators.get(schema);
    if (!validate) {
      // References of the document point into the document.
      const absolute = JSON.stringify(prepare(schema)).replaceAll('"#/', '"openapi#/');
      validators.set(schema, (validate = ajv.compile(JSON.parse(absolute) as object)));
    }
    if (validate(value)) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message }) => `${instancePath || 'the value'} ${message}`,
    );
  };
}

/** The same part of the document, without what later versions may add: other fields, values and problems. */
function closed<T>(part: T): T {
  if (Array.isArray(part)) return part.map((one: unknown) => closed(one)) as T;
  if (typeof part !== 'object' || part === null) return part;
  const { 'x-extensible-enum': values, anyOf, allOf, ...others } = part as Record<string, unknown>;
  const rest = Object.fromEntries(Object.entries(others).map(([key, value]) => [key, closed(value)]));
  const isOpen = 'additionalProperties' in rest || part === openApi.components.schemas['Problem'];
  return {
    ...rest,
    ...(values === undefined ? {} : { enum: values }),
    ...(Array.isArray(anyOf) ? { anyOf: closed(anyOf.filter((one) => !isAnyProblem(one))) } : {}),
    // Its parts stay open: each has fields of the others.
    ...(allOf === undefined ? {} : { allOf }),
    ...(('properties' in rest || allOf !== undefined) && !isOpen ? { unevaluatedProperties: false } : {}),
  } as T;
}

/** Stands for the problems that later versions may add. */
export function isAnyProblem(schema: unknown): boolean {
  return (schema as Partial<Reference>).$ref === '#/components/schemas/Problem';
}

const found: string[] = [];

/** Lets the test fail in which an answer is not as the document says. */
if (typeof afterEach === 'function') {
  afterEach(() => {
    const violations = [...new Set(found.splice(0))].slice(0, 20);
    if (violations.length > 0) throw new Error(`not as docs/openapi.yaml says:\n${violations.join('\n')}`);
  });
}

/** The same app; its answers are compared with the document. */
export function holdToContract(app: RequestListener, basePath: string): RequestListener {
  return (req, res) => {
    watchAnswer(req, res, basePath);
    app(req, res);
  };
}

/** Compares the answers of a server in this process, until the returned function is called. */
export function holdServerToContract(port: number, basePath: string): () => void {
  const onStart = (message: unknown) => {
    const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
    if (request.socket.localPort === port) watchAnswer(request, response, basePath);
  };
  subscribe('http.server.request.start', onStart);
  return () => void unsubscribe('http.server.request.start', onStart);
}

/** Adds to `found` before the client has the whole answer. */
function watchAnswer(req: IncomingMessage, res: ServerResponse, basePath: string): void {
  const chunks: Buffer[] = [];
  const keep = (chunk: unknown) => {
    if (typeof chunk === 'string' || chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk as string));
  };
  const { write, end } = res;
  res.write = ((...args: Parameters<typeof write>) => {
    keep(args[0]);
    return write.apply(res, args);
  }) as typeof write;
  res.end = ((...args: Parameters<typeof end>) => {
    keep(args[0]);
    const path = (req.url ?? '').split(/[?#]/)[0]!;
    // It is no part of what is delivered.
    if (!path.startsWith('/development/')) {
      const { method = '' } = req;
      const answer = { method, path, status: res.statusCode, body: Buffer.concat(chunks).toString() };
      found.push(...violationsOf({ ...answer, headers: headersOf(res) }, basePath));
    }
    return end.apply(res, args);
  }) as typeof end;
}

function headersOf(res: ServerResponse): Answered['headers'] {
  return Object.fromEntries(
    Object.entries(res.getHeaders()).map(([name, value]) => [name, [value].flat().join(', ')]),
  );
}
