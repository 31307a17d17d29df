/**
 * Credentials that were taken away, and bearers who are given no new one (ID-2). Kept in the data folder and signed into
 * the accounts, so that a server that starts again refuses them as well.
 */
import { join } from "node:path";
import type { Namespace } from "../../schemas/ids.ts";
import { Records } from "./files.ts";
import { type Bearer, hasEnded, type Issued } from "./issued.ts";
import type { Role } from "./roles.ts";

/** Everybody who fits: what is left out is not compared. */
export interface Who {
  readonly roles?: readonly Role[];
  readonly name?: string;
  readonly ns?: Namespace;
  readonly version?: string;
  readonly tool?: string;
}

export interface Revoked extends Issued {
  readonly revoked_at: string;
}

/** Until it is lifted nobody who fits is issued a credential. */
export interface Bar {
  readonly who: Who;
  readonly at: string;
  readonly reason?: string;
}

export function revokedRecords(dataDir: string): Records<Revoked> {
  return new Records<Revoked>(join(dataDir, "revoked"));
}

export function bars(dataDir: string): Records<Bar> {
  return new Records<Bar>(join(dataDir, "barred"));
}

export function fits(who: Who, bearer: Bearer): boolean {
  return (
    (who.roles === undefined || who.roles.includes(bearer.role)) &&
    (who.name === undefined || who.name === bearer.name) &&
    // a built-in service may serve every namespace, and one of them cannot take its credential away
    (who.ns === undefined || who.ns === bearer.ns) &&
    (who.version === undefined || who.version === bearer.version) &&
    (who.tool === undefined || who.tool === bearer.tool)
  );
}

/** The bar that somebody stands before, if any. */
export async function barOf(dataDir: string, bearer: Bearer): Promise<Bar | undefined> {
  return [...(await bars(dataDir).all()).values()].find(({ who }) => fits(who, bearer));
}

/** Revocations that still matter, by public key; those of credentials that have ended anyway are forgotten. */
export async function revocations(dataDir: string, now: number = Date.now()): Promise<readonly Revoked[]> {
  const records = revokedRecords(dataDir);
  const found: Revoked[] = [];
  for (const [key, record] of await records.all()) {
    // a server's clock may be behind
    if (hasEnded(record, now - 3_600_000)) await records.remove(key);
    else found.push(record);
  }
  return found;
}
