/**
 * Checking a tool's token (ID-4). Apart from minting, because tools do it: this file goes into the published client,
 * and brings nothing else of the plane with it.
 */
import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import type { Digest } from "../../schemas/ids.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { type ToolToken, toolTokenSchema } from "../../schemas/tool-token.ts";

export interface PublicJwk {
  readonly kty: "OKP";
  readonly crv: "Ed25519";
  readonly x: string;
  /** RFC 7638: the key's own hash, so that a new key has a new name. */
  readonly kid: string;
  readonly alg: "EdDSA";
  readonly use: "sig";
}

/** RFC 7517. */
export interface Jwks {
  readonly keys: readonly PublicJwk[];
}

export interface TokenCheck {
  /** The gateway's public keys: `signalbox keys` prints them. */
  readonly jwks: Jwks;
  /** The tool that was called. */
  readonly tool: string;
  /** Its namespace; not compared when absent, for a tool whose keys belong to one plane of one namespace anyway. */
  readonly ns?: string;
  /** The call's body, as it came. */
  readonly body: Uint8Array;
  /** ms since 1970. */
  readonly now: number;
  readonly seen: Seen;
  /** What the token is to be for; a token for a call opens no answer to a probe, nor the other way round. */
  readonly use?: TokenUse;
}

/** A call to be carried out, or a question about one. */
export type TokenUse = "tool" | "probe";

/** Remembers tokens until they end. Instances of a tool that must not be told the same twice share one. */
export interface Seen {
  /** True the first time, false ever after; undefined when nothing more can be remembered. @param until ms since 1970 */
  use(id: string, until: number, now: number): boolean | undefined | Promise<boolean | undefined>;
}

/** A tool's clock may differ from the gateway's by so much. */
const LEEWAY_MS = 5_000;

/**
 * Whether a call comes from the plane and is the first of its kind. Refusals: `token.missing`, `.malformed`, `.key`,
 * `.signature`, `.expired`, `.not_yet`, `.issuer`, `.tool`, `.input`, `.used`, `.unremembered`. None of them holds the token.
 */
export async function verifyToolToken(token: string | undefined, check: TokenCheck): Promise<{ readonly token: ToolToken } | { readonly refusal: Reason }> {
  if (token === undefined || token === "") return refused("missing", "the call bears no token", "tools are called by the gateway of a plane");
  const signed = signedClaims(token, check.jwks);
  if ("refusal" in signed) return signed;
  const { claims } = signed;
  const ends = claims.exp * 1000 + LEEWAY_MS;
  if (ends <= check.now) return refused("expired", "the token has ended");
  if (claims.iat * 1000 > check.now + LEEWAY_MS) return refused("not_yet", "the token is of the future", "compare the clocks of the tool and of the gateway");
  if (check.ns !== undefined && (claims.ns !== check.ns || claims.iss !== issuerOf(check.ns))) return refused("issuer", "the token is of another namespace");
  if (claims.tool !== check.tool || claims.aud !== audienceOf(check.tool, check.use)) return refused("tool", "the token is for another tool");
  if (claims.input !== digestOf(check.body)) return refused("input", "the token is for another input");
  const first = await check.seen.use(claims.jti, ends, check.now);
  if (first === undefined) return refused("unremembered", "too many tokens are in use to tell a first use from a second");
  return first ? { token: claims } : refused("used", "the token was used before");
}

/** Remembers in this process, at most so many at a time; past them it says nothing is new. */
export class SeenTokens implements Seen {
  readonly #until = new Map<string, number>();
  readonly #most: number;
  #sweepAt = 1024;

  constructor(most = 1_000_000) {
    this.#most = most;
  }

  use(id: string, until: number, now: number): boolean | undefined {
    if (this.#until.has(id)) return false;
    if (this.#until.size >= Math.min(this.#sweepAt, this.#most)) this.#sweep(now);
    if (this.#until.size >= this.#most) return undefined;
    this.#until.set(id, until);
    return true;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#until.size;
  }

  /** Forgets what has ended; next time only when twice as many have come, so that each costs the same. */
  #sweep(now: number): void {
    for (const [id, until] of this.#until) if (until <= now) this.#until.delete(id);
    this.#sweepAt = Math.max(1024, this.#until.size * 2);
  }
}

function signedClaims(token: string, jwks: Jwks): { readonly claims: ToolToken } | { readonly refusal: Reason } {
  const [, head = "", body = "", signature = ""] = FORM.exec(token) ?? [];
  const header = parsed(head);
  if (header === undefined || header["alg"] !== "EdDSA" || header["crit"] !== undefined) return refused("malformed", "the token is no JWT signed by Ed25519");
  const key = keysOf(jwks).get(String(header["kid"]));
  if (key === undefined) return refused("key", "the token is signed by a key that is not known here", "`signalbox keys` prints the plane's");
  if (!verify(null, Buffer.from(`${head}.${body}`), key, Buffer.from(signature, "base64url"))) return refused("signature", "the token's signature is not the plane's");
  const claims = toolTokenSchema.safeParse(parsed(body));
  return claims.success ? { claims: claims.data } : refused("malformed", "the token's claims are not those of a call");
}

/** Of a signature of 64 bytes there is one way to write it, all others are refused: 86 letters, the last of which holds two bits. */
const FORM = /^([A-Za-z0-9_-]{1,512})\.([A-Za-z0-9_-]{1,8192})\.([A-Za-z0-9_-]{85}[AQgw])$/;

const known = new WeakMap<Jwks, ReadonlyMap<string, KeyObject>>();

function keysOf(jwks: Jwks): ReadonlyMap<string, KeyObject> {
  const before = known.get(jwks);
  if (before !== undefined) return before;
  const usable = jwks.keys.filter(({ kty, crv }) => kty === "OKP" && crv === "Ed25519");
  const keys = new Map(usable.map((jwk) => [jwk.kid, createPublicKey({ key: { kty: jwk.kty, crv: jwk.crv, x: jwk.x }, format: "jwk" })]));
  known.set(jwks, keys);
  return keys;
}

function parsed(part: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(Buffer.from(part, "base64url").toString("utf8")) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

export function issuerOf(ns: string): string {
  return `signalbox:${ns}`;
}

export function audienceOf(tool: string, use: TokenUse = "tool"): string {
  return `${use}:${tool}`;
}

export function digestOf(body: Uint8Array): Digest {
  return `sha256:${createHash("sha256").update(body).digest("hex")}` as Digest;
}

function refused(code: string, message: string, help?: string): { readonly refusal: Reason } {
  return { refusal: reason(`token.${code}`, message, { ...(help !== undefined && { help }) }) };
}
