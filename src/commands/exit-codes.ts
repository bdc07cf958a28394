/** The same for every command. */
export const EXIT_CODES = {
  done: 0,
  failed: 1,
  wrongUsage: 2,
  /** Done, and what was found or left over needs attention. */
  needsAttention: 3,
  /** Not done, and running it again does not help: what the message names must be changed first. */
  refused: 4,
  interrupted: 130,
  terminated: 143,
} as const;

/** The command was understood and could not do its work; the message says why, for the person who ran it. */
export class CommandFailed extends Error {
  readonly code = 'command-failed';
  override readonly name = 'CommandFailed';
}

/** Options that are wrong together, or an argument that turned out to be wrong. */
export class WrongUsage extends Error {
  readonly code = 'wrong-usage';
  override readonly name = 'WrongUsage';
}
