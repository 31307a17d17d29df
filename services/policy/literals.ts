/** What policies name: numbers, decimals, words and patterns. Where a decision turns, it turns at one of these. */
import type { CompiledPolicySet } from "./compiled.ts";
import { policyJsonOf } from "./engine.ts";

export interface Literals {
  readonly longs: ReadonlySet<number>;
  /** As written, `100.0`. */
  readonly decimals: ReadonlySet<string>;
  /** Words that an attribute is held against, by the attribute's name; agents and tools by `Agent` and `Tool`. */
  readonly words: ReadonlyMap<string, ReadonlySet<string>>;
  /** The same of the beginnings of `like` patterns, up to their first wildcard. */
  readonly beginnings: ReadonlyMap<string, ReadonlySet<string>>;
  /** Names of tools whose counts are asked for. */
  readonly counted: ReadonlySet<string>;
}

class Found implements Literals {
  readonly longs = new Set<number>();
  readonly decimals = new Set<string>();
  readonly words = new Map<string, Set<string>>();
  readonly beginnings = new Map<string, Set<string>>();
  readonly counted = new Set<string>();

  add(of: "words" | "beginnings", name: string, word: string): void {
    const known = this[of].get(name);
    if (known === undefined) this[of].set(name, new Set([word]));
    else known.add(word);
  }
}

export function literalsOf(set: CompiledPolicySet): Literals {
  const found = new Found();
  for (const text of Object.values(set.texts)) {
    const { principal, resource, conditions } = policyJsonOf(text);
    for (const uid of [...uidsOf(principal), ...uidsOf(resource)]) found.add("words", uid.type, uid.id);
    walk(conditions, found);
  }
  return found;
}

interface Uid {
  readonly type: string;
  readonly id: string;
}

/** Entities that a scope or an expression names. */
function uidsOf(node: unknown): Uid[] {
  if (typeof node !== "object" || node === null) return [];
  if (Array.isArray(node)) return node.flatMap(uidsOf);
  const { type, id } = node as Partial<Uid>;
  if (typeof type === "string" && typeof id === "string") return [{ type, id }];
  return Object.values(node).flatMap(uidsOf);
}

function walk(node: unknown, found: Found): void {
  if (typeof node !== "object" || node === null) return;
  if (Array.isArray(node)) {
    for (const item of node) walk(item, found);
    return;
  }
  for (const [operator, value] of Object.entries(node) as [string, unknown][]) {
    if (operator === "Value" && typeof value === "number") found.longs.add(value);
    if (operator === "decimal") for (const word of wordsIn(value)) found.decimals.add(word);
    const { left, right, pattern } = (typeof value === "object" && value !== null ? value : {}) as { left?: unknown; right?: unknown; pattern?: unknown };
    for (const [one, other] of [[left, right], [right, left]]) {
      const name = attributeOf(one);
      if (name !== undefined) for (const word of wordsIn(other)) found.add("words", name, word);
    }
    if (operator === "hasTag" || operator === "getTag") for (const word of wordsIn(right)) found.counted.add(word);
    const name = attributeOf(left);
    if (operator === "like" && name !== undefined && Array.isArray(pattern)) found.add("beginnings", name, beginningOf(pattern));
    for (const uid of operator === "Value" ? uidsOf(value) : []) found.add("words", uid.type, uid.id);
    walk(value, found);
  }
}

/** The last name of `context.run.failed`. */
function attributeOf(node: unknown): string | undefined {
  const access = (node as { readonly "."?: { readonly attr?: unknown } } | undefined)?.["."];
  return typeof access?.attr === "string" ? access.attr : undefined;
}

function wordsIn(node: unknown): string[] {
  if (typeof node !== "object" || node === null) return [];
  if (Array.isArray(node)) return node.flatMap(wordsIn);
  return Object.entries(node).flatMap(([key, value]: [string, unknown]) => (key === "Value" && typeof value === "string" ? [value] : key === "." ? [] : wordsIn(value)));
}

function beginningOf(pattern: readonly unknown[]): string {
  const wild = pattern.indexOf("Wildcard");
  return (pattern.slice(0, wild === -1 ? undefined : wild) as { readonly Literal: string }[]).map((part) => part.Literal).join("");
}
