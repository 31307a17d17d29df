/** The three kinds of document, recognised by what they hold, and how each is brought to its one stored form. */
import { type z } from "zod";
import { CONTRACT_SECTIONS, contractSchema, type Contract } from "../../schemas/contract.ts";
import { type Digest } from "../../schemas/ids.ts";
import { type JsonValue } from "../../schemas/json.ts";
import { policySetSchema, type PolicySet } from "../../schemas/policy.ts";
import { toolSchema, type Tool } from "../../schemas/tool.ts";

/** A document by its kind, in its stored form. The kinds are those of the aggregates that applying it touches. */
export type Document =
  | { readonly kind: "agent"; readonly name: string; readonly value: Contract }
  | { readonly kind: "tool"; readonly name: string; readonly value: Tool }
  | { readonly kind: "policy"; readonly name: string; readonly value: PolicySet };
export type DocumentKind = Document["kind"];

/** A document with the bytes that are stored and the digest that names them. */
export type StoredDocument = Document & { readonly bytes: Uint8Array; readonly digest: Digest };

export const SCHEMA_OF: { readonly [K in DocumentKind]: z.ZodType } = {
  agent: contractSchema,
  tool: toolSchema,
  policy: policySetSchema,
};

/** What to write when a document is none of the three. */
export const KINDS_HELP = "a contract has `agent:`, a tool has `name:` and `effect:`, a policy set is a folder of `.cedar` files";

export function kindOf(value: JsonValue): DocumentKind | undefined {
  if (!isObject(value)) return undefined;
  if (Object.hasOwn(value, "agent")) return "agent";
  if (Object.hasOwn(value, "name") && Object.hasOwn(value, "files")) return "policy";
  return Object.hasOwn(value, "name") && Object.hasOwn(value, "effect") ? "tool" : undefined;
}

export function nameOf(kind: DocumentKind, value: JsonValue): string {
  const holder = kind === "agent" && isObject(value) ? value["agent"] : value;
  const name = isObject(holder) ? holder["name"] : undefined;
  return typeof name === "string" ? name : "";
}

export interface Lifted {
  readonly value: JsonValue;
  /** A path in the lifted value as it stands in the text. */
  readonly written: (path: readonly string[]) => string[];
  /** Sections that stand both under `agent` and beside it, as written under `agent`. */
  readonly twice: readonly string[][];
}

/**
 * Brings a document as people write it to the form that its schema describes: the sections of a contract are
 * lifted out of `agent`, and a tool's adapter becomes an object.
 */
export function lift(kind: DocumentKind, value: JsonValue): Lifted {
  if (kind === "tool" && isObject(value) && typeof value["adapter"] === "string") {
    const lifted = { ...value, adapter: { type: value["adapter"] } };
    return { value: lifted, written: (path) => (path[0] === "adapter" ? ["adapter"] : [...path]), twice: [] };
  }
  const agent = kind === "agent" && isObject(value) ? value["agent"] : undefined;
  if (!isObject(value) || agent === undefined || !isObject(agent)) {
    return { value, written: (path) => [...path], twice: [] };
  }
  const inside = new Set<string>();
  const twice: string[][] = [];
  const lifted: { [key: string]: JsonValue } = { ...value };
  const rest: { [key: string]: JsonValue } = { ...agent };
  for (const section of CONTRACT_SECTIONS) {
    const content = agent[section];
    if (content === undefined) continue;
    delete rest[section];
    if (Object.hasOwn(value, section)) {
      twice.push(["agent", section]);
    } else {
      inside.add(section);
      lifted[section] = content;
    }
  }
  lifted["agent"] = rest;
  return {
    value: lifted,
    written: (path) => (inside.has(path[0] ?? "") ? ["agent", ...path] : [...path]),
    twice,
  };
}

export function isObject(value: unknown): value is { [key: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
