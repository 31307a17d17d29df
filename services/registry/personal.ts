/**
 * Which fields of a tool's input and output are personal, and of whom (law 10): what the tool and the contract mark,
 * together. Pure: keys and ciphers are elsewhere.
 */
import type { Contract } from "../../schemas/contract.ts";
import { contractTool } from "../../schemas/contract.ts";
import { fieldSegments } from "../../schemas/field.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { pointer } from "../../schemas/reason.ts";
import type { Tool } from "../../schemas/tool.ts";
import type { Finding } from "./explain.ts";

/** A mark, its patterns taken apart. */
export interface Mark {
  readonly path: readonly string[];
  readonly subject: readonly string[];
}

const NONE: readonly Mark[] = [];
/** By the array that a document holds, which lives as long as the document. */
const TAKEN_APART = new WeakMap<Tool["personal"], readonly Mark[]>();

/** Of a call of this tool by an agent under this contract; the same empty list where nothing is personal. */
export function marksOfTool(tool: Tool, contract: Contract | undefined): readonly Mark[] {
  const more = contract === undefined || !marksAnything(contract) ? undefined : contractTool(contract, tool.name)?.personal;
  if (more === undefined || more.length === 0) return tool.personal.length === 0 ? NONE : apart(tool.personal);
  // what holds other fields comes first: they are sealed with it
  return [...apart(tool.personal), ...apart(more)].sort((a, b) => a.path.length - b.path.length);
}

const MARKING = new WeakMap<Contract, boolean>();

/** Looked for once: most contracts mark nothing, and this is asked of every call. */
function marksAnything(contract: Contract): boolean {
  let found = MARKING.get(contract);
  if (found === undefined) {
    found = contract.tools.allowlist.some(({ personal }) => personal !== undefined && personal.length > 0);
    MARKING.set(contract, found);
  }
  return found;
}

/** What the tool itself marks. */
export function marksOf(tool: Tool): readonly Mark[] {
  return marksOfTool(tool, undefined);
}

function apart(personal: Tool["personal"]): readonly Mark[] {
  let marks = TAKEN_APART.get(personal);
  if (marks === undefined) {
    marks = personal.map(({ path, subject }) => ({ path: fieldSegments(path), subject: fieldSegments(subject) })).sort((a, b) => a.path.length - b.path.length);
    TAKEN_APART.set(personal, marks);
  }
  return marks;
}

/** One marked field that is there. */
export interface PersonalField {
  /** JSON pointer to it. */
  readonly path: string;
  readonly value: JsonValue;
  /** Where its subject is said, the `*` of the mark filled in as in `path`. */
  readonly subject: readonly string[];
}

/**
 * Replaces every marked field that is there and not null. A field within another one that was replaced goes with it.
 * The value itself is not changed; without a marked field it is returned as it is.
 */
export function replaced(value: JsonValue, marks: readonly Mark[], by: (field: PersonalField) => JsonValue): JsonValue {
  const done = new Set<string>();
  let result = value;
  for (const mark of marks) result = walk(result, mark, [], [], done, by);
  return result;
}

function walk(value: JsonValue, mark: Mark, at: readonly string[], stars: readonly string[], done: Set<string>, by: (field: PersonalField) => JsonValue): JsonValue {
  const segment = mark.path[at.length];
  if (segment === undefined) {
    const path = pointer([...at]);
    if (value === null || done.has(path)) return value;
    done.add(path);
    return by({ path, value, subject: filled(mark.subject, stars) });
  }
  if (typeof value !== "object" || value === null || done.has(pointer([...at]))) return value;
  const keys = segment === "*" ? Object.keys(value) : Object.hasOwn(value, segment) && (!Array.isArray(value) || /^(0|[1-9][0-9]*)$/.test(segment)) ? [segment] : [];
  let copy: JsonValue = value;
  for (const key of keys) {
    const member = (value as { [key: string]: JsonValue })[key] as JsonValue;
    const other = walk(member, mark, [...at, key], segment === "*" ? [...stars, key] : stars, done, by);
    if (other === member) continue;
    if (copy === value) copy = Array.isArray(value) ? [...value] : { ...value };
    (copy as { [key: string]: JsonValue })[key] = other;
  }
  return copy;
}

/** The first `*` of a subject is what the first of its path was, and so on. */
function filled(subject: readonly string[], stars: readonly string[]): string[] {
  let next = 0;
  return subject.map((segment) => (segment === "*" ? (stars[next++] ?? segment) : segment));
}

/** The text that names a subject, where a value says one; numbers and strings of the same digits are one subject. */
export function subjectAt(value: JsonValue | undefined, path: readonly string[]): string | undefined {
  const named = valueAt(value, path);
  if (typeof named === "number") return String(named);
  return typeof named === "string" && named !== "" ? named : undefined;
}

/** Undefined where the way ends before. Inherited members do not exist here. */
export function valueAt(value: JsonValue | undefined, path: readonly string[]): JsonValue | undefined {
  let at = value;
  for (const segment of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, segment)) return undefined;
    at = (at as { [key: string]: JsonValue })[segment];
  }
  return at;
}

/** Whether a mark takes in a field, or a part of it, or what it is a part of. */
export function touches(mark: readonly string[], field: readonly string[]): boolean {
  const length = Math.min(mark.length, field.length);
  return mark.slice(0, length).every((segment, i) => segment === "*" || field[i] === "*" || segment === field[i]);
}

/** What is wrong with marks by themselves. @param of whose they are: `tool` or `contract` */
export function personalFindings(personal: Tool["personal"], at: readonly (string | number)[], of: "tool" | "contract"): Finding[] {
  const found: Finding[] = [];
  const say = (path: readonly (string | number)[], code: string, message: string, help?: string) =>
    found.push({ path: [...at, ...path].map(String), code: `${of}.${code}`, message, ...(help !== undefined && { help }) });
  const stars = (path: string) => fieldSegments(path).filter((segment) => segment === "*").length;
  personal.forEach(({ path, subject }, i) => {
    if (stars(subject) > stars(path)) say([i, "subject"], "personal", `\`${subject}\` has more \`*\` than \`${path}\`, so it names no one field`, "each `*` of a subject is what the same `*` of its path is");
    if (personal.findIndex((other) => other.path === path) < i) say([i, "path"], "personal_twice", `\`${path}\` stands here twice`);
  });
  return found;
}
