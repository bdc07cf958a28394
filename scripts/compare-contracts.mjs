/**
 * `compare-contracts.mjs OLD NEW` compares the openapi.yaml and asyncapi.yaml of two folders. It prints each change that
 * can break a client or a peer that was written for OLD, and exits with 1 if there is one. Additions are allowed. A
 * document that OLD does not have is not compared.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options', 'trace'];
const LEAST = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems'];
const MOST = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems'];

const [oldFolder, newFolder] = process.argv.slice(2);
if (newFolder === undefined) {
  process.stderr.write('usage: node scripts/compare-contracts.mjs OLD NEW\n');
  process.exitCode = 1;
} else {
  const breaks = [...compare('openapi.yaml', compareOpenApi), ...compare('asyncapi.yaml', compareAsyncApi)];
  for (const line of breaks) process.stdout.write(`${line}\n`);
  if (breaks.length > 0) process.exitCode = 1;
}

function compare(name, compareDocuments) {
  const path = join(oldFolder, name);
  if (!existsSync(path)) {
    process.stderr.write(`${path} does not exist: ${name} is not compared.\n`);
    return [];
  }
  const comparison = createComparison(readYaml(path), readYaml(join(newFolder, name)));
  compareDocuments(comparison);
  return comparison.breaks.map((line) => `${name}: ${line}`);
}

function readYaml(path) {
  return parse(readFileSync(path, 'utf8'));
}

function compareOpenApi(comparison) {
  const { before, after, report } = comparison;
  for (const [path, item] of Object.entries(before.document.paths)) {
    const nextItem = after.document.paths[path];
    if (!nextItem) report(path, 'was removed');
    for (const method of nextItem ? METHODS.filter((name) => item[name]) : []) {
      const at = `${method.toUpperCase()} ${path}`;
      if (nextItem[method])
        compareOperations(comparison, at, withShared(item, method), withShared(nextItem, method));
      else report(at, 'was removed');
    }
  }
}

/** The operation, with the parameters of its path. */
function withShared(item, method) {
  const operation = item[method];
  return { ...operation, parameters: [...(item.parameters ?? []), ...(operation.parameters ?? [])] };
}

function compareOperations(comparison, at, operation, next) {
  const { before, after, report } = comparison;
  compareParameters(comparison, at, operation.parameters, next.parameters);
  compareBodies(comparison, at, operation.requestBody, next.requestBody);
  compareSignIn(comparison, at, operation.security, next.security);
  for (const [status, response] of Object.entries(operation.responses)) {
    const nextResponse = next.responses[status];
    if (!nextResponse) report(`${at} ${status}`, 'was removed');
    else
      compareResponses(comparison, `${at} ${status}`, before.resolve(response), after.resolve(nextResponse));
  }
}

function compareParameters({ before, after, report, compareSent }, at, parameters, nextParameters) {
  const byName = ({ resolve }, all) =>
    new Map(all.map(resolve).map((parameter) => [`${parameter.in} ${parameter.name}`, parameter]));
  const [all, nextAll] = [byName(before, parameters), byName(after, nextParameters)];
  for (const [name, { schema }] of all) {
    const next = nextAll.get(name);
    if (next) compareSent(`${at} ${name}`, schema, next.schema);
    else report(`${at} ${name}`, 'was removed');
  }
  for (const [name, { required }] of nextAll)
    if (required && !all.get(name)?.required) report(`${at} ${name}`, 'is required now');
}

function compareBodies({ before, after, report, compareSent }, at, body, nextBody) {
  const [old, next] = [before.resolve(body), after.resolve(nextBody)];
  if (next?.required && !old?.required) report(`${at} body`, 'is required now');
  for (const [type, { schema }] of Object.entries(old?.content ?? {})) {
    const nextMedia = next?.content?.[type];
    if (nextMedia) compareSent(`${at} body`, schema, nextMedia.schema);
    else report(`${at} body`, `is not accepted as ${type} any more`);
  }
}

/** Each way to sign in must stay, also that of not signing in. */
function compareSignIn({ before, after, report }, at, security, nextSecurity) {
  const waysOf = ({ document }, own) => {
    const ways = own ?? document.security ?? [];
    return (ways.length > 0 ? ways : [{}]).map((way) => Object.keys(way).sort().join(' and '));
  };
  const nextWays = waysOf(after, nextSecurity);
  if (nextWays.includes('')) return;
  for (const way of waysOf(before, security))
    if (!nextWays.includes(way))
      report(at, way === '' ? 'needs sign-in now' : `does not accept ${way} any more`);
}

function compareResponses({ before, after, report, compareReceived }, at, response, nextResponse) {
  const nextHeaders = inLowerCase(nextResponse.headers);
  for (const [name, given] of Object.entries(inLowerCase(response.headers))) {
    const [header, next] = [before.resolve(given), after.resolve(nextHeaders[name])];
    if (!next) report(`${at} header ${name}`, 'was removed');
    else {
      if (header.required && !next.required) report(`${at} header ${name}`, 'may be absent now');
      compareReceived(`${at} header ${name}`, header.schema, next.schema);
    }
  }
  for (const [type, { schema }] of Object.entries(response.content ?? {})) {
    const nextMedia = nextResponse.content?.[type];
    if (nextMedia) compareReceived(at, schema, nextMedia.schema);
    else report(at, `has no ${type} any more`);
  }
}

function inLowerCase(headers = {}) {
  return Object.fromEntries(Object.entries(headers).map(([name, header]) => [name.toLowerCase(), header]));
}

