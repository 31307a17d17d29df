/** Which requirements the titles of the tests cite. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { REQUIREMENTS, type RequirementId } from "../requirements.ts";

export interface Citation {
  readonly id: string;
  /** Relative to the folder that was searched. */
  readonly file: string;
  readonly title: string;
}

const FAMILIES = [...new Set(Object.keys(REQUIREMENTS).map((id) => id.replace(/-\d+$/, "")))];
/** `UTF-8` and `SHA-256` are no requirements: only the families of the table count, whatever the number. */
const CITED = new RegExp(`\\b(?:${FAMILIES.join("|")})-\\d+\\b`, "g");
/** A title is the first argument of `test`, `it`, `describe` or `suite`, of `t.test`, or of one of these with `.skip` and the like. */
const TITLE = /\b(?:test|it|describe|suite)(?:\.\w+)?\(\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`)/g;

/** All `*.test.ts` under the folder, relative to it, sorted. */
export function testFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => file.replaceAll("\\", "/"))
    .sort();
}

export function citationsIn(text: string, file: string): Citation[] {
  return [...text.matchAll(TITLE)].flatMap(([, title = ""]) =>
    [...title.matchAll(CITED)].map(([id]) => ({ id, file, title: title.slice(1, -1) })),
  );
}

export function collectCitations(folder: string): Citation[] {
  return testFiles(folder).flatMap((file) => citationsIn(readFileSync(join(folder, file), "utf8"), file));
}

/** The ids of the table that no title cites, in its order. */
export function uncited(citations: readonly Citation[]): RequirementId[] {
  const cited = new Set(citations.map(({ id }) => id));
  return (Object.keys(REQUIREMENTS) as RequirementId[]).filter((id) => !cited.has(id));
}

/** Citations of ids that the table does not have. */
export function unknown(citations: readonly Citation[]): Citation[] {
  return citations.filter(({ id }) => !Object.hasOwn(REQUIREMENTS, id));
}
