/**
 * An issuer of principals' tokens for tests (ID-3): a key pair of its own, its document, and tokens that are right
 * unless a test makes them wrong. Signed here by hand, so that what the plane verifies was not made by the plane.
 */
import { type KeyObject, createHmac, generateKeyPairSync, randomUUID, sign } from "node:crypto";

export const TEST_ISS = "https://issuer.test";
export const TEST_AUDIENCE = "signalbox-test";
/** Longer than any test runs. */
const TTL_SECONDS = 3000;

export interface TokenWish {
  readonly agent: string;
  /** The run that the token starts. */
  readonly run?: string;
  readonly subject?: string;
  /** In the place of what would be right; `undefined` leaves a claim out. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
  /** `none`: no signature. `hmac`: with the public key's own text as the secret. Default: the issuer's key. */
  readonly sign?: "none" | "hmac";
}

export interface TestIssuer {
  readonly name: string;
  readonly iss: string;
  readonly kid: string;
  /** As `apply` takes it. */
  readonly document: object;
  readonly publicKey: KeyObject;
  token(wish: TokenWish): string;
}

const text = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

export function testIssuer(options: { readonly name?: string; readonly iss?: string; readonly kid?: string } = {}): TestIssuer {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { name = "test", iss = TEST_ISS, kid = `k-${randomUUID().slice(0, 8)}` } = options;
  const jwk = { ...publicKey.export({ format: "jwk" }), kid, alg: "EdDSA", use: "sig" };
  return {
    name,
    iss,
    kid,
    publicKey,
    document: { issuer: { name, iss, audience: TEST_AUDIENCE, algorithms: ["EdDSA"], jwks: { keys: [jwk] }, max_age_seconds: 3600 } },
    token: ({ agent, run, subject = "kim", claims = {}, header = {}, sign: how }) => {
      const now = Math.floor(Date.now() / 1000);
      const alg = how === "none" ? "none" : how === "hmac" ? "HS256" : "EdDSA";
      const right = { iss, sub: subject, aud: TEST_AUDIENCE, iat: now, exp: now + TTL_SECONDS, agent, ...(run !== undefined && { run }) };
      const signed = `${text({ alg, typ: "JWT", kid, ...header })}.${text({ ...right, ...claims })}`;
      if (how === "none") return `${signed}.`;
      if (how === "hmac") return `${signed}.${createHmac("sha256", publicKey.export({ format: "pem", type: "spki" })).update(signed).digest("base64url")}`;
      return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString("base64url")}`;
    },
  };
}

/** A person of tests: who they are at the issuer is by default their name. */
export interface TestPerson {
  readonly roles?: readonly string[];
  readonly issuer?: string;
  readonly subject?: string;
  readonly disabled?: boolean;
}

export function personDocument(name: string, { roles = ["approver", "finance", "operator"], issuer = TEST_ISS, subject = name, disabled }: TestPerson = {}): object {
  return { person: { name, issuer, subject, roles, ...(disabled !== undefined && { disabled }) } };
}
