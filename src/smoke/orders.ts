import { randomUUID } from 'node:crypto';
import { signToken } from '../http/tokens';
import { REQUEST_MS, textOf, USER, type Attempt, type Json } from './attempt';
import type { Settings } from './settings';

/** Calls the service as a buyer. */
export function caller({ ordersUrl, jwtKey }: Settings) {
  const token = signToken(jwtKey, { userId: USER, email: `${USER}@example.com`, expiresInSeconds: 600 });
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    // A retry gets the first answer again if that was lost.
    'idempotency-key': randomUUID(),
  };
  return async (method: string, path: string, body?: Json): Promise<Attempt> => {
    const response = await fetch(ordersUrl.replace(/\/+$/, '') + path, {
      method,
      headers,
      body: body ? JSON.stringify(body) : null,
      signal: AbortSignal.timeout(REQUEST_MS),
    }).catch(textOf);
    if (typeof response === 'string') return response;
    const text = await response.text();
    if (response.ok) return text === '' ? {} : (JSON.parse(text) as Json);
    const refusal = `answered ${response.status} ${text.replace(/\s+/g, ' ').slice(0, 200)}`;
    const isTicketOnItsWay = response.status === 404 && method === 'POST';
    // A proxy answers 502 or 504 while the service is not available yet.
    if (isTicketOnItsWay || [502, 503, 504].includes(response.status)) return refusal;
    throw new Error(refusal);
  };
}
