/** The README as a test reads it: blocks of code, files that they are to be put in, tables. */
import { readFileSync } from "node:fs";

export const text = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

export interface Block {
  readonly language: string;
  readonly text: string;
  /** Where the line before says that it goes. */
  readonly file: string | undefined;
}

export const blocks: readonly Block[] = [...text.matchAll(/(?:^`([^`\n]+)`:\n\n)?^```(\w+)\n([\s\S]*?)^```$/gm)].map(
  ([, file, language = "", body = ""]) => ({ language, text: body, file }),
);

/** Commands in the order of the page. */
export const commands: readonly string[] = blocks.filter(({ language }) => language === "sh").flatMap(({ text: lines }) => lines.trim().split("\n"));

/** Rows of the table whose first heading is this, cells as they are written. */
export function table(heading: string): string[][] {
  const lines = text.split("\n");
  const at = lines.findIndex((line) => line.startsWith(`| ${heading} |`));
  if (at < 0) throw new Error(`the README has no table \`${heading}\``);
  const rows: string[][] = [];
  for (const line of lines.slice(at + 2)) {
    if (!line.startsWith("|")) break;
    // an escaped bar is no border
    rows.push(line.replaceAll("\\|", "\u0000").split("|").slice(1, -1).map((cell) => cell.trim().replaceAll("\u0000", "|")));
  }
  return rows;
}

/** What stands in backticks. */
export function quoted(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, word = ""]) => word);
}

/** Words of a simple command as a shell would split them: quotes, and `$NAME`. */
export function words(line: string, env: Readonly<Record<string, string | undefined>>): string[] {
  const found: string[] = [];
  for (const [, single, double, bare] of line.matchAll(/'([^']*)'|"([^"]*)"|((?:[^\s'"])+)/g)) {
    found.push(single ?? (double ?? bare ?? "").replaceAll(/\$([A-Z_]+)/g, (_, name: string) => env[name] ?? ""));
  }
  return found;
}
