/**
 * YAML as data and nothing else: values that JSON has, and for each the place where it is written.
 * Threats answered here: custom tags, alias bombs and cycles, duplicate and prototype keys, numbers that would
 * silently change, deep nesting, and files so large that reading them is the attack.
 */
import { type Alias, isAlias, isMap, isPair, isScalar, isSeq, LineCounter, parseAllDocuments, type Node } from "yaml";
import { type Fault } from "../../schemas/fault.ts";
import { type JsonValue } from "../../schemas/json.ts";
import { pointer } from "../../schemas/reason.ts";

/** Bytes of one file. */
export const MAX_DOCUMENT_BYTES = 512 * 1024;
/** Values of one file after aliases are followed. */
const MAX_NODES = 50_000;
const MAX_DEPTH = 64;
/** More than a person mends before trying again. */
const MAX_FAULTS = 100;
/** Keys that mean something to the language and not to a document. */
export const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

export interface Place {
  /** Both count from 1. */
  readonly line: number;
  readonly column: number;
}

/** One YAML document of a file. */
export interface YamlDocument {
  readonly value: JsonValue;
  /** Where the value at a path is written: its key where it has one. The nearest parent's place when it is missing. */
  readonly placeOf: (path: readonly string[]) => Place;
}

export interface YamlText {
  readonly documents: readonly YamlDocument[];
  /** When there are any, `documents` is empty: a value that was read in part is not judged further. */
  readonly faults: readonly Fault[];
}

