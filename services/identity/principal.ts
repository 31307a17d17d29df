/**
 * On whose behalf a run is started (ID-3): a token signed by an issuer that the plane knows, for this plane, this agent
 * and this run. The time is the input's, so that two coordinators come to the same verdict, and a third one years
 * later would. The token itself is never kept, only its hash and the claims used; reasons quote nothing that was not
 * signed by a known issuer.
 */
import { compactVerify, createLocalJWKSet, errors, type LocalJWKSet } from "jose";
import { sha256Digest } from "../../schemas/canonical.ts";
import type { Principal } from "../../schemas/facts.ts";
import type { Actor, Digest, RunId } from "../../schemas/ids.ts";
import type { Issuer } from "../../schemas/issuer.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { millis, timestamp } from "../../schemas/time.ts";
import { secretsIn } from "../policy/scan/secrets.ts";

/** What a token is held against. */
export interface PrincipalCheck {
  /** The issuers in force, as the registry gives them. */
  readonly issuers: readonly { readonly digest: Digest; readonly value: Issuer }[];
  readonly agent: Actor;
  readonly run: RunId;
  /** Server time of the input, RFC 3339. */
  readonly time: string;
  /** The principal that the run has: a fresh token must be of the same. */
  readonly same?: Principal | null;
}

export type PrincipalVerdict = { readonly principal: Principal | null } | { readonly refusals: readonly Reason[] };

/** Longer than any token that fits a header; a token of many groups is some 8 KiB. */
export const MAX_TOKEN = 16_384;
/** An issuer's clock may be ahead of the server's by so much. An end is an end. */
const AHEAD_MS = 10_000;

/**
 * Judges what came in the header `signalbox-principal`. Nothing: null, and only reads are possible. A plain name: recorded
 * as claimed, `verified: false`. Anything else must be a token that holds: refusals are
 * `principal.too_long`, `.malformed`, `.algorithm`, `.issuer`, `.key`, `.signature`, `.audience`, `.not_yet`, `.expired`,
 * `.lifetime`, `.subject`, `.agent`, `.run`, `.other`.
 */
export async function verifyPrincipal(header: string | undefined, check: PrincipalCheck): Promise<PrincipalVerdict> {
  if (header === undefined || header === "") return { principal: null };
  if (header.length > MAX_TOKEN) return refused("too_long", `a principal's token has at most ${MAX_TOKEN} characters`);
  if (!looksSigned(header)) {
    const subject = plainName(header);
    if (subject !== undefined) return { principal: { subject, verified: false } };
    return refused("malformed", "the principal is neither a name nor a signed token", "the header `signalbox-principal` holds the token alone, as `eyJ….….…`");
  }
  const unverified = unverifiedOf(header);
  if (unverified === undefined) return refused("malformed", "the principal's token is no signed JWT");
  const issuers = check.issuers.filter(({ value }) => value.issuer.iss === unverified.iss);
  if (issuers.length === 0) return refused("issuer", "no issuer in force has signed this token", "apply a document with `issuer:` whose `iss` is the token's, character by character");
  let first: PrincipalVerdict | undefined;
  for (const issuer of issuers) {
    const verdict = await against(header, unverified.alg, issuer, check);
    if ("principal" in verdict) return verdict;
    first ??= verdict;
  }
  return first as PrincipalVerdict;
}

/** What is claimed by a plain name, or null; of a token nothing is taken unverified. */
export function claimedPrincipal(header: string | undefined): Principal | null {
  const subject = header === undefined || looksSigned(header) ? undefined : plainName(header);
  return subject === undefined ? null : { subject, verified: false };
}

type KnownIssuer = PrincipalCheck["issuers"][number];

async function against(token: string, alg: string, { digest, value: { issuer } }: KnownIssuer, check: PrincipalCheck): Promise<PrincipalVerdict> {
  if (!(issuer.algorithms as readonly string[]).includes(alg)) {
    return refused("algorithm", "the token is not signed by an algorithm of its issuer", `its document allows ${issuer.algorithms.join(", ")}`);
  }
  const hash = sha256Digest(token);
  const signed = await signatures.of(`${digest} ${hash}`, () => signedClaims(token, digest, issuer));
  if ("refusals" in signed) return signed;
  const { claims, keyId } = signed;
  const refusals = [...faultsOfTime(claims, issuer, check.time), ...faultsOfBinding(claims, issuer, check)];
  if (refusals.length > 0) return { refusals };
  const tokenId = text(claims["jti"], 128);
  return {
    principal: {
      subject: claims["sub"] as string,
      issuer: issuer.iss,
      ...(keyId !== undefined && { key_id: keyId }),
      token_hash: hash,
      ...(tokenId !== undefined && { token_id: tokenId }),
      expires_at: timestamp((claims["exp"] as number) * 1000),
      verified: true,
    },
  };
}

interface Signed {
  readonly claims: Readonly<Record<string, unknown>>;
  readonly keyId: string | undefined;
}
type Refused = { readonly refusals: readonly Reason[] };

/** Checks the signature, and nothing that changes with time. */
async function signedClaims(token: string, digest: Digest, issuer: Issuer["issuer"]): Promise<Signed | Refused> {
  try {
    const keys = await keySets.of(digest, () => Promise.resolve(createLocalJWKSet(issuer.jwks as Parameters<typeof createLocalJWKSet>[0])));
    const { payload, protectedHeader } = await compactVerify(token, keys, { algorithms: [...issuer.algorithms] });
    const claims = object(new TextDecoder().decode(payload));
    if (claims === undefined) return refused("malformed", "the token's claims are no JSON object");
    return { claims, keyId: text(protectedHeader.kid, 256) };
  } catch (error) {
    return faultOf(error);
  }
}

