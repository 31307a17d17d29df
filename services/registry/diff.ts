/** What differs between two versions of a document, field by field, as a person reads it. */
import { canonicalText } from "../../schemas/canonical.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { pointer } from "../../schemas/reason.ts";
import { compilePolicies } from "../policy/compile.ts";
import type { PolicySet } from "../../schemas/policy.ts";
import { type Document, isObject } from "./kinds.ts";

export interface FieldChange {
  /** JSON pointer; what has a name in a list is called by it (`/tools/allowlist/stripe.create_refund/after`). */
  readonly path: string;
  /** Absent when the field is new. */
  readonly before?: JsonValue;
  /** Absent when the field is gone. */
  readonly after?: JsonValue;
}

/** By which member an item of a list is known, so that an item put in the middle changes no other. */
const NAMES = ["name", "kid", "label", "path"] as const;

/** @param before undefined for a document that is new: then it is itself the one change */
export function documentChanges(before: Document["value"] | undefined, after: Document): FieldChange[] {
  if (before === undefined) return [{ path: "", after: comparable(after.kind, after.value) }];
  return valueChanges(comparable(after.kind, before), comparable(after.kind, after.value), []);
}

/** A policy set is compared policy by policy: in which file one stands, and in what order, means nothing. */
function comparable(kind: Document["kind"], value: Document["value"]): JsonValue {
  if (kind !== "policy") return value as unknown as JsonValue;
  const { files, ...rest } = value as PolicySet;
  const compiled = compilePolicies(value as PolicySet);
  return { ...rest, ...(compiled === undefined ? { files } : { policies: { ...compiled.texts } }) } as JsonValue;
}

export function valueChanges(before: JsonValue, after: JsonValue, path: readonly string[]): FieldChange[] {
  if (canonicalText(before) === canonicalText(after)) return [];
  if (isObject(before) && isObject(after)) return memberChanges(before, after, path);
  if (Array.isArray(before) && Array.isArray(after)) {
    const [named, other] = [byName(before), byName(after)];
    if (named !== undefined && other !== undefined) return memberChanges(named, other, path);
  }
  return [{ path: pointer(path), before, after }];
}

function memberChanges(before: { [key: string]: JsonValue }, after: { [key: string]: JsonValue }, path: readonly string[]): FieldChange[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].sort().flatMap((key): FieldChange[] => {
    const at = [...path, key];
    const [was, is] = [own(before, key), own(after, key)];
    if (was === undefined) return is === undefined ? [] : [{ path: pointer(at), after: is }];
    return is === undefined ? [{ path: pointer(at), before: was }] : valueChanges(was, is, at);
  });
}

/** A list as a map, when its items are plain values or each has a name; undefined when its order is all there is. */
function byName(items: readonly JsonValue[]): { [key: string]: JsonValue } | undefined {
  const map: { [key: string]: JsonValue } = Object.create(null) as { [key: string]: JsonValue };
  for (const item of items) {
    const name = nameOf(item);
    if (name === undefined || Object.hasOwn(map, name)) return undefined;
    map[name] = item;
  }
  return map;
}

function nameOf(item: JsonValue): string | undefined {
  if (isObject(item)) {
    for (const member of NAMES) if (typeof item[member] === "string") return item[member];
    return undefined;
  }
  return typeof item === "string" ? item : undefined;
}

function own(value: { [key: string]: JsonValue }, key: string): JsonValue | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}
