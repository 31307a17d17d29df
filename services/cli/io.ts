/** What a command may touch of the process that it runs in; tests give their own. */
import type { Readable } from "node:stream";
import { visible } from "./visible.ts";

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  /** Ends `tail` and waits; Ctrl-C in a terminal. */
  readonly signal: AbortSignal;
}

export type Paint = Readonly<Record<"bold" | "dim" | "red" | "green" | "yellow", (text: string) => string>>;

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;

/** Colours for a terminal, and none for anything else or with NO_COLOR. */
export function paintFor(output: Output, env: Io["env"]): Paint {
  const colour = output.isTTY === true && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
  const paint = (code: number) => (text: string) => (colour && text !== "" ? `\u001b[${code}m${text}\u001b[0m` : text);
  return { bold: paint(CODES.bold), dim: paint(CODES.dim), red: paint(CODES.red), green: paint(CODES.green), yellow: paint(CODES.yellow) };
}

export const PLAIN: Paint = { bold: (t) => t, dim: (t) => t, red: (t) => t, green: (t) => t, yellow: (t) => t };

export function line(output: Output, text = ""): void {
  output.write(`${text}\n`);
}

export function json(output: Output, value: unknown): void {
  output.write(`${JSON.stringify(value, undefined, 2)}\n`);
}

/** Rows under headings, columns two spaces apart. Cells are made visible; numbers are right-aligned. */
export function table(headings: readonly string[], rows: readonly (readonly (string | number)[])[], paint: Paint): string {
  const cells = rows.map((row) => row.map((cell) => visible(String(cell))));
  const widths = headings.map((heading, i) => Math.max(heading.length, ...cells.map((row) => (row[i] ?? "").length)));
  const layout = (row: readonly string[], number: (i: number) => boolean) =>
    row.map((cell, i) => (number(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join("  ").trimEnd();
  const isNumber = (i: number) => rows.length > 0 && rows.every((row) => typeof row[i] === "number");
  return [paint.dim(layout(headings, isNumber)), ...cells.map((row) => layout(row, isNumber))].join("\n");
}

/** One line of what a person types; undefined at the end of input. */
export async function readLine(io: Io): Promise<string | undefined> {
  let text = "";
  for await (const chunk of io.stdin) {
    text += String(chunk);
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end).trim();
  }
  return text === "" ? undefined : text.trim();
}

export async function readAll(io: Io, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of io.stdin) {
    const part = Buffer.from(chunk as Buffer | string);
    bytes += part.length;
    if (bytes > maxBytes) throw new RangeError(`more than ${maxBytes} bytes`);
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString("utf8");
}
