/** A position in the listing: the last order of a page. */
export interface Position {
  readonly createdAt: Date;
  readonly id: string;
}

const CONTENT = /^(\d{1,15})\.([0-9a-f]{24})$/;

/** Opaque to clients, which only send it back. */
export function encodeCursor({ createdAt, id }: Position): string {
  return Buffer.from(`${createdAt.getTime()}.${id}`).toString('base64url');
}

/** Undefined for anything that {@link encodeCursor} did not make. */
export function decodeCursor(cursor: string): Position | undefined {
  const [, milliseconds, id] = CONTENT.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
  if (milliseconds === undefined || id === undefined) return undefined;
  const position = { createdAt: new Date(Number(milliseconds)), id };
  // Decoding is lenient: many texts decode to the same bytes.
  return encodeCursor(position) === cursor ? position : undefined;
}
