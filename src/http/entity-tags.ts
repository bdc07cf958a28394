import { createHash } from 'node:crypto';

/** The tag of an order's representation: representations of one version are equal, byte for byte. */
export function etagOf(version: number): string {
  return `"${version}"`;
}

/** The tag of any other representation: a hash of it. */
export function hashTagOf(body: string): string {
  return `"${createHash('sha256').update(body).digest('base64url')}"`;
}

/** Whether an If-None-Match header names the tag, which contains no comma. Weak tags count too. */
export function namesTag(header: string | undefined, tag: string): boolean {
  const tags = (header ?? '').split(',').map((one) => one.trim().replace(/^W\//, ''));
  return tags.includes(tag) || tags.includes('*');
}

/** A tag of a list, and the comma after it. The tag may contain a comma too. */
const NEXT_TAG = /[\t ,]*((?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")[\t ]*(?:,[\t ,]*|$)/y;
const VERSION = /^"(0|[1-9]\d{0,14})"$/;

/**
 * The versions that an If-Match header allows, or `any`. Undefined if it is no list of tags. Weak tags, and tags that
 * {@link etagOf} did not make, match none.
 */
export function readIfMatch(header: string): 'any' | readonly number[] | undefined {
  if (header === '*') return 'any';
  const versions: number[] = [];
  let end = 0;
  do {
    NEXT_TAG.lastIndex = end;
    const [, tag] = NEXT_TAG.exec(header) ?? [];
    if (tag === undefined) return undefined;
    end = NEXT_TAG.lastIndex;
    const [, version] = VERSION.exec(tag) ?? [];
    if (version !== undefined) versions.push(Number(version));
  } while (end < header.length);
  return versions;
}
