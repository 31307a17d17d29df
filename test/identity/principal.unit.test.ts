/** On whose behalf: which tokens the plane believes, and why it does not believe the others. Tokens are made by a library, not by the plane. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { createUser } from "@nats-io/jwt";
import { CompactSign, exportJWK, exportSPKI, generateKeyPair, type GenerateKeyPairResult, SignJWT } from "jose";
import { sha256Digest } from "../../schemas/canonical.ts";
import { actor, runId } from "../../schemas/ids.ts";
import { type Issuer, issuerSchema } from "../../schemas/issuer.ts";
import { claimedPrincipal, MAX_TOKEN, type PrincipalVerdict, verifyPrincipal } from "../../services/identity/principal.ts";

const ISS = "https://login.example";
const AUD = "signalbox";
const NOW = Date.parse("2026-11-21T12:00:00.000Z");
const SECONDS = NOW / 1000;
const AGENT = actor("alice");
const RUN = runId("alice_7");

interface World {
  readonly keys: GenerateKeyPairResult;
  readonly issuers: { digest: ReturnType<typeof sha256Digest>; value: Issuer }[];
  readonly kid: string;
  readonly alg: string;
}

async function world(alg = "EdDSA", more: Partial<Issuer["issuer"]> = {}, kid = "k1"): Promise<World> {
  const keys = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(keys.publicKey)), kid, use: "sig" };
  return { keys, kid, alg, issuers: [inForce({ iss: ISS, audience: AUD, jwks: { keys: [jwk as never] }, ...more })] };
}

function inForce(issuer: Partial<Issuer["issuer"]>) {
  const value = issuerSchema.parse({ issuer: { name: "idp", algorithms: ["EdDSA", "ES256", "RS256"], ...issuer } });
  return { value, digest: sha256Digest(JSON.stringify(value)) };
}

const RIGHT = { iss: ISS, sub: "kim", aud: AUD, iat: SECONDS - 10, exp: SECONDS + 600, agent: AGENT, run: RUN };

function token({ keys, kid, alg }: World, claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}): Promise<string> {
  return new SignJWT({ ...RIGHT, ...claims }).setProtectedHeader({ alg, kid, ...header }).sign(keys.privateKey);
}

const verify = (header: string | undefined, { issuers }: Pick<World, "issuers">, time = NOW, more = {}) =>
  verifyPrincipal(header, { issuers, agent: AGENT, run: RUN, time: new Date(time).toISOString(), ...more });

function codes(verdict: PrincipalVerdict): string[] {
  assert.ok("refusals" in verdict, JSON.stringify(verdict));
  return verdict.refusals.map(({ code }) => code);
}

for (const alg of ["EdDSA", "ES256", "ES384", "RS256", "PS256"] as const) {
  test(`ID-3: a token by ${alg} that names this plane, agent and run is believed, and leaves its claims and hash`, async () => {
    const w = await world(alg, { algorithms: [alg] });
    const jwt = await token(w, { jti: "t-1" });
    assert.deepEqual(await verify(jwt, w), {
      principal: {
        subject: "kim",
        issuer: ISS,
        key_id: "k1",
        token_hash: sha256Digest(jwt),
        token_id: "t-1",
        expires_at: "2026-11-21T12:10:00.000Z",
        verified: true,
      },
    });
  });
}

test("ID-3: nothing is nobody, and a plain name is a claim that nobody checked", async () => {
  const w = await world();
  assert.deepEqual(await verify(undefined, w), { principal: null });
  assert.deepEqual(await verify("", w), { principal: null });
  for (const name of ["kim", "kim@example.org", "a.b.c", "d'Arc".replace("'", "-"), "Zoë"]) {
    assert.deepEqual(await verify(name, w), { principal: { subject: name, verified: false } }, name);
    assert.deepEqual(claimedPrincipal(name), { subject: name, verified: false });
  }
  assert.equal(claimedPrincipal(await token(w)), null, "of a token nothing is taken unverified");
});

test("ID-3: a token without the agent or of another, without the run or of another, is refused, all faults at once", async () => {
  const w = await world();
  assert.deepEqual(codes(await verify(await token(w, { agent: "bob" }), w)), ["principal.agent"]);
  assert.deepEqual(codes(await verify(await token(w, { agent: undefined }), w)), ["principal.agent"]);
  assert.deepEqual(codes(await verify(await token(w, { agent: [AGENT] }), w)), ["principal.agent"]);
  assert.deepEqual(codes(await verify(await token(w, { run: "alice_8" }), w)), ["principal.run"]);
  assert.deepEqual(codes(await verify(await token(w, { run: undefined }), w)), ["principal.run"]);
  assert.deepEqual(codes(await verify(await token(w, { run: "alice_8", jti: "7" }), w)), ["principal.run"], "a run that is named counts");
  assert.deepEqual(codes(await verify(await token(w, { agent: "bob", run: "bob_1", sub: "", aud: "else" }), w)), [
    "principal.audience",
    "principal.subject",
    "principal.agent",
    "principal.run",
  ]);
});

test("ID-3: a token with an id of its own starts the one run that bears it, and no second", async () => {
  const w = await world();
  const jwt = await token(w, { run: undefined, jti: "7" });
  assert.ok("principal" in (await verify(jwt, w)));
  assert.deepEqual(codes(await verifyPrincipal(jwt, { ...w, agent: AGENT, run: runId("alice_8"), time: new Date(NOW).toISOString() })), ["principal.run"]);
  assert.deepEqual(codes(await verifyPrincipal(jwt, { ...w, agent: actor("bob"), run: runId("bob_7"), time: new Date(NOW).toISOString() })), ["principal.agent"]);
});

test("ID-3: unsigned, signed with the public key as a secret, or by an algorithm that is not its issuer's: refused", async () => {
  const w = await world("RS256");
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const body = part(RIGHT);
  const signature = (await token(w)).split(".")[2];
  assert.deepEqual(codes(await verify(`${part({ alg: "none", kid: "k1" })}.${body}.`, w)), ["principal.algorithm"]);
  assert.deepEqual(codes(await verify(`${part({ alg: "none" })}.${body}.${signature}`, w)), ["principal.algorithm"]);
  assert.deepEqual(codes(await verify(`${part({ kid: "k1" })}.${body}.${signature}`, w)), ["principal.algorithm"]);
  assert.deepEqual(codes(await verify(`${part({ alg: "RS256", kid: "k1" })}.${body}.`, w)), ["principal.signature"]);
  for (const alg of ["HS256", "HS512"]) {
    const head = part({ alg, kid: "k1" });
    for (const secret of [await exportSPKI(w.keys.publicKey), JSON.stringify(await exportJWK(w.keys.publicKey)), ""]) {
      const forged = createHmac(`sha${alg.slice(2)}`, secret).update(`${head}.${body}`).digest("base64url");
      assert.deepEqual(codes(await verify(`${head}.${body}.${forged}`, w)), ["principal.algorithm"]);
    }
  }
  const only = await world("RS256", { algorithms: ["ES256"] });
  assert.deepEqual(codes(await verify(await token(only), only)), ["principal.algorithm"]);
  const other = await world("ES256");
  assert.deepEqual(codes(await verify(await token(other), w)), ["principal.key"], "a key of another kind");
});

test("ID-3: a key in the token itself is never used", async () => {
  const [w, thief] = [await world(), await world()];
  const jwk = await exportJWK(thief.keys.publicKey);
  const forged = await new SignJWT(RIGHT).setProtectedHeader({ alg: "EdDSA", kid: "k1", jwk: jwk as never, jku: "https://thief.example/jwks" }).sign(thief.keys.privateKey);
  assert.deepEqual(codes(await verify(forged, w)), ["principal.signature"]);
  const critical = await new CompactSign(new TextEncoder().encode(JSON.stringify(RIGHT)))
    .setProtectedHeader({ alg: "EdDSA", kid: "k1", crit: ["strange"], strange: 1 })
    .sign(w.keys.privateKey, { crit: { strange: true } });
  assert.deepEqual(codes(await verify(critical, w)), ["principal.malformed"], "what must be understood and is not");
});

test("ID-3: an altered claim, another issuer, another audience: refused", async () => {
  const w = await world();
  const [head, , signature] = (await token(w)).split(".");
  const altered = Buffer.from(JSON.stringify({ ...RIGHT, sub: "root" })).toString("base64url");
  assert.deepEqual(codes(await verify(`${head}.${altered}.${signature}`, w)), ["principal.signature"]);
  assert.deepEqual(codes(await verify(await token(w, { iss: "https://login.example/" }), w)), ["principal.issuer"], "character by character");
  assert.deepEqual(codes(await verify(await token(w, { iss: undefined }), w)), ["principal.issuer"]);
  assert.deepEqual(codes(await verify(await token(w), { issuers: [] })), ["principal.issuer"]);
  for (const aud of ["signalbox-2", undefined, [], ["a", "b"], ""]) {
    assert.deepEqual(codes(await verify(await token(w, { aud }), w)), ["principal.audience"]);
  }
  assert.ok("principal" in (await verify(await token(w, { aud: ["else", AUD] }), w)), "this plane among others");
});

test("ID-3: a key that was rotated away signs nothing any more; one that came with the new document does", async () => {
  const old = await world("EdDSA", {}, "k1");
  const fresh = await world("EdDSA", {}, "k2");
  const [before, after] = [await token(old), await token(fresh)];
  assert.ok("principal" in (await verify(before, old)));
  assert.deepEqual(codes(await verify(after, old)), ["principal.key"]);
  assert.deepEqual(codes(await verify(before, fresh)), ["principal.key"]);
  assert.ok("principal" in (await verify(after, fresh)));
  const reused = await world("EdDSA", {}, "k1");
  assert.deepEqual(codes(await verify(before, reused)), ["principal.signature"], "also when the name of the key stayed");
  const both = { issuers: [...old.issuers, ...fresh.issuers] };
  assert.ok("principal" in (await verify(before, both)), "two documents of one issuer, while it changes over");
  assert.ok("principal" in (await verify(after, both)));
});

test("ID-3: time is the input's: before, within, at the end and after", async () => {
  const w = await world();
  const jwt = await token(w, { nbf: SECONDS });
  assert.ok("principal" in (await verify(jwt, w, NOW)));
  assert.ok("principal" in (await verify(jwt, w, NOW - 9_000)), "an issuer's clock may be a little ahead");
  assert.deepEqual(codes(await verify(jwt, w, NOW - 11_000)), ["principal.not_yet"]);
  assert.ok("principal" in (await verify(jwt, w, NOW + 599_999)));
  assert.deepEqual(codes(await verify(jwt, w, NOW + 600_000)), ["principal.expired"]);
  assert.deepEqual(codes(await verify(await token(w, { iat: SECONDS + 60 }), w)), ["principal.not_yet"]);
  assert.deepEqual(codes(await verify(await token(w, { iat: SECONDS - 3001 }), w)), ["principal.lifetime"], "longer than its issuer may give");
  for (const claims of [{ exp: undefined }, { iat: undefined }, { exp: "soon" }, { exp: 1e300 }, { nbf: null }, { iat: -5 }]) {
    const signed = await signedAnyhow(w, claims);
    assert.ok(["principal.lifetime", "principal.not_yet"].includes(codes(await verify(signed, w))[0] ?? ""), JSON.stringify(claims));
  }
});

/** Also what the library would not sign. */
function signedAnyhow(w: World, claims: Record<string, unknown>): Promise<string> {
  return new CompactSign(new TextEncoder().encode(JSON.stringify({ ...RIGHT, ...claims }))).setProtectedHeader({ alg: w.alg, kid: w.kid }).sign(w.keys.privateKey);
}

