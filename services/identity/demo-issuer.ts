/**
 * An issuer of principals' tokens that lives in the data folder, for the demo and for trying things out. Whoever reads
 * the folder can say that he acts on anybody's behalf: where it matters, an issuer of one's own stands in its place.
 */
import { join } from "node:path";
import type { Issuer } from "../../schemas/issuer.ts";
import { writeSecret } from "./files.ts";
import { openSigningKey, type SigningKey } from "./signing-key.ts";

export const DEMO_ISS = "urn:signalbox:demo-issuer";
export const DEMO_AUDIENCE = "signalbox";
/** Seconds; no token of the demo lives longer. */
export const DEMO_MAX_AGE = 86_400;

/** The claims of a token for one run: by its name, or by the token's own id, which is then the run's id after the agent's name. */
export interface PrincipalClaims {
  readonly iss: string;
  readonly aud: string;
  /** On whose behalf. */
  readonly sub: string;
  readonly agent: string;
  readonly run?: string;
  readonly jti?: string;
  readonly ttlSeconds: number;
  /** Milliseconds since 1970; default: now. */
  readonly now?: number;
}

/** Signs a token that {@link verifyPrincipal} takes, given an issuer's document with this key. */
export function issuePrincipalToken(key: SigningKey, { ttlSeconds, now = Date.now(), ...claims }: PrincipalClaims): string {
  const iat = Math.floor(now / 1000);
  return key.token({ ...claims, iat, exp: iat + ttlSeconds });
}

/** The demo issuer's key, made when it is missing. */
export function openIssuerKey(dataDir: string): Promise<SigningKey> {
  return openSigningKey(dataDir, "demo_issuer");
}

/** The document by which a plane believes the demo issuer. */
export function demoIssuer(key: SigningKey): Issuer {
  return {
    issuer: {
      name: "demo",
      iss: DEMO_ISS,
      audience: DEMO_AUDIENCE,
      algorithms: ["EdDSA"],
      jwks: { keys: [{ ...key.jwk }] },
      max_age_seconds: DEMO_MAX_AGE,
    },
  };
}

/** Writes `<data>/documents/issuer.demo.yaml`, to be applied like any other document, and returns the path. JSON is YAML. */
export async function writeDemoIssuer(dataDir: string): Promise<string> {
  const path = join(dataDir, "documents", "issuer.demo.yaml");
  await writeSecret(path, `${JSON.stringify(demoIssuer(await openIssuerKey(dataDir)), undefined, 2)}\n`);
  return path;
}
