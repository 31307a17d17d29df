/** The gateway's key for tool tokens, and its public part where tools and people find it. */
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { writeSecret } from "./files.ts";
import { type Jwks, openSigningKey, type SigningKey } from "./signing-key.ts";

/** Loads the key, making it when it is missing. @throws when the file is damaged */
export function openToolKey(dataDir: string): Promise<SigningKey> {
  return openSigningKey(dataDir, "tool_tokens");
}

/** What tools check tokens with. */
export function toolJwks(key: SigningKey): Jwks {
  return { keys: [key.jwk] };
}

/** Writes `<data>/tool-tokens.jwks.json`, which everybody may read, and returns its path. */
export async function publishToolKey(dataDir: string, key: SigningKey): Promise<string> {
  const path = join(dataDir, "tool-tokens.jwks.json");
  await writeSecret(path, `${JSON.stringify(toolJwks(key), undefined, 2)}\n`);
  await chmod(path, 0o644);
  return path;
}