function compareAsyncApi({ before, after, report, compareSent, compareReceived }) {
  const messagesOf = ({ document, resolve }) =>
    Object.values(document.operations).flatMap(({ action, channel }) => {
      const { address, messages } = resolve(channel);
      return Object.values(messages).map((message) => ({
        at: `${action} ${address}`,
        action,
        ...resolve(message),
      }));
    });
  const nextMessages = messagesOf(after);
  for (const { at, action, name, payload } of messagesOf(before)) {
    const next = nextMessages.find((message) => message.at === at && message.name === name);
    if (!next) report(at, 'was removed');
    // What this service receives is what its peers send.
    else (action === 'receive' ? compareSent : compareReceived)(at, payload, next.payload);
  }
}

/** Two documents, the comparison of their schemas, and the breaks that were found. */
function createComparison(oldDocument, newDocument) {
  const before = createReader(oldDocument);
  const after = createReader(newDocument);
  const breaks = [];

  function report(at, what) {
    const line = `${at} ${what}`;
    if (!breaks.includes(line)) breaks.push(line);
  }

  /** What clients send: everything that was accepted must be accepted. */
  function compareSent(at, schema, nextSchema) {
    const [old, next] = [before.flatten(schema), after.flatten(nextSchema)];
    if (old.alternatives || next.alternatives) return compareAlternatives(at, old, next, compareSent);
    for (const type of missing(old.types, next.types)) report(at, `is not accepted as ${type} any more`);
    for (const value of missing(old.values, next.values)) report(at, `does not accept ${value} any more`);
    for (const name of LEAST) if (next[name] > (old[name] ?? -Infinity)) report(at, `has a higher ${name}`);
    for (const name of MOST) if (next[name] < (old[name] ?? Infinity)) report(at, `has a lower ${name}`);
    for (const name of ['pattern', 'format'])
      if (next[name] !== undefined && next[name] !== old[name]) report(at, `has another ${name}`);
    for (const name of next.required)
      if (!old.required.includes(name)) report(`${at} .${name}`, 'is required now');
    compareParts(at, old, next, compareSent);
  }

  /** What clients receive: everything that they may rely on must stay. */
  function compareReceived(at, schema, nextSchema) {
    const [old, next] = [before.flatten(schema), after.flatten(nextSchema)];
    if (old.alternatives || next.alternatives) return compareAlternatives(at, old, next, compareReceived);
    for (const type of missing(next.types, old.types)) report(at, `may be ${type} now`);
    if (old.values && !next.values) report(at, 'may have any value now');
    // A new value is an addition. One that is removed was an outcome that clients may wait for.
    for (const value of next.values ? missing(old.values, next.values) : [])
      report(at, `is never ${value} any more`);
    if (old.format !== undefined && next.format !== old.format) report(at, 'has another format');
    for (const name of old.required)
      if (!next.required.includes(name)) report(`${at} .${name}`, 'may be absent now');
    compareParts(at, old, next, compareReceived);
  }

  function compareParts(at, old, next, compareSchemas) {
    for (const [name, schema] of Object.entries(old.properties)) {
      if (name in next.properties) compareSchemas(`${at} .${name}`, schema, next.properties[name]);
      else report(`${at} .${name}`, 'was removed');
    }
    if (old.items && next.items) compareSchemas(`${at}[]`, old.items, next.items);
  }

  /** Each alternative must stay: the one with the same code, or else one of the same types. */
  function compareAlternatives(at, old, next, compareSchemas) {
    const nextAll = next.alternatives ?? [next];
    for (const one of old.alternatives ?? [old]) {
      const name = nameOf(one);
      const same = nextAll.find((other) => nameOf(other) === name);
      if (same) compareSchemas(`${at} ${name}`, one, same);
      else report(`${at} ${name}`, 'was removed');
    }
  }

  return { before, after, breaks, report, compareSent, compareReceived };
}

/** The members of `some` that `others` does not allow; without `others`, all are allowed. */
function missing(some, others) {
  if (others === undefined) return [];
  if (some === undefined) return ['anything else'];
  const allows = (one) => others.includes(one) || (one === 'integer' && others.includes('number'));
  return some.filter((one) => !allows(one));
}

function nameOf({ properties, types = ['anything'], values }) {
  return properties.code?.const ?? (values ? JSON.stringify(values) : types.join());
}

function createReader(document) {
  function resolve(given) {
    if (given?.$ref === undefined) return given;
    const { $ref, ...besides } = given;
    const keys = $ref.split('/').slice(1);
    const target = keys.reduce((at, key) => at[key.replaceAll('~1', '/').replaceAll('~0', '~')], document);
    return { ...resolve(target), ...besides };
  }

  /** The schema with the parts of its allOf in one. */
  function flatten(given) {
    const { allOf = [], ...own } = resolve(given) ?? {};
    const all = [...allOf.map(flatten), own];
    const merged = Object.assign({}, ...all);
    return {
      ...merged,
      types: merged.types ?? (merged.type === undefined ? undefined : [merged.type].flat()),
      values: 'const' in merged ? [merged.const] : (merged.enum ?? merged['x-extensible-enum']),
      properties: Object.assign({}, ...all.map(({ properties }) => properties)),
      required: all.flatMap(({ required = [] }) => required),
      alternatives: (merged.oneOf ?? merged.anyOf)?.map(flatten),
    };
  }

  return { document, resolve, flatten };
}
