/** A fault that a person can mend: printed as one line, with the way to mend it behind it. */
export class SetupFailure extends Error {
  constructor(message, help) {
    super(message);
    this.help = help;
  }
}

/** Prints the line and ends the process. Anything unforeseen keeps its stack: it is ours to mend. */
export function fail(error) {
  if (error instanceof SetupFailure) console.error(`signalbox: ${error.message}; ${error.help}`);
  else console.error(error);
  process.exit(1);
}
