/** What every command group is given. */
import type { Command } from "commander";
import type { Exit } from "./exit.ts";
import { type Io, json, line, type Paint } from "./io.ts";
import { type Globals, type Purpose, type Session, type SessionOptions, withSession } from "./session.ts";

export interface Cli {
  readonly program: Command;
  readonly io: Io;
  readonly paint: Paint;
  /** Called by commands that end otherwise than well. */
  ends(exit: Exit): void;
}

/** Adds a command's examples under its help; one that is a whole line of shell says `signalbox` itself. */
export function examples(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText("after", `\nExamples:\n${lines.map((text) => `  $ ${text.includes("signalbox ") ? text : `signalbox ${text}`}`).join("\n")}`);
}

/** The options that stand anywhere on the line. */
export function globalsOf(command: Command): Globals {
  return command.optsWithGlobals<Globals>();
}

/** A session with the command's context. */
export function inSession<T>(cli: Cli, command: Command, purpose: Purpose, work: (session: Session) => Promise<T>, options?: SessionOptions): Promise<T> {
  return withSession(cli.io, globalsOf(command), purpose, work, options);
}

/** A value for programs, or the text made of it for people. */
export function show<T>(cli: Cli, command: Command, value: T, text: (value: T) => string): void {
  if (globalsOf(command).json === true) json(cli.io.stdout, value);
  else line(cli.io.stdout, text(value));
}
