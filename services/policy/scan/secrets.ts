/**
 * Secrets in a value: found, and taken out. The gateway takes them out of outputs before anybody sees them, and the
 * coordinator refuses what people and agents send with one in it: no journal ever holds a secret that has a known form.
 */
import type { Removed } from "../../../schemas/inputs.ts";
import type { JsonValue } from "../../../schemas/json.ts";
import { type Reason, reason } from "../../../schemas/reason.ts";
import { eachText, pathOf, type Place } from "./place.ts";
import { Removals } from "./removals.ts";
import { namedSecret, SECRET_RULES } from "./secret-rules.ts";

/** Where a secret stands, and the rule that knew it. Never the secret. */
export interface FoundSecret {
  /** JSON pointer into the value. */
  readonly path: string;
  readonly rule: string;
}

/** What stands where a secret stood. */
export const SECRET_REMOVED = "[secret removed]";

/** A part of a text, by UTF-16 offsets. */
interface Span {
  readonly from: number;
  readonly to: number;
  readonly rule: string;
}

/** Something that every rule's matches hold. Most texts hold none of it, and cost one look. */
const HINT =
  /eyJ|-----BEGIN|S[ACNOUX][A-Z2-7]{6}|A[KS]IA|[Ss]ecret|SECRET|AIza|ya29|GOCSPX|AccountKey|gh[pousr]_|_pat_|glpat-|xox|xapp-|hooks\.slack|sk[_-]|rk_|whsec_|npm_|pypi-|SG\.|hf_|hvs\.|:AA|AGE-|earer|EARER|uthorization|:\/\/[^\s/@]{0,64}:|[Pp]ass[wp]|PASS|pwd|PWD|ontrase|ot de passe|[Kk]ey|KEY|[Tt]oken|TOKEN/;

/** Every secret of a value, by place and rule; at most 100. Never throws. */
export function secretsIn(value: unknown): FoundSecret[] {
  const found: FoundSecret[] = [];
  eachText(value, ({ text, at, name, isName }) => {
    // a path must not say what it leads to
    for (const rule of rulesOf(text, name)) found.push({ path: textWithoutSecrets(pathOf(isName ? at?.parent : at)), rule });
    return found.length < MAX_FOUND;
  });
  return found;
}

const MAX_FOUND = 100;
const MAX_FAULTS = 8;

/** Why what somebody sent is refused at the door: secrets stand in it. Nothing of them is in the reasons. */
export function secretFaults(body: unknown): Reason[] {
  return secretsIn(body)
    .slice(0, MAX_FAULTS)
    .map(({ path, rule }) =>
      reason("secret.found", `this looks like a secret (\`${rule}\`)`, { path, help: "what is sent is recorded for ever: name the secret, and let the tool look it up" }),
    );
}

/**
 * A value without its secrets, and where they stood; also those that are written in base64 or have invisible
 * characters within. Never throws.
 * @param removals what was taken out before
 */
export function withoutSecrets(value: JsonValue, removals: Removals = new Removals()): { value: JsonValue; removed: Removed[]; found: FoundSecret[] } {
  const found: FoundSecret[] = [];
  const note: Note = (at, rules, secret) => {
    removals.add(at, "secret", secret);
    const path = pathOf(at);
    for (const rule of new Set(rules)) if (found.length < MAX_FOUND) found.push({ path, rule });
  };
  const clean = strip(value, undefined, undefined, note);
  return { value: clean, removed: removals.list(), found };
}

/** One line of text without its secrets, as the message of an error. */
export function textWithoutSecrets(text: string): string {
  return cut(text, spansOf(text));
}

type Note = (at: Place | undefined, rules: Iterable<string>, secret: string) => void;

/** The same value when nothing is found in it: most outputs are never copied. */
function strip(value: JsonValue, at: Place | undefined, name: string | undefined, note: Note): JsonValue {
  if (typeof value === "string") {
    if (name !== undefined && namedSecret(name, value)) {
      note(at, ["named"], value);
      return SECRET_REMOVED;
    }
    const spans = deepSpansOf(value);
    if (spans.length === 0) return value;
    note(at, spans.map(({ rule }) => rule), spans.map(({ from, to }) => value.slice(from, to)).join(""));
    return cut(value, spans);
  }
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    let changed = false;
    const items = value.map((item, key) => {
      const clean = strip(item, { parent: at, key }, name, note);
      changed ||= clean !== item;
      return clean;
    });
    return changed ? items : value;
  }
  let changed = false;
  const out: { [key: string]: JsonValue } = {};
  for (const [key, member] of Object.entries(value)) {
    const spans = spansOf(key);
    const safe = spans.length === 0 ? key : cut(key, spans);
    const place = { parent: at, key: safe };
    if (spans.length > 0) note(place, spans.map(({ rule }) => rule), spans.map(({ from, to }) => key.slice(from, to)).join(""));
    const clean = strip(member, place, key, note);
    changed ||= clean !== member || safe !== key;
    // two names that differ in their secrets alone: the first is kept
    if (!Object.hasOwn(out, safe)) out[safe] = clean;
  }
  return changed ? out : value;
}

