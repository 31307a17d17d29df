/** From the text that people write to the documents that are hashed and stored, or to every fault with its place. */
import { canonicalBytes, canonicalText, sha256Digest } from "../../schemas/canonical.ts";
import { type Contract } from "../../schemas/contract.ts";
import { type Fault } from "../../schemas/fault.ts";
import { type JsonValue } from "../../schemas/json.ts";
import { pointer } from "../../schemas/reason.ts";
import { declares } from "./declares.ts";
import { demands } from "./demands.ts";
import { type Finding, findings } from "./explain.ts";
import { schemaFindings } from "./json-schema.ts";
import { type Document, isObject, kindOf, KINDS_HELP, lift, nameOf, SCHEMA_OF, type StoredDocument } from "./kinds.ts";
import { FORBIDDEN_KEYS, type Place, readYaml, type YamlDocument } from "./yaml.ts";

export type Parsed =
  | { readonly ok: true; readonly document: Document; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** Reads a text that holds exactly one document. Never throws. */
export function parseDocument(text: string, file: string): Parsed {
  const { documents, faults } = parseDocuments(text, file);
  const [first, ...more] = documents;
  if (faults.length > 0) return { ok: false, faults };
  if (first === undefined || more.length > 0) {
    const message = `expected one document, found ${documents.length}`;
    return { ok: false, faults: [{ file, line: 1, column: 1, path: "", code: "document.count", message }] };
  }
  const { bytes, digest: _, placeOf: __, ...document } = first;
  return { ok: true, document, bytes };
}

/** A document that was written, and where: the place of a path in its stored form. */
export type WrittenDocument = StoredDocument & { readonly placeOf: (path: readonly string[]) => Place };

/** Reads a text that may hold several documents, parted by `---`. Faults of all of them together. Never throws. */
export function parseDocuments(text: string, file: string): { documents: WrittenDocument[]; faults: Fault[] } {
  const yaml = readYaml(text, file);
  const documents: WrittenDocument[] = [];
  const faults: Fault[] = [...yaml.faults];
  if (yaml.documents.length === 0 && faults.length === 0) {
    faults.push({ file, line: 1, column: 1, path: "", code: "document.empty", message: "there is nothing here", help: KINDS_HELP });
  }
  for (const source of yaml.documents) {
    const result = check(source.value, demands);
    const document = result.document === undefined ? undefined : stored(result.document);
    if (document !== undefined && document.bytes.length <= MAX_STORED_BYTES) documents.push({ ...document, placeOf: (path) => source.placeOf(result.written(path)) });
    else {
      const found = document === undefined ? result.findings : [tooLarge(document.bytes)];
      faults.push(...found.map((finding) => placed(finding, source, file)));
    }
  }
  return { documents, faults };
}

/**
 * Reads a stored document back and checks it as if it had just been written. Only RFC 8785 bytes are read: two
 * spellings of one document, or a key that stands twice, would be one thing to a reader and another to a hash.
 * @returns the document, or its faults as findings without a place
 */
export function readStored(bytes: Uint8Array): { document?: Document; findings: readonly Finding[] } {
  return readBytes(bytes, true);
}

/**
 * The same for a document that the plane has checked before it came into force, a hundred times as fast: a tool's
 * schemas are not compiled here. One that cannot be compiled after all admits nothing when it is used.
 */
export function readApplied(bytes: Uint8Array): Document | undefined {
  return readBytes(bytes, false).document;
}

function readBytes(bytes: Uint8Array, schemas: boolean): { document?: Document; findings: readonly Finding[] } {
  if (bytes.length > MAX_STORED_BYTES) return { findings: [tooLarge(bytes)] };
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const value = JSON.parse(text, (key: string, member: JsonValue) => {
      if (FORBIDDEN_KEYS.has(key)) throw new SyntaxError(`the key \`${key}\` is not read`);
      return member;
    }) as JsonValue;
    if (canonicalText(value) === text) return check(value, undefined, schemas);
    return { findings: [{ path: [], code: "document.not_canonical", message: "the stored bytes are not RFC 8785 JSON" }] };
  } catch (error) {
    const message = `the stored document cannot be read: ${error instanceof Error ? error.message : ""}`;
    return { findings: [{ path: [], code: "document.unreadable", message }] };
  }
}

/** Bytes of one stored document: what the largest file can become when it is written out as JSON. */
export const MAX_STORED_BYTES = 2 * 1024 * 1024;

function tooLarge(bytes: Uint8Array): Finding {
  const message = `the document has ${bytes.length} bytes as it would be stored, and ${MAX_STORED_BYTES} are the limit`;
  return { path: [], code: "document.too_large", message };
}

/** The document with the bytes that name it. */
export function stored(document: Document): StoredDocument {
  const bytes = canonicalBytes(document.value);
  return { ...document, bytes, digest: sha256Digest(bytes) };
}

