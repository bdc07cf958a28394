import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { RequestHandler } from 'express';
import { hashTagOf } from './entity-tags';
import { sendTagged } from './tagged';

/** Written by the build. Sources that run unbuilt have none. */
const BUILT = join(__dirname, '..', 'openapi.json');
const SOURCE = join('docs', 'openapi.yaml');
/** The base path that the document is written for. */
const WRITTEN_FOR = '/api/v1/orders';

interface Answer {
  readonly body: string;
  readonly tag: string;
}

/** Answers with docs/openapi.yaml as JSON, for this base path. */
export function serveOpenApi(basePath: string): RequestHandler {
  const read = openDocument();
  let answer: Answer | undefined;
  return async (req, res) => {
    answer ??= withTag(rewrite(await read(), basePath));
    sendTagged(req, res, { ...answer, cacheControl: 'public, max-age=300' });
  };
}

/**
 * The file is read at once, so that a missing one is noticed at the start. Without a build it is parsed when it is first
 * asked for: that blocks the process for half a second.
 */
function openDocument(): () => string | Promise<string> {
  if (existsSync(BUILT)) {
    const json = readFileSync(BUILT, 'utf8');
    return () => json;
  }
  const yaml = readFileSync(nearest(__dirname), 'utf8');
  return async () => {
    const { parse } = await import('yaml');
    return JSON.stringify(parse(yaml));
  };
}

function rewrite(json: string, basePath: string): string {
  return json
    .replaceAll(`"${WRITTEN_FOR}"`, JSON.stringify(basePath || '/'))
    .replaceAll(WRITTEN_FOR, JSON.stringify(basePath).slice(1, -1));
}

function withTag(body: string): Answer {
  return { body, tag: hashTagOf(body) };
}

/** The nearest one above: sources and builds have different depths. */
function nearest(folder: string): string {
  const path = join(folder, SOURCE);
  return existsSync(path) || folder === dirname(folder) ? path : nearest(dirname(folder));
}
