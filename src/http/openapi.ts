import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { RequestHandler } from 'express';
import { parse } from 'yaml';
import { hashTagOf } from './entity-tags';
import { sendTagged } from './tagged';

const DOCUMENT = join('docs', 'openapi.yaml');
/** The base path that the document is written for. */
const WRITTEN_FOR = '/api/v1/orders';

/**
 * Answers with docs/openapi.yaml as JSON, for this base path. The file is read at once, so that a missing one is noticed
 * at the start. It is parsed when it is first asked for: that takes a fifth of a second, and most processes are never
 * asked.
 */
export function serveOpenApi(basePath: string): RequestHandler {
  const text = readFileSync(nearest(__dirname), 'utf8');
  let answer: { readonly body: string; readonly tag: string } | undefined;
  return (req, res) => {
    answer ??= withTag(rewrite(text, basePath));
    sendTagged(req, res, { ...answer, cacheControl: 'public, max-age=300' });
  };
}

function rewrite(yaml: string, basePath: string): string {
  return JSON.stringify(parse(yaml))
    .replaceAll(`"${WRITTEN_FOR}"`, JSON.stringify(basePath || '/'))
    .replaceAll(WRITTEN_FOR, JSON.stringify(basePath).slice(1, -1));
}

function withTag(body: string): { body: string; tag: string } {
  return { body, tag: hashTagOf(body) };
}

/** The nearest one above: sources and builds have different depths. */
function nearest(folder: string): string {
  const path = join(folder, DOCUMENT);
  return existsSync(path) || folder === dirname(folder) ? path : nearest(dirname(folder));
}