function rulesOf(text: string, name: string | undefined): Iterable<string> {
  if (name !== undefined && namedSecret(name, text)) return ["named"];
  const spans = spansOf(text);
  return spans.length === 0 ? [] : new Set(spans.map(({ rule }) => rule));
}

/** The same, with what a machine reads and a person does not. */
function deepSpansOf(text: string): Span[] {
  const spans = spansOf(text);
  if (UNSEEN.test(text)) {
    const inner = spansOf(text.replace(UNSEEN_ALL, ""));
    // where it stands in the text is not worth finding out: nothing of such a text was meant to be read
    if (inner.length > spans.length) return [{ from: 0, to: text.length, rule: inner[0]!.rule }];
  }
  if (text.length < 40) return spans;
  for (const { 0: run, index } of text.matchAll(BASE64)) {
    const inner = spansOf(Buffer.from(run, "base64").toString("latin1"));
    if (inner.length > 0) spans.push({ from: index, to: index + run.length, rule: inner[0]!.rule });
  }
  return merged(spans);
}

const UNSEEN = /[\u00ad\u200b-\u200d\u2060\ufeff]/;
const UNSEEN_ALL = /[\u00ad\u200b-\u200d\u2060\ufeff]/g;
const BASE64 = /(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/]{40,16384}={0,2}/g;

/** Secrets in a text, in its order, none within another. */
function spansOf(text: string): Span[] {
  if (text.length < 12 || !HINT.test(text)) return [];
  const spans: Span[] = blocksOf(text);
  for (const { name, pattern, check } of SECRET_RULES) {
    pattern.lastIndex = 0;
    for (const match of text.matchAll(pattern)) {
      const secret = match[1] ?? match[0];
      if (check?.(secret) === false) continue;
      const from = match.index + match[0].lastIndexOf(secret);
      spans.push({ from, to: from + secret.length, rule: name });
    }
  }
  return spans.length < 2 ? spans : merged(spans);
}

const BEGIN = /-----BEGIN (?:[A-Z0-9]{1,16} ){0,4}(?:PRIVATE KEY(?: BLOCK)?|NATS USER JWT|[A-Z]{1,16} NKEY SEED)-----/g;

/** What the inside of such a block is made of, also with its line breaks escaped. */
const INSIDE = /[A-Za-z0-9+/=\s\\:,-]{0,65536}/y;

/** PEM blocks of private keys and NATS credentials; one that was cut off goes on as far as its text does. */
function blocksOf(text: string): Span[] {
  const spans: Span[] = [];
  let at = text.indexOf("-----BEGIN");
  while (at >= 0) {
    BEGIN.lastIndex = at;
    const begin = BEGIN.exec(text);
    if (begin === null) break;
    const end = text.indexOf("-----END", begin.index + begin[0].length);
    INSIDE.lastIndex = begin.index + begin[0].length;
    INSIDE.exec(text);
    const after = end < 0 ? -1 : text.indexOf("-----", end + "-----END".length);
    const to = after < 0 ? INSIDE.lastIndex : after + 5;
    // a block that is only named, as in a manual, holds nothing
    if (to - begin.index - begin[0].length > 60) spans.push({ from: begin.index, to, rule: begin[0].includes("NATS") || begin[0].includes("NKEY") ? "nats_creds" : "private_key" });
    at = text.indexOf("-----BEGIN", to);
  }
  return spans;
}

function merged(spans: Span[]): Span[] {
  spans.sort((a, b) => a.from - b.from || b.to - a.to);
  const out: Span[] = [];
  for (const span of spans) {
    const last = out.at(-1);
    if (last === undefined || span.from >= last.to) out.push(span);
    else if (span.to > last.to) out[out.length - 1] = { ...last, to: span.to };
  }
  return out;
}

function cut(text: string, spans: readonly Span[]): string {
  let out = "";
  let at = 0;
  for (const { from, to } of spans) {
    out += text.slice(at, from) + SECRET_REMOVED;
    at = to;
  }
  return out + text.slice(at);
}
