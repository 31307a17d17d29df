/**
 * Ed25519 keys that sign tokens: the gateway's for tools, and the demo issuer's. Made once and never overwritten, like
 * the account keys beside them; only the public part leaves the folder, as JWK (RFC 7517, RFC 8037).
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { madeOnce } from "./keys.ts";
import type { PublicJwk } from "./token-check.ts";

export type { Jwks, PublicJwk } from "./token-check.ts";

export interface SigningKey {
  readonly jwk: PublicJwk;
  /** A compact JWS of these claims, `typ: JWT`. */
  token(claims: Readonly<Record<string, unknown>>): string;
}

/** Loads the key of this name from the data folder's `keys`, making it when it is missing. @throws when the file is damaged */
export async function openSigningKey(dataDir: string, name: string): Promise<SigningKey> {
  const made = () => generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }) as string;
  const { path, contents } = await madeOnce(dataDir, `${name}.pem`, made);
  try {
    return signingKey(createPrivateKey(contents));
  } catch (cause) {
    throw new Error(`the key file \`${path}\` is damaged`, { cause });
  }
}

/** @throws when it is no private Ed25519 key */
export function signingKey(key: KeyObject): SigningKey {
  const { x } = createPublicKey(key).export({ format: "jwk" });
  if (key.asymmetricKeyType !== "ed25519" || x === undefined) throw new Error("the key is no Ed25519 key");
  const kid = createHash("sha256").update(JSON.stringify({ crv: "Ed25519", kty: "OKP", x })).digest("base64url");
  const header = encoded({ alg: "EdDSA", kid, typ: "JWT" });
  return {
    jwk: { kty: "OKP", crv: "Ed25519", x, kid, alg: "EdDSA", use: "sig" },
    token: (claims) => {
      const signed = `${header}.${encoded(claims)}`;
      return `${signed}.${sign(null, Buffer.from(signed), key).toString("base64url")}`;
    },
  };
}

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
