/**
 * Sealing and opening one value (law 10). AES-SIV is deterministic: two coordinators that seal the same make the same
 * bytes (law 1), and who holds no key learns of a value whether it stood at the same place of the same input, and no
 * more. Bound to the namespace, the run and the place: moved to another run it does not open.
 */
import { aessiv } from "@noble/ciphers/aes.js";
import { createHmac, getRandomValues, randomBytes } from "node:crypto";
import { canonicalText } from "../../schemas/canonical.ts";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Namespace } from "../../schemas/ids.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { type KeyId, keyIdSchema, type Pseudonym, pseudonymSchema, type Sealed } from "../../schemas/sealed.ts";
import { madeOnce } from "./keys.ts";

/** A key of a subject as it is used: 64 bytes, for AES-256-SIV. */
export interface SubjectKey {
  readonly subject: Pseudonym;
  readonly id: KeyId;
  readonly bytes: Uint8Array;
}

const utf8 = new TextEncoder();
/** A value's length says much of it: `true`, a postcode, an IBAN. So all that are about as long are as long. */
const PAD = 32;

/** @param at the place it is sealed for; see `sealedSchema` */
export function sealValue(key: SubjectKey, ns: string, run: string, at: string, value: JsonValue): Sealed {
  const text = canonicalText(value);
  const bytes = utf8.encode(text);
  // JSON may be followed by white space
  const padded = new Uint8Array(Math.ceil(bytes.length / PAD) * PAD).fill(0x20);
  padded.set(bytes);
  const { subject, id } = key;
  const encrypted = aessiv(key.bytes, ...bound(ns, run, at, key)).encrypt(padded);
  return { subject, key: id, at, value: Buffer.from(encrypted).toString("base64url") };
}

/** Undefined when it was not sealed by this key for this run and place: it is forged, moved or damaged. */
export function openValue(key: SubjectKey, ns: string, run: string, sealed: Sealed): JsonValue | undefined {
  if (sealed.key !== key.id || sealed.subject !== key.subject) return undefined;
  try {
    const bytes = aessiv(key.bytes, ...bound(ns, run, sealed.at, key)).decrypt(Buffer.from(sealed.value, "base64url"));
    return JSON.parse(Buffer.from(bytes).toString("utf8")) as JsonValue;
  } catch {
    return undefined;
  }
}

function bound(ns: string, run: string, at: string, { subject, id }: SubjectKey): Uint8Array[] {
  return ["signalbox.personal.1", ns, run, at, subject, id].map((text) => utf8.encode(text));
}

/** What subjects' keys are wrapped with in the store, and their pseudonyms are made with. A copy of the store alone opens nothing. */
export class PersonalMaster {
  readonly #pseudonyms: Uint8Array;
  readonly #wrap: Uint8Array;

  constructor(secret: Uint8Array) {
    this.#pseudonyms = createHmac("sha256", secret).update("signalbox pseudonyms 1").digest();
    this.#wrap = createHmac("sha512", secret).update("signalbox wrap 1").digest();
  }

  pseudonym(ns: Namespace, subject: string): Pseudonym {
    return pseudonymSchema.parse(createHmac("sha256", this.#pseudonyms).update(`${ns}\n${subject}`).digest("hex").slice(0, 32));
  }

  /** Made of dice: nothing that is left after an erasure makes it again. */
  newKey(subject: Pseudonym): SubjectKey {
    return { subject, id: keyIdSchema.parse(randomBytes(8).toString("hex")), bytes: getRandomValues(new Uint8Array(64)) };
  }

  wrapped(ns: Namespace, { subject, id, bytes }: SubjectKey): string {
    return Buffer.from(aessiv(this.#wrap, ...named(ns, subject, id)).encrypt(bytes)).toString("base64url");
  }

  /** Undefined when it was not wrapped here for this name. */
  unwrapped(ns: Namespace, subject: Pseudonym, id: KeyId, wrapped: string): SubjectKey | undefined {
    try {
      return { subject, id, bytes: aessiv(this.#wrap, ...named(ns, subject, id)).decrypt(Buffer.from(wrapped, "base64url")) };
    } catch {
      return undefined;
    }
  }
}

function named(ns: Namespace, subject: Pseudonym, id: KeyId): Uint8Array[] {
  return ["signalbox.key.1", ns, subject, id].map((text) => utf8.encode(text));
}

const FILE = "personal.key";

/** Loads it from `<data>/keys/personal.key`, making it when it is missing. @throws when the file is damaged */
export async function openPersonalMaster(dataDir: string): Promise<PersonalMaster> {
  const { path, contents } = await madeOnce(dataDir, FILE, () => `${randomBytes(32).toString("base64url")}\n`);
  return masterOf(path, contents);
}

/** The same for a process that joins a plane: undefined where nobody put the plane's key, because one of its own would open nothing. */
export async function findPersonalMaster(dataDir: string): Promise<PersonalMaster | undefined> {
  const path = join(dataDir, "keys", FILE);
  const contents = await readFile(path, "utf8").catch(() => undefined);
  return contents === undefined ? undefined : masterOf(path, contents);
}

function masterOf(path: string, contents: string): PersonalMaster {
  const secret = Buffer.from(contents.trim(), "base64url");
  if (secret.length !== 32) throw new Error(`the key file \`${path}\` is damaged`);
  return new PersonalMaster(secret);
}
