const LONGEST_USER_ID = 200;
/** Half of a surrogate pair: the database would return another id, the same one for all of them. */
const HALF_A_PAIR = /\p{Surrogate}/u;

/** Why this is not the id of a user, as the end of a sentence; undefined if it is one. */
export function whyNoUserId(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'is not a text';
  if (value === '') return 'is empty';
  if (value.length > LONGEST_USER_ID) return `is longer than ${LONGEST_USER_ID} characters`;
  if (HALF_A_PAIR.test(value)) return 'is not well-formed Unicode';
  return undefined;
}