test("ID-3: a fresh token must be of the run's own principal", async () => {
  const w = await world();
  const first = await verify(await token(w), w);
  assert.ok("principal" in first);
  const same = first.principal;
  assert.ok("principal" in (await verify(await token(w, { exp: SECONDS + 900 }), w, NOW, { same })));
  assert.deepEqual(codes(await verify(await token(w, { sub: "lee" }), w, NOW, { same })), ["principal.other"]);
});

test("ID-3: what is no token is refused, and no reason holds any of it", async () => {
  const w = await world();
  const jwt = await token(w);
  const [head, body, signature] = jwt.split(".");
  const secret = "s3cr3t-of-kim";
  const leaky = await signedAnyhow(w, { sub: 7, agent: secret, run: secret, aud: secret, jti: secret });
  const bad: Record<string, string> = {
    "two parts": `${head}.${body}`,
    "four parts": `${jwt}.x`,
    "five parts": `${jwt}.x.y`,
    "with its scheme": `Bearer ${jwt}`,
    "broken base64": `${head}.%%%.${signature}`,
    "array as claims": `${head}.${Buffer.from("[]").toString("base64url")}.${signature}`,
    "much too long": "eyJ" + "a".repeat(MAX_TOKEN),
    "control characters": `kim\u0000`,
    "long name": "k".repeat(129),
    "a space": "kim lee",
    "a seed": new TextDecoder().decode(createUser().getSeed()),
    "an api key": "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    leaky,
  };
  for (const [what, header] of Object.entries(bad)) {
    const verdict = await verify(header, w);
    assert.ok("refusals" in verdict, what);
    const said = JSON.stringify(verdict);
    for (const part of [...header.split(".").filter((piece) => piece.length > 8), secret]) assert.ok(!said.includes(part), `${what}: ${said}`);
  }
});

test("ID-3: a private or symmetric key in an issuer's document verifies nothing", async () => {
  const w = await world();
  const jwk = await exportJWK(w.keys.privateKey);
  const leaking = { issuers: [inForce({ iss: ISS, audience: AUD, jwks: { keys: [{ ...jwk, kid: "k1" } as never] } })] };
  assert.deepEqual(codes(await verify(await token(w), leaking)), ["principal.key"]);
  const oct = { issuers: [inForce({ iss: ISS, audience: AUD, jwks: { keys: [{ kty: "oct", k: "c2VjcmV0", kid: "k1" }] } })] };
  assert.deepEqual(codes(await verify(await token(w), oct)), ["principal.key"]);
});
