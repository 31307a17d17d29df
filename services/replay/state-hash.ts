/**
 * What an aggregate's events amount to, in one line (CORE-5, CORE-6): SHA-256 over the canonical form of its folded
 * state. Two replays are compared by it: on two machines, of a journal and of a copy or an export of it. A release that
 * keeps more of a run in its state gives other hashes: both replays are made by the same one.
 *
 * It depends on nothing but what the bodies of the events determine: not on where they are stored, on the reader's clock,
 * or on the order in which a map was filled. A state holds personal fields only as they were sealed, so it is the same
 * after an erasure.
 */
import { hash } from "node:crypto";
import type { Digest } from "../../schemas/ids.ts";
import { keysInOrder } from "../../schemas/key-order.ts";
import type { Driven } from "./fold.ts";

/** The hash of one aggregate's state, as documents are named: `sha256:<64 hex>`. */
export function stateHash(state: Driven["state"]): Digest {
  return `sha256:${hash("sha256", stateText(state), "hex")}` as Digest;
}

/** One hash for many aggregates, whatever their order. @param states hash by `<kind>/<name>` */
export function statesHash(states: ReadonlyMap<string, Digest>): Digest {
  return `sha256:${hash("sha256", stateText(states), "hex")}` as Digest;
}

/**
 * RFC 8785 text of a state, which is made of plain values, maps and sets: a map is written as an object, with its keys in
 * order; a set as a list, in its own order, because who came first is part of a state; what is undefined is left out.
 *
 * Written in one pass, and asked of each text whether it needs escaping before it is escaped, because this is a part of
 * every verification: 0.8 µs an event, where plain objects of the maps and their canonical text, to which a test holds
 * it, take 2.
 */
export function stateText(value: unknown): string {
  switch (typeof value) {
    case "string":
      return quoted(value);
    case "object":
      if (value === null) return "null";
      if (Array.isArray(value)) return listText(value);
      if (value instanceof Map) return mapText(value as ReadonlyMap<string, unknown>);
      return value instanceof Set ? listText([...value]) : objectText(value as Readonly<Record<string, unknown>>);
    default:
      // of numbers, too, ECMAScript's own text is the one that RFC 8785 prescribes
      return String(value);
  }
}

function objectText(value: Readonly<Record<string, unknown>>): string {
  let out = "{";
  for (const key of keysInOrder(value)) {
    const member = value[key];
    if (member === undefined) continue;
    out += (out.length > 1 ? "," : "") + named(key) + stateText(member);
  }
  return `${out}}`;
}

function mapText(map: ReadonlyMap<string, unknown>): string {
  let out = "{";
  for (const key of [...map.keys()].sort()) {
    const member = map.get(key);
    if (member === undefined) continue;
    out += `${out.length > 1 ? "," : ""}${quoted(key)}:${stateText(member)}`;
  }
  return `${out}}`;
}

function listText(items: readonly unknown[]): string {
  let out = "[";
  for (let i = 0; i < items.length; i++) out += i === 0 ? stateText(items[i]) : `,${stateText(items[i])}`;
  return `${out}]`;
}

/** A text that needs no escaping, as almost all of them: asking is quicker than having it written. */
const PLAIN = /^[ !#-[\]-~]*$/;

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** Names of members come again and again, few of them; those of somebody's output may be any. */
const NAMES = new Map<string, string>();
const MAX_NAMES = 1000;

function named(key: string): string {
  const known = NAMES.get(key);
  if (known !== undefined) return known;
  const text = `${quoted(key)}:`;
  if (NAMES.size < MAX_NAMES) NAMES.set(key, text);
  return text;
}
