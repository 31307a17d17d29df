/**
 * On whose behalf a run is started. This version records what was claimed and says so: `verified` is false until
 * tokens are checked against their issuer. The token itself is never kept, only its hash and the claims used.
 */
import { sha256Digest } from "../../schemas/canonical.ts";
import type { Principal } from "../../schemas/facts.ts";

const MAX_TOKEN = 16_384;

/** From the header `signalbox-principal`: a JWT, or a plain name. Null when there is none or it says nothing usable. */
export function claimedPrincipal(header: string | undefined): Principal | null {
  if (header === undefined || header === "" || header.length > MAX_TOKEN) return null;
  const parts = header.split(".");
  const claims = parts.length === 3 ? decoded(parts[1]) : undefined;
  const subject = claims === undefined ? plainName(header) : text(claims["sub"]);
  if (subject === undefined) return null;
  const issuer = claims && text(claims["iss"]);
  const keyId = parts.length === 3 ? text(decoded(parts[0])?.["kid"]) : undefined;
  return {
    subject,
    ...(issuer !== undefined && { issuer }),
    ...(keyId !== undefined && { key_id: keyId.slice(0, 256) }),
    ...(claims !== undefined && { token_hash: sha256Digest(header) }),
    verified: false,
  };
}

function decoded(part: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part ?? "", "base64url").toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value.length > 0 && value.length <= 512 && value.isWellFormed() ? value : undefined;
}

/** Anything longer or stranger may be a secret in a form we do not know: it is not recorded. */
function plainName(header: string): string | undefined {
  return /^[\p{L}\p{N}@._:/+-]{1,128}$/u.test(header) ? header : undefined;
}
