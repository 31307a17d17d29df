/** The keys of an issuer: public ones, each named, each fit for an algorithm that the issuer may use. */
import { createPublicKey } from "node:crypto";
import type { ALGORITHMS, Issuer } from "../../schemas/issuer.ts";
import { type JsonValue } from "../../schemas/json.ts";
import { type Finding } from "./explain.ts";

type Algorithm = (typeof ALGORITHMS)[number];

/** What only the holder of a private key, or of a shared secret, has (RFC 7518). */
const PRIVATE = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
const MIN_RSA_BITS = 2048;

export function issuerDemands({ issuer }: Issuer): Finding[] {
  const found: Finding[] = [];
  const kids = new Set<string>();
  issuer.jwks.keys.forEach((key, i) => {
    const say = (member: readonly string[], message: string, help?: string) => {
      found.push({ path: ["issuer", "jwks", "keys", String(i), ...member], code: "issuer.key", message, ...(help !== undefined && { help }) });
    };
    const secret = PRIVATE.find((member) => Object.hasOwn(key, member));
    if (secret !== undefined) return say([secret], "this is no public key", "give the public part only, and make a new key: this one is known now");
    const kid = key["kid"];
    if (typeof kid !== "string" || kid === "" || kid.length > 256) say(["kid"], "a key is named by its `kid`, by which tokens choose it");
    else if (kids.has(kid)) say(["kid"], `the key \`${kid}\` stands here twice`);
    else kids.add(kid);
    if (key["use"] !== undefined && key["use"] !== "sig") say(["use"], "the key is not for signatures", "write `use: sig`, or leave it out");
    const fits = algorithmsOf(key);
    if (fits.length === 0) return say(["kty"], "no algorithm of ours uses this kind of key", "keys are Ed25519, P-256, P-384 or RSA");
    const named = key["alg"];
    if (named !== undefined && !fits.includes(named as Algorithm)) say(["alg"], `\`${typeof named === "string" ? named.slice(0, 32) : "this"}\` is no algorithm for this key`, `it is one for ${fits.join(", ")}`);
    else if (!fits.some((algorithm) => issuer.algorithms.includes(algorithm) && (named === undefined || named === algorithm))) {
      say([], "the issuer does not use this key's algorithm", `add ${fits.map((one) => `\`${one}\``).join(" or ")} to \`algorithms\``);
    }
    const bits = bitsOf(key);
    if (bits === undefined) say([], "the key cannot be read", "give it as in RFC 7517");
    else if (key["kty"] === "RSA" && bits < MIN_RSA_BITS) say(["n"], `the key has ${bits} bits, and ${MIN_RSA_BITS} are the least`);
  });
  return found;
}

function algorithmsOf(key: { [name: string]: JsonValue }): Algorithm[] {
  if (key["kty"] === "OKP") return key["crv"] === "Ed25519" ? ["EdDSA"] : [];
  if (key["kty"] === "EC") return key["crv"] === "P-256" ? ["ES256"] : key["crv"] === "P-384" ? ["ES384"] : [];
  return key["kty"] === "RSA" ? ["RS256", "PS256"] : [];
}

/** Bits of the modulus, 0 where there is none; undefined when it is no key. */
function bitsOf(key: { [name: string]: JsonValue }): number | undefined {
  try {
    return createPublicKey({ key, format: "jwk" }).asymmetricKeyDetails?.modulusLength ?? 0;
  } catch {
    return undefined;
  }
}
