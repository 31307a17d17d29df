/** The kinds of document, recognised by what they hold, and how each is brought to its one stored form. */
import { type z } from "zod";
import { budgetName, budgetSchema, type BudgetDocument } from "../../schemas/budget.ts";
import { CONTRACT_SECTIONS, contractSchema, type Contract } from "../../schemas/contract.ts";
import { type Digest } from "../../schemas/ids.ts";
import { issuerSchema, type Issuer } from "../../schemas/issuer.ts";
import { type JsonValue } from "../../schemas/json.ts";
import { personSchema, type Person } from "../../schemas/person.ts";
import { policySetSchema, type PolicySet } from "../../schemas/policy.ts";
import { toolSchema, type Tool } from "../../schemas/tool.ts";

/** What a document of each kind says, in its stored form. The kinds are those of the aggregates that applying it touches. */
export interface DocumentValues {
  readonly agent: Contract;
  readonly tool: Tool;
  readonly policy: PolicySet;
  readonly person: Person;
  readonly issuer: Issuer;
  readonly budget: BudgetDocument;
}
export type DocumentKind = keyof DocumentValues;
export type Document = { [K in DocumentKind]: { readonly kind: K; readonly name: string; readonly value: DocumentValues[K] } }[DocumentKind];

/** A document with the bytes that are stored and the digest that names them. */
export type StoredDocument = Document & { readonly bytes: Uint8Array; readonly digest: Digest };

export const SCHEMA_OF: { readonly [K in DocumentKind]: z.ZodType } = {
  agent: contractSchema,
  tool: toolSchema,
  policy: policySetSchema,
  person: personSchema,
  issuer: issuerSchema,
  budget: budgetSchema,
};

/**
 * What is referred to comes before what refers to it, and the policy set last: while a change is half done, the set
 * that rules is the one that was asked about it.
 */
export const KIND_ORDER: { readonly [K in DocumentKind]: number } = { issuer: 0, person: 1, budget: 2, tool: 3, agent: 4, policy: 5 };

/** Sorts documents into the order in which they are put in force. */
export function inOrder(a: { readonly kind: DocumentKind; readonly name: string }, b: { readonly kind: DocumentKind; readonly name: string }): number {
  return KIND_ORDER[a.kind] - KIND_ORDER[b.kind] || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

/** What to write when a document is none of them. */
export const KINDS_HELP =
  "a contract has `agent:`, a tool has `name:` and `effect:`, a person has `person:`, an issuer `issuer:`, a budget `budget:`, a policy set is a folder of `.cedar` files";

/** Kinds whose whole content stands under one key of their own name. */
const KEYED = ["agent", "person", "issuer", "budget"] as const;

export function kindOf(value: JsonValue): DocumentKind | undefined {
  if (!isObject(value)) return undefined;
  const keyed = KEYED.find((kind) => Object.hasOwn(value, kind));
  if (keyed !== undefined) return keyed;
  if (Object.hasOwn(value, "name") && Object.hasOwn(value, "files")) return "policy";
  return Object.hasOwn(value, "name") && Object.hasOwn(value, "effect") ? "tool" : undefined;
}

/** The name under which a valid document is applied; empty when it has none. */
export function nameOf(kind: DocumentKind, value: JsonValue): string {
  if (!isObject(value)) return "";
  if (kind === "budget") return budgetName((value as BudgetDocument).budget);
  const holder = kind === "tool" || kind === "policy" ? value : value[kind];
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
