/**
 * What was issued, and to whom: a credential that nobody remembers could not be taken away. One record for each in
 * `<data>/issued`, written before the credential is handed out, forgotten when it has ended.
 */
import { join } from "node:path";
import type { Namespace } from "../../schemas/ids.ts";
import { Records } from "./files.ts";
import type { Role } from "./roles.ts";

/** Whom a credential is for. */
export interface Bearer {
  readonly role: Role;
  readonly name: string;
  readonly ns?: Namespace;
  /** Of an agent. */
  readonly version?: string;
  readonly tool?: string;
  readonly team?: string;
}

export interface Issued extends Bearer {
  /** What a revocation names. */
  readonly public_key: string;
  /** RFC 3339. */
  readonly issued_at: string;
  /** RFC 3339; absent when it does not end. */
  readonly expires_at?: string;
  /** The file that holds it, where the plane writes and renews it. */
  readonly file?: string;
}

export function issuedRecords(dataDir: string): Records<Issued> {
  return new Records<Issued>(join(dataDir, "issued"));
}

/**
 * Under which key a record is kept. It begins with whom the credential is for, so that who looks for one bearer's among
 * very many reads only those; the same key always has the same contents.
 */
export function issuedKey({ role, name, ns, public_key, file }: Issued): string {
  return [role, name, ns ?? "", public_key, ...(file === undefined ? [] : ["file"])].join(".");
}

/** What a key says without being read. */
export function bearerOfKey(key: string): Pick<Bearer, "role" | "name" | "ns"> {
  const [role, name = "", ns] = key.split(".");
  return { role: role as Role, name, ...(ns !== undefined && ns !== "" && { ns: ns as Namespace }) };
}

export function hasEnded({ expires_at }: Issued, now: number): boolean {
  return expires_at !== undefined && Date.parse(expires_at) <= now;
}
