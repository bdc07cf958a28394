/** What the commands beside the tests have in common. */

/** A line for whoever runs the command. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
