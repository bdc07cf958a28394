/**
 * What messages say, read apart from the service's own contracts: a mistake there must not hide itself here.
 */

export type Content = Readonly<Record<string, unknown>>;

const ID = /^[0-9a-f]{24}$/i;

/** Undefined where the text is not a JSON object. */
export function contentOf(text: string): Content | undefined {
  // Most of what cannot be read is told by its first character, without the price of an exception.
  if (!text.startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as Content;
  } catch {
    return undefined;
  }
}

export function paymentIn(text: string): { id: string; orderId: string } | undefined {
  const content = contentOf(text);
  const orderId = orderIdOf(content);
  const { id, stripeId = 'none' } = content ?? {};
  return orderId !== undefined && isText(id) && isText(stripeId) ? { id, orderId } : undefined;
}

export function ticketIn(text: string): { id: string; version: number } | undefined {
  const { id, version, title, price, userId } = contentOf(text) ?? {};
  if (typeof id !== 'string' || !ID.test(id)) return undefined;
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 0) return undefined;
  const isWhole = typeof title === 'string' && typeof price === 'number' && price >= 0 && isText(userId);
  return isWhole ? { id: id.toLowerCase(), version } : undefined;
}

export function orderIdIn(text: string): string | undefined {
  return orderIdOf(contentOf(text));
}

function orderIdOf(content: Content | undefined): string | undefined {
  const orderId = content?.['orderId'];
  return typeof orderId === 'string' && ID.test(orderId) ? orderId.toLowerCase() : undefined;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