/** Reads a text that may hold several documents. Never throws. */
export function readYaml(text: string, file: string): YamlText {
  const bytes = Buffer.byteLength(text);
  const first = { file, line: 1, column: 1, path: "" };
  if (bytes > MAX_DOCUMENT_BYTES) {
    const message = `the file has ${bytes} bytes, and ${MAX_DOCUMENT_BYTES} are the limit`;
    return { documents: [], faults: [{ ...first, code: "document.too_large", message }] };
  }
  const depth = bracketDepth(text);
  if (depth.deepest > 4 * MAX_DEPTH) {
    // counted before parsing, because the parser itself recurses
    return { documents: [], faults: [{ ...first, ...depth.place, code: "yaml.too_deep", message: tooDeep }] };
  }
  const lines = new LineCounter();
  const faults: Fault[] = [];
  const documents: YamlDocument[] = [];
  try {
    const parsed = parseAllDocuments(text, {
      version: "1.2",
      schema: "core",
      merge: false,
      // quadratic in the parser; the walk below does it in one pass
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: "silent",
      lineCounter: lines,
    });
    for (const document of Array.isArray(parsed) ? parsed : []) {
      for (const error of document.errors) {
        faults.push({ file, ...placeAt(lines, error.pos[0]), path: "", code: "yaml.syntax", message: prose(error.message) });
      }
      if (document.errors.length > 0 || isNothing(document.contents)) continue;
      const walk = new Walk(file, lines);
      const value = walk.read(document.contents, [], 0);
      faults.push(...walk.faults);
      documents.push({ value, placeOf: (path) => walk.placeOf(path) });
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    faults.push({ ...first, code: "yaml.too_deep", message: tooDeep });
  }
  return faults.length > 0 ? { documents: [], faults: faults.slice(0, MAX_FAULTS) } : { documents, faults };
}

const tooDeep = `nested deeper than ${MAX_DEPTH}`;

class Walk {
  readonly faults: Fault[] = [];
  readonly #file: string;
  readonly #lines: LineCounter;
  readonly #anchors = new Map<string, Node>();
  /** Nodes being read: an alias to one of them is a cycle. */
  readonly #open = new Set<Node>();
  readonly #places = new Map<string, number>();
  #nodes = 0;
  #characters = 0;

  constructor(file: string, lines: LineCounter) {
    this.#file = file;
    this.#lines = lines;
  }

  placeOf(path: readonly string[]): Place {
    for (let length = path.length; length >= 0; length--) {
      const offset = this.#places.get(pointer(path.slice(0, length)));
      if (offset !== undefined) return placeAt(this.#lines, offset);
    }
    return { line: 1, column: 1 };
  }

  read(node: unknown, path: string[], depth: number, keyOffset?: number): JsonValue {
    if (node === null || node === undefined) return this.#leaf(null, path, keyOffset ?? 0);
    const at = node as Node;
    const offset = keyOffset ?? at.range?.[0] ?? 0;
    this.#places.set(pointer(path), offset);
    if (++this.#nodes === MAX_NODES + 1) {
      this.#fault(offset, path, "yaml.too_many", `more than ${MAX_NODES} values`, "aliases count as what they stand for");
    }
    if (this.#nodes > MAX_NODES) return null;
    if (depth > MAX_DEPTH) {
      this.#fault(offset, path, "yaml.too_deep", tooDeep);
      return null;
    }
    if (isAlias(at)) return this.#alias(at, path, depth, offset);
    if (at.tag !== undefined) {
      this.#fault(offset, path, "yaml.tag", `the tag \`${at.tag}\` is not read`, "write the plain value");
      return null;
    }
    const anchor = (at as { anchor?: string }).anchor;
    if (anchor !== undefined) this.#anchors.set(anchor, at);
    this.#open.add(at);
    try {
      if (isMap(at)) return this.#map(at.items, path, depth);
      if (isSeq(at)) return at.items.map((item, i) => this.read(item, [...path, String(i)], depth + 1));
      return this.#scalar(at, path, offset);
    } finally {
      this.#open.delete(at);
    }
  }

  #alias(node: Alias, path: string[], depth: number, offset: number): JsonValue {
    const target = this.#anchors.get(node.source);
    if (target === undefined) {
      this.#fault(offset, path, "yaml.alias", `the alias \`*${node.source}\` names no anchor before it`);
      return null;
    }
    if (this.#open.has(target)) {
      this.#fault(offset, path, "yaml.alias", `the alias \`*${node.source}\` stands inside its own anchor`);
      return null;
    }
    return this.read(target, path, depth, offset);
  }

  #map(items: readonly unknown[], path: string[], depth: number): JsonValue {
    const out: { [key: string]: JsonValue } = {};
    for (const item of items) {
      if (!isPair(item)) continue;
      const keyNode = item.key as Node | null;
      const offset = keyNode?.range?.[0] ?? 0;
      if (!isScalar(keyNode) || keyNode.tag !== undefined) {
        this.#fault(offset, path, "yaml.key", "a key must be plain text");
        continue;
      }
      const key = typeof keyNode.value === "string" ? keyNode.value : (keyNode.source ?? "");
      const at = [...path, key];
      if (FORBIDDEN_KEYS.has(key)) {
        this.#fault(offset, at, "yaml.key", `the key \`${key}\` is not read`);
      } else if (Object.hasOwn(out, key)) {
        this.#fault(offset, at, "yaml.duplicate_key", `the key \`${key}\` stands here twice`);
      } else {
        out[key] = this.read(item.value, at, depth + 1, offset);
      }
    }
    return out;
  }

  #scalar(node: Node, path: string[], offset: number): JsonValue {
    const value: unknown = isScalar(node) ? node.value : undefined;
    if (typeof value === "number") {
      if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))) {
        this.#fault(offset, path, "yaml.number", "a number must be finite and within ±2^53", "write it in quotes");
        return null;
      }
      return value;
    }
    if (typeof value === "string") {
      // an alias to a long text costs nothing here and everything when it is written out
      const before = this.#characters;
      this.#characters += value.length;
      if (this.#characters > MAX_DOCUMENT_BYTES) {
        if (before <= MAX_DOCUMENT_BYTES) {
          this.#fault(offset, path, "yaml.too_many", `more than ${MAX_DOCUMENT_BYTES} characters`, "aliases count as what they stand for");
        }
        return null;
      }
      if (value.isWellFormed()) return value;
      this.#fault(offset, path, "yaml.text", "the text holds a lone surrogate");
      return null;
    }
    if (typeof value === "boolean" || value === null) return value;
    this.#fault(offset, path, "yaml.value", "this is no text, number, boolean, list or map");
    return null;
  }

  #leaf(value: JsonValue, path: string[], offset: number): JsonValue {
    this.#places.set(pointer(path), offset);
    return value;
  }

  #fault(offset: number, path: string[], code: string, message: string, help?: string): void {
    this.faults.push({
      file: this.#file,
      ...placeAt(this.#lines, offset),
      path: pointer(path),
      code,
      message,
      ...(help === undefined ? {} : { help }),
    });
  }
}

function placeAt(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return line === 0 ? { line: 1, column: 1 } : { line, column: col };
}

/** How deep flow brackets and indicators could nest at most; text in quotes counts too, which errs on the safe side. */
function bracketDepth(text: string): { deepest: number; place: Place } {
  let depth = 0;
  let deepest = 0;
  let line = 1;
  let start = 0;
  let place: Place = { line: 1, column: 1 };
  let indicators = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 10) {
      line++;
      start = i + 1;
      indicators = 0;
      continue;
    }
    if (c === 91 || c === 123) depth++;
    else if (c === 93 || c === 125) depth = Math.max(0, depth - 1);
    // `- - - -` and `? ? ?` open a level each without a bracket
    else if ((c === 45 || c === 63) && text.charCodeAt(i + 1) === 32) indicators++;
    if (depth + indicators > deepest) {
      deepest = depth + indicators;
      if (deepest === 4 * MAX_DEPTH + 1) place = { line, column: i - start + 1 };
    }
  }
  return { deepest, place };
}

/** Between two `---` there may be nothing but comments. */
function isNothing(node: unknown): boolean {
  return node === null || (isScalar(node) && node.value === null && node.tag === undefined);
}

function prose(message: string): string {
  const first = message.split("\n", 1)[0] ?? message;
  return `${first.slice(0, 1).toLowerCase()}${first.slice(1, 300)}`.replace(/\.$/, "");
}
