import { randomBytes } from 'node:crypto';

/** As the services of the marketplace name things. */
export function newId(): string {
  return randomBytes(12).toString('hex');
}
