/** Runs the CLI in this process, with a terminal of its own. */
import { Readable } from "node:stream";
import { runCli } from "../../services/cli/main.ts";

export interface Ran {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

export interface Terminal {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What is typed or piped in. */
  readonly input?: string;
  /** A person sits there. */
  readonly tty?: boolean;
  readonly signal?: AbortSignal;
  /** Called with everything printed so far, after each write. */
  readonly onOutput?: (out: string) => void;
}

export async function signalbox(args: readonly string[], terminal: Terminal = {}): Promise<Ran> {
  let out = "";
  let err = "";
  const stdin = Object.assign(Readable.from(terminal.input === undefined ? [] : [terminal.input]), { isTTY: terminal.tty === true });
  const exit = await runCli(args, {
    env: terminal.env ?? {},
    stdout: {
      isTTY: terminal.tty === true,
      write: (text) => {
        out += text;
        terminal.onOutput?.(out);
      },
    },
    stderr: { write: (text) => void (err += text) },
    stdin,
    signal: terminal.signal ?? new AbortController().signal,
  });
  return { exit, out, err };
}
