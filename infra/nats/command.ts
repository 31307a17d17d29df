/** Runs a command to its end, with a time limit and without a shell. */
import { spawn } from "node:child_process";

export interface Outcome {
  /** Null when it could not be started, or was ended by the time limit. */
  readonly code: number | null;
  /** Standard output and standard error as they came, the last 64 KB. */
  readonly output: string;
  /** Set when there is no exit code to look at: why not. */
  readonly trouble?: string;
}

export interface CommandOptions {
  readonly timeoutMs: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** Never rejects: a command that is missing or hangs is an outcome too. */
export function runCommand(command: string, args: readonly string[], options: CommandOptions): Promise<Outcome> {
  return new Promise((resolve) => {
    let output = "";
    let trouble: string | undefined;
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: options.env ?? process.env,
      ...(options.cwd !== undefined && { cwd: options.cwd }),
    });
    const limit = setTimeout(() => {
      trouble = `no end after ${options.timeoutMs / 1000} seconds`;
      child.kill("SIGKILL");
    }, options.timeoutMs);
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-65_536);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const end = (code: number | null): void => {
      clearTimeout(limit);
      resolve({ code: trouble === undefined ? code : null, output, ...(trouble !== undefined && { trouble }) });
    };
    child.once("error", (error: NodeJS.ErrnoException) => {
      trouble ??= error.code === "ENOENT" ? "not found" : error.message.toLowerCase();
      end(null);
    });
    child.once("close", (code, signal) => {
      if (code === null) trouble ??= `ended by ${signal ?? "a signal"}`;
      end(code);
    });
  });
}

/** The line that says what went wrong, for a message of one line. */
export function lastLine({ output, trouble }: Outcome): string {
  if (trouble !== undefined) return trouble;
  const lines = output.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return lines.findLast((line) => /^(e:|error|fatal|go:)/i.test(line)) ?? lines.at(-1) ?? "it said nothing";
}
