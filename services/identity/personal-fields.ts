/** Sealing and opening the personal fields of one value: all that are marked, by whatever keys are at hand. */
import type { JsonValue } from "../../schemas/json.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { isSaid, type KeyId, type Pseudonym, sealedIn, sealedValue, withheldIn, withheldValue } from "../../schemas/sealed.ts";
import { type Mark, type PersonalField, replaced, subjectAt, valueAt } from "../registry/personal.ts";
import { openValue, sealValue, type SubjectKey } from "./sealing.ts";

/** Keys as they are asked for here. What is not at hand is said by throwing. */
export interface KeysAtHand {
  pseudonym(subject: string): Pseudonym;
  /** The key that new values are sealed with; or why there is none, as for a subject that was erased after this was said. */
  sealing(subject: Pseudonym): SubjectKey | "erased" | "no_key";
  /** Undefined when it was destroyed. */
  opening(subject: Pseudonym, key: KeyId): SubjectKey | undefined;
}

/** Which run a value belongs to. */
export interface Within {
  readonly ns: string;
  readonly run: string;
}

export interface SealedFields {
  readonly value: JsonValue;
  /** Something stood there in plain text. */
  readonly changed: boolean;
}

/**
 * Seals what is marked and not sealed yet. A sealed value that stands at a marked place stays: whether it may is found
 * when it is opened.
 * @param at the input that it came with, `<kind>/<actor>/<id>`
 * @param subjects where a subject is looked for, in order; the value itself is one of them
 */
export function sealFields(keys: KeysAtHand, { ns, run }: Within, at: string, value: JsonValue, marks: readonly Mark[], subjects: readonly JsonValue[]): SealedFields {
  let changed = false;
  const sealed = replaced(value, marks, (field) => {
    if (sealedIn(field.value) !== undefined || withheldIn(field.value) !== undefined) return field.value;
    changed = true;
    const subject = subjectOf(keys, { ns, run }, field, subjects);
    if (subject === undefined) return withheldValue("no_subject");
    const key = keys.sealing(keys.pseudonym(subject));
    return typeof key === "string" ? withheldValue(key) : sealedValue(sealValue(key, ns, run, `${at}${field.path}`, field.value));
  });
  return { value: sealed, changed };
}

function subjectOf(keys: KeysAtHand, within: Within, { subject }: PersonalField, subjects: readonly JsonValue[]): string | undefined {
  for (const value of subjects) {
    const found = subjectAt(value, subject) ?? sealedSubject(keys, within, value, subject);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** An agent may pass on the field that says whose data it is, as it was given it. */
function sealedSubject(keys: KeysAtHand, within: Within, value: JsonValue, path: readonly string[]): string | undefined {
  let opened: JsonValue = value;
  for (let length = 0; length <= path.length; length++) {
    const at = path.slice(0, length);
    const sealed = sealedIn(valueAt(opened, at));
    if (sealed === undefined) continue;
    const key = keys.opening(sealed.subject, sealed.key);
    const plain = key && openValue(key, within.ns, within.run, sealed);
    if (plain === undefined) return undefined;
    opened = at.reduceRight<JsonValue>((inner, segment) => ({ [segment]: inner }), plain);
  }
  return subjectAt(opened, path);
}

export interface Opened {
  /** As the tool is given it, or gave it. */
  readonly plain: JsonValue;
  /** As it was said: what a tool gave stays sealed, because whoever passed it on never saw more of it. */
  readonly said: JsonValue;
  /** What could not be opened, with pointers into the value. */
  readonly faults: readonly Reason[];
  /** One of them says that a key was destroyed. */
  readonly erased: boolean;
}

const WITHHELD_FAULTS = {
  no_subject: ["personal.no_subject", "nobody can say whose data this is: the field that names the subject is missing"],
  unknown_tool: ["personal.withheld", "it was withheld, because the tool was not known"],
  no_key: ["personal.no_key", "it is personal, and no key was to be had for it: the coordinator was started without the plane's, or it speaks of too many subjects"],
  erased: ["personal.erased", "whose data this is was erased after it was said"],
} as const;

/** Opens what is marked. Never repeats a value: what it says is recorded. */
export function openFields(keys: Pick<KeysAtHand, "opening">, { ns, run }: Within, value: JsonValue, marks: readonly Mark[]): Opened {
  const faults: Reason[] = [];
  let erased = false;
  const opened = new Map<string, JsonValue>();
  const plain = replaced(value, marks, ({ path, value: at }) => {
    const sealed = sealedIn(at);
    if (sealed === undefined) {
      const why = withheldIn(at);
      const [code, message] = why === undefined ? (["personal.unsealed", "it is personal, and was recorded in plain text"] as const) : WITHHELD_FAULTS[why];
      erased ||= why === "erased";
      faults.push(reason(code, message, { path }));
      return at;
    }
    const key = keys.opening(sealed.subject, sealed.key);
    if (key === undefined) {
      erased = true;
      faults.push(reason("personal.erased", "whose data this is was erased: nobody can read it any more", { path }));
      return at;
    }
    const found = openValue(key, ns, run, sealed);
    if (found === undefined) {
      faults.push(reason("personal.forged", "it was not sealed in this run, or was changed since", { path, help: "pass on what this run's outputs hold, or the value itself" }));
      return at;
    }
    if (isSaid(sealed)) opened.set(path, found);
    return found;
  });
  const said = opened.size === 0 ? value : replaced(value, marks, ({ path, value: at }) => opened.get(path) ?? at);
  return { plain, said, faults, erased };
}
