import fc, { type Arbitrary } from 'fast-check';

/** One of them, each as often as its number says. */
export function weighted<T>(
  ...choices: readonly (readonly [weight: number, of: Arbitrary<T>])[]
): Arbitrary<T> {
  return fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })));
}

/** 24 hexadecimal characters that nobody has given to anything. */
export const objectId: Arbitrary<string> = fc
  .bigInt({ min: 0n, max: 2n ** 96n - 1n })
  .map((n) => n.toString(16).padStart(24, '0'));

/** Names that mean something to JavaScript, to MongoDB or to those who parse paths. */
export const hostileName: Arbitrary<string> = fc.constantFrom(
  ...['__proto__', 'constructor', 'prototype', 'constructor.prototype', '__defineGetter__'],
  ...['hasOwnProperty', 'toString', 'toJSON', 'valueOf', 'then', 'length', '$gt', '$where', '_id', 'a.b'],
  ...['*', '..', ' ', '\ud83d\ude00', 'userId', 'status'],
);

export const hostileText: Arbitrary<string> = weighted(
  [3, fc.string({ maxLength: 12 })],
  [1, fc.string({ unit: 'binary', maxLength: 8 })],
  [1, hostileName],
  [
    2,
    fc.constantFrom(
      ...['', '\0', '\u2028', '\ud800', '\ufeff', '\u202e', "' OR 1=1 --", '{{7*7}}', '${jndi:ldap://x}'],
      ...['<script>', '../../etc/passwd', 'x'.repeat(300), '%s%n', 'a\r\nb'],
    ),
  ],
);

const scalar: Arbitrary<unknown> = fc.oneof(
  hostileText,
  fc.constantFrom<unknown>(null, true, false, 0, -0, -1, 1.5, 1e308, 5e-324, 2 ** 53, -(2 ** 63), '', [], {}),
  fc.integer(),
);

/** Any JSON, with names that should not matter. */
export const hostileJson: Arbitrary<unknown> = weighted(
  [3, scalar],
  [1, fc.array(scalar, { maxLength: 3 })],
  [2, fc.array(fc.tuple(hostileName, scalar), { maxLength: 3 }).map(withOwnNames)],
);

/** Members of a JSON object that would change every object there is, if somebody merged them into one. */
export const pollution: Arbitrary<string> = fc.constantFrom(
  ...['"__proto__":{"polluted":true}', '"__proto__":null'],
  '"__proto__":{"isAdmin":true,"userId":"bystander"}',
  ...['"constructor":{"prototype":{"polluted":true}}', '"constructor":null'],
  ...['"prototype":{"polluted":true}', '"toString":null,"valueOf":1', '"hasOwnProperty":1'],
  ...['"toJSON":"x"', '"then":{"polluted":true}'],
);

/** Unlike an assignment, `__proto__` becomes a name like any other here. */
function withOwnNames(entries: readonly (readonly [string, unknown])[]): unknown {
  return Object.fromEntries(entries);
}

/** As it can be encoded: half a surrogate pair cannot. */
export function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}