/** What the library throws, as a reason that holds nothing of the token. */
function faultOf(error: unknown): Refused {
  if (error instanceof errors.JWSSignatureVerificationFailed) return refused("signature", "the token's signature is not its issuer's");
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
    return refused("key", "the issuer has no such key", "after the issuer changed its keys, apply its document with the new ones");
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return refused("algorithm", "the token is not signed by an algorithm of its issuer");
  if (error instanceof errors.JWSInvalid || error instanceof errors.JOSENotSupported) return refused("malformed", "the principal's token is no JWT that this plane can read");
  // a key in the issuer's document that the platform cannot use: too short, damaged, not a public one
  return refused("key", "the issuer's key cannot be used");
}

function faultsOfTime(claims: Signed["claims"], issuer: Issuer["issuer"], time: string): Reason[] {
  const now = millis(time);
  const [exp, iat, nbf] = [seconds(claims["exp"]), seconds(claims["iat"]), seconds(claims["nbf"] === undefined ? claims["iat"] : claims["nbf"])];
  if (exp === undefined || iat === undefined || nbf === undefined) return [why("lifetime", "the token does not say when it was made and when it ends", "it needs `iat` and `exp`, in seconds")];
  if (exp <= now) return [why("expired", `the token ended at ${timestamp(exp)}`, "ask for a new one")];
  if (iat > now + AHEAD_MS || nbf > now + AHEAD_MS) return [why("not_yet", "the token is not valid yet")];
  if (exp - iat > issuer.max_age_seconds * 1000) return [why("lifetime", `the token lives longer than the ${issuer.max_age_seconds} s that its issuer's document allows`)];
  return [];
}

function faultsOfBinding(claims: Signed["claims"], issuer: Issuer["issuer"], { agent, run, same }: PrincipalCheck): Reason[] {
  const audiences: unknown[] = [claims["aud"]].flat();
  const tokenId = claims["jti"];
  const ofRun = claims["run"] === undefined ? typeof tokenId === "string" && run === `${agent}_${tokenId}` : claims["run"] === run;
  return [
    ...(audiences.includes(issuer.audience) ? [] : [why("audience", "the token is for somebody else", "its `aud` must be the `audience` of its issuer's document")]),
    ...(text(claims["sub"], 512) !== undefined ? [] : [why("subject", "the token names no subject")]),
    ...(claims["agent"] === agent ? [] : [why("agent", "the token is not for this agent", "its claim `agent` must be the agent's name")]),
    ...(ofRun ? [] : [why("run", "the token is not for this run", "its claim `run` must be the run, or its `jti` the run's id after the agent's name")]),
    ...(same === undefined || same === null || (same.issuer === issuer.iss && same.subject === claims["sub"]) ? [] : [why("other", "the token is of another principal than the run's")]),
  ];
}

function refused(code: string, message: string, help?: string): Refused {
  return { refusals: [why(code, message, help)] };
}

function why(code: string, message: string, help?: string): Reason {
  return reason(`principal.${code}`, message, { ...(help !== undefined && { help }) });
}

/** A token begins with a JSON object, whatever else is wrong with it. */
function looksSigned(header: string): boolean {
  return header.startsWith("eyJ") || (header.split(".").length === 3 && object(decoded(header.split(".")[0])) !== undefined);
}

/** What is needed to choose the issuer, before anything is believed. */
function unverifiedOf(token: string): { readonly alg: string; readonly iss: string | undefined } | undefined {
  const [head, body, , ...rest] = token.split(".");
  const [header, claims] = [object(decoded(head)), object(decoded(body))];
  if (header === undefined || claims === undefined || rest.length > 0) return undefined;
  const { alg } = header;
  return { alg: typeof alg === "string" ? alg : "", iss: typeof claims["iss"] === "string" ? claims["iss"] : undefined };
}

function decoded(part: string | undefined): string {
  return Buffer.from(part ?? "", "base64url").toString("utf8");
}

function object(json: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function text(value: unknown, longest: number): string | undefined {
  return typeof value === "string" && value.length > 0 && value.length <= longest && value.isWellFormed() ? value : undefined;
}

/** A NumericDate as ms; undefined when it is none, or beyond what a time can be. */
function seconds(value: unknown): number | undefined {
  return typeof value === "number" && value >= 0 && value < 8.64e12 ? value * 1000 : undefined;
}

/** Anything longer or stranger may be a secret in a form we do not know: it is not recorded; nor is one whose form we know. */
function plainName(header: string): string | undefined {
  return /^[\p{L}\p{N}@._:/+-]{1,128}$/u.test(header) && secretsIn(header).length === 0 ? header : undefined;
}

/** Remembers what costs a signature to find out; the oldest is forgotten first. */
class Remembered<T> {
  readonly #kept = new Map<string, T>();
  readonly #most: number;
  constructor(most: number) {
    this.#most = most;
  }
  async of(key: string, find: () => Promise<T>): Promise<T> {
    const known = this.#kept.get(key);
    if (known !== undefined) return known;
    const found = await find();
    this.#kept.set(key, found);
    const oldest = this.#kept.size > this.#most ? this.#kept.keys().next().value : undefined;
    if (oldest !== undefined) this.#kept.delete(oldest);
    return found;
  }
}

const signatures = new Remembered<Signed | Refused>(4096);
const keySets = new Remembered<LocalJWKSet>(256);
