/** The value of a command line's option. Throws what is wrong with it. */
export function wholeNumber(option: string, text: string, least: number): number {
  const number = Number(text);
  if (text.trim() !== '' && Number.isSafeInteger(number) && number >= least) return number;
  throw new RangeError(`--${option} must be a whole number from ${least} on, not ${JSON.stringify(text)}`);
}
