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

export function hasEnded({ expires_at }: Issued, now: number): boolean {
  return expires_at !== undefined && Date.parse(expires_at) <= now;
}
