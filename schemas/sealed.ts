/**
 * A personal field as the plane records it (law 10): encrypted under its data subject's key, and named so that whoever
 * has the key can open it. Everything but the gateway and the approver's view sees this form and no other.
 */
import { z } from "zod";
import type { JsonValue } from "./json.ts";

/** A data subject as the journal knows it: a keyed hash of what the tool calls the person. */
export const pseudonymSchema = z
  .string()
  .regex(/^[0-9a-f]{32}$/, "a pseudonym is 32 hex digits")
  .brand<"Pseudonym">();
export type Pseudonym = z.infer<typeof pseudonymSchema>;

/** One key of a subject; after an erasure the next one has another id. */
export const keyIdSchema = z
  .string()
  .regex(/^[0-9a-f]{16}$/, "a key is named by 16 hex digits")
  .brand<"KeyId">();
export type KeyId = z.infer<typeof keyIdSchema>;

export const sealedSchema = z.strictObject({
  subject: pseudonymSchema,
  key: keyIdSchema,
  /** Where it was sealed: `<kind>/<actor>/<id of the input><JSON pointer>`. With the run it is what the value is bound to. */
  at: z.string().max(2048),
  /** AES-SIV of the value's canonical text, base64url. */
  value: z.string().regex(/^[A-Za-z0-9_-]+$/, "expected base64url"),
});
export type Sealed = z.infer<typeof sealedSchema>;

/** Why a value was kept out instead: nobody could say whose it is, its tool is not known, its subject was erased, or there was no key for it. */
export const withheldSchema = z.enum(["no_subject", "unknown_tool", "erased", "no_key"]);
export type Withheld = z.infer<typeof withheldSchema>;

/** The members that mark the two forms. Tools cannot use them: the gateway takes them out of outputs. */
export const SEALED = "$sealed";
export const WITHHELD = "$withheld";

export function sealedValue(sealed: Sealed): JsonValue {
  return { [SEALED]: sealed };
}

export function withheldValue(why: Withheld): JsonValue {
  return { [WITHHELD]: why };
}

/** The sealed value that this is; undefined for anything else. */
export function sealedIn(value: JsonValue | undefined): Sealed | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, SEALED)) return undefined;
  return Object.keys(value).length === 1 ? sealedSchema.safeParse(value[SEALED]).data : undefined;
}

/** Why a value was withheld; undefined for anything else. */
export function withheldIn(value: JsonValue | undefined): Withheld | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, WITHHELD)) return undefined;
  return Object.keys(value).length === 1 ? withheldSchema.safeParse(value[WITHHELD]).data : undefined;
}

/** Whether it was said by an agent or a person, and is not what a tool gave. */
export function isSaid({ at }: Sealed): boolean {
  return !at.startsWith("report/");
}
