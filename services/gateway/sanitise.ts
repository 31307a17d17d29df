/**
 * What a tool said, made safe to record, show and send (CORE-4). A tool is not trusted: its text ends in terminals,
 * consoles and prompts, and its keys in objects. Nothing is taken out silently: every removal leaves its place,
 * its reason, its size and a hash.
 *
 * Doing it twice changes nothing: whatever survives has none of what is looked for, and removals cannot bring two
 * halves of something together, because every half is itself removed.
 */
import type { Removed } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { Place } from "../policy/scan/place.ts";
import { Removals } from "../policy/scan/removals.ts";

export interface Sanitised {
  readonly value: JsonValue;
  readonly removed: Removed[];
}

/** Two levels of the wire's 64 are the report's own. */
const MAX_DEPTH = 62;

const FORBIDDEN_KEYS: ReadonlyMap<string, string> = new Map([
  ["__proto__", "prototype_key"],
  ["constructor", "prototype_key"],
  ["prototype", "prototype_key"],
  // A reference to a document is made by the plane alone; a tool could otherwise point at another's.
  ["$doc", "reserved_key"],
  ["$sealed", "reserved_key"],
  ["$withheld", "reserved_key"],
]);

/** Escape sequences first, so that they go whole and not only their first byte. All parts are linear: no two overlap. */
const UNWANTED =
  /(?<ansi>(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-~])|(?<control>[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+)|(?<bidi>[\u202a-\u202e\u2066-\u2069]+)|(?<surrogate>\p{Surrogate}+)/gu;
// the same characters, without the sequences: one look at clean text
const SUSPECT = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;

const REASONS = { ansi: "ansi_escape", control: "control_character", bidi: "bidi_override", surrogate: "lone_surrogate" } as const;

/** A plain JSON value with nothing dangerous in it, and the list of what was taken out. Never throws. */
export function sanitise(value: unknown, removals: Removals = new Removals()): Sanitised {
  const clean = walk(value, undefined, 0, removals);
  return { value: clean === undefined ? null : clean, removed: removals.list() };
}

/** One line of text from a tool, as an error message is: the same cleaning, cut to a length, nothing listed. */
export function sanitiseText(text: string, maxLength: number): string {
  return cleanText(text).slice(0, maxLength).replace(/[\ud800-\udbff]$/, "");
}

function walk(value: unknown, at: Place | undefined, depth: number, bin: Removals): JsonValue | undefined {
  switch (typeof value) {
    case "string":
      return cleanText(value, (reason, text) => bin.add(at, reason, text));
    case "number":
      if (!Number.isFinite(value)) return bin.add(at, "not_finite", String(value));
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) return bin.add(at, "unsafe_integer", String(value));
      // minus zero is read back as zero
      return value === 0 ? 0 : value;
    case "boolean":
      return value;
    case "object":
      if (value === null) return null;
      if (depth >= MAX_DEPTH) return bin.add(at, "too_deep", textOf(value));
      if (Array.isArray(value)) {
        // what is removed leaves null, so that the others keep their places
        return Array.from(value, (item, key) => walk(item, { parent: at, key }, depth + 1, bin) ?? null);
      }
      return isPlain(value) ? walkObject(value, at, depth, bin) : bin.add(at, "not_json", textOf(value));
    default:
      return bin.add(at, "not_json", String(value));
  }
}

function walkObject(value: object, at: Place | undefined, depth: number, bin: Removals): JsonValue {
  const out: { [key: string]: JsonValue } = {};
  for (const [written, member] of Object.entries(value)) {
    const key = cleanText(written, (reason, text) => bin.add(at, reason, text));
    const place = { parent: at, key };
    const forbidden = FORBIDDEN_KEYS.get(key);
    if (forbidden !== undefined) {
      bin.add(place, forbidden, textOf(member));
    } else if (key !== written && Object.hasOwn(value, key)) {
      bin.add(place, "duplicate_key", textOf(member));
    } else if (Object.hasOwn(out, key)) {
      bin.add(place, "duplicate_key", textOf(member));
    } else {
      const clean = walk(member, place, depth + 1, bin);
      if (clean !== undefined) out[key] = clean;
    }
  }
  return out;
}

function cleanText(text: string, removed?: (reason: string, text: string) => void): string {
  if (!SUSPECT.test(text) && text.isWellFormed()) return text;
  return text.replace(UNWANTED, (match, ...rest) => {
    const groups = rest.at(-1) as Record<keyof typeof REASONS, string | undefined>;
    for (const [group, reason] of Object.entries(REASONS)) {
      if (groups[group as keyof typeof REASONS] !== undefined) removed?.(reason, match);
    }
    return "";
  });
}

function isPlain(value: object): boolean {
  const proto: unknown = Object.getPrototypeOf(value);
  return proto === Object.prototype || proto === null;
}

function textOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}
