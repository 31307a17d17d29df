/** How a command ends. Scripts branch on these numbers, so none is ever given another meaning. */
export const EXIT = {
  done: 0,
  usage: 2,
  rejected: 3,
  denied: 4,
  /** A person has to answer first. */
  waiting: 5,
  /** Failed, or nobody knows what it did. */
  failed: 6,
  unreachable: 7,
} as const;
export type Exit = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command: one line that says what is wrong, and how to mend it. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exit: Exit;
  readonly help: string | undefined;
  constructor(exit: Exit, message: string, help?: string) {
    super(message);
    this.exit = exit;
    this.help = help;
  }
}