interface Checked {
  readonly document?: Document;
  readonly findings: Finding[];
  /** A path of the stored form as it stands in the text. */
  readonly written: (path: readonly string[]) => string[];
}

/** @param more that is asked of a document which people write, and not of one that was applied long ago */
function check(value: JsonValue, more: (document: Document) => Finding[] = () => [], schemas = true): Checked {
  const kind = kindOf(value);
  if (kind === undefined) {
    const message = "this is no kind of document";
    return { findings: [{ path: [], code: "document.unknown_kind", message, help: KINDS_HELP }], written: (path) => [...path] };
  }
  const lifted = lift(kind, value);
  const found: Finding[] = lifted.twice.map((path) => ({
    path,
    code: "document.section_twice",
    message: `\`${path.at(-1) ?? ""}\` stands both under \`agent\` and beside it`,
  }));
  const schema = SCHEMA_OF[kind];
  const parsed = schema.safeParse(lifted.value);
  const written = (finding: Finding): Finding => ({ ...finding, path: lifted.written(finding.path) });
  if (!parsed.success) found.push(...findings(schema, lifted.value, parsed.error).map(written));
  // schemas of a tool are checked even when the rest has faults: all faults at once
  if (kind === "tool" && schemas) found.push(...toolFindings(lifted.value).map(written));
  if (kind === "agent" && parsed.success) found.push(...contractFindings(parsed.data as Contract).map(written));
  if (!parsed.success) {
    found.push(...beside(kind, lifted.value, found.length === 0 ? [] : findings(schema, lifted.value, parsed.error), more).map(written));
    return { findings: found, written: lifted.written };
  }
  const document = { kind, name: nameOf(kind, parsed.data as JsonValue), value: parsed.data } as Document;
  found.push(...more(document).map(written));
  return { findings: found, written: lifted.written, ...(found.length === 0 && { document }) };
}

/**
 * What else is wrong with a document whose form is: all faults at once. Looked for in what is left without the members
 * that are faulty, and not beside them, where it could be a consequence.
 */
function beside(kind: Document["kind"], value: JsonValue, faulty: readonly Finding[], more: (document: Document) => Finding[]): Finding[] {
  const rest = SCHEMA_OF[kind].safeParse(without(value, faulty.map(({ path }) => path), []));
  if (!rest.success) return [];
  const parents = new Set(faulty.map(({ path }) => pointer(path.slice(0, -1))));
  const document = { kind, name: nameOf(kind, rest.data as JsonValue), value: rest.data } as Document;
  return more(document).filter(({ path }) => !parents.has(pointer(path.slice(0, -1))));
}

/** Items of lists stay: the places of those behind them are counted. */
function without(value: JsonValue, paths: readonly (readonly string[])[], at: readonly string[]): JsonValue {
  if (Array.isArray(value)) return value.map((item, i) => without(item, paths, [...at, String(i)]));
  if (!isObject(value)) return value;
  const members = Object.entries(value).map(([key, member]) => [key, [...at, key], member] as const);
  const gone = new Set(paths.map((path) => pointer(path)));
  return Object.fromEntries(members.filter(([, path]) => !gone.has(pointer(path))).map(([key, path, member]) => [key, without(member, paths, path)]));
}

function toolFindings(value: JsonValue): Finding[] {
  if (!isObject(value)) return [];
  const found: Finding[] = [];
  for (const side of ["input", "output"] as const) {
    const schema = value[side];
    if (isObject(schema)) found.push(...schemaFindings(schema, [side]));
  }
  if (found.length > 0 || !Array.isArray(value["personal"])) return found;
  value["personal"].forEach((entry, i) => {
    for (const key of ["path", "subject"] as const) {
      const path = isObject(entry) ? entry[key] : undefined;
      if (typeof path !== "string" || declares(value["input"], path) || declares(value["output"], path)) continue;
      const message = `\`${path}\` is declared neither in \`input\` nor in \`output\``;
      found.push({ path: ["personal", String(i), key], code: "tool.personal", message });
    }
  });
  return found;
}

function contractFindings(contract: Contract): Finding[] {
  const seen = new Set<string>();
  return contract.tools.allowlist.flatMap((entry, i) => {
    const twice = seen.has(entry.name);
    seen.add(entry.name);
    const message = `the tool \`${entry.name}\` stands in the allowlist twice`;
    return twice ? [{ path: ["tools", "allowlist", String(i), "name"], code: "contract.tool_twice", message }] : [];
  });
}

/** A finding with the place in the file where a person mends it. */
export function placed(finding: Finding, source: YamlDocument, file: string): Fault {
  const { path, code, message, help } = finding;
  return { file, ...source.placeOf(path), path: pointer(path), code, message, ...(help === undefined ? {} : { help }) };
}

