/** What a tool is called with besides its input: good for one call, checked offline. */
import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { createLocalJWKSet, jwtVerify } from "jose";
import { sha256Digest } from "../../schemas/canonical.ts";
import { actionId, namespace, runId, toolName } from "../../schemas/ids.ts";
import { type Jwks, signingKey } from "../../services/identity/signing-key.ts";
import { type Seen, SeenTokens, type TokenCall, type TokenCheck, ToolTokens, verifyToolToken } from "../../services/identity/tool-token.ts";

const NS = namespace("default");
const TOOL = "stripe.create_refund";
const NOW = Date.parse("2026-11-21T12:00:00.000Z");
const BODY = Buffer.from('{"charge_id":"ch_1","amount_usd":5}');

const newKey = () => signingKey(generateKeyPairSync("ed25519").privateKey);
const key = newKey();
const jwks: Jwks = { keys: [key.jwk] };
const call: TokenCall = {
  run: runId("alice_7"),
  action: actionId(5),
  attempt: 2,
  tool: toolName(TOOL),
  body: BODY,
  digest: sha256Digest("the action document"),
  principal: { issuer: "https://login.example", subject: "kim", verified: true },
  ttlMs: 30_000,
};
const mint = (more: Partial<TokenCall> = {}, now = NOW) => new ToolTokens(key, NS).mint({ ...call, ...more }, now);
const check = (token: string | undefined, more: Partial<TokenCheck> = {}) =>
  verifyToolToken(token, { jwks, ns: NS, tool: TOOL, body: BODY, now: NOW, seen: new SeenTokens(), ...more });
const code = async (token: string | undefined, more: Partial<TokenCheck> = {}) => {
  const verdict = await check(token, more);
  assert.ok("refusal" in verdict, JSON.stringify(verdict));
  return verdict.refusal.code;
};

test("ID-4: a token names run, action, attempt, tool, input, action document and principal, and ends with the call", async () => {
  const verdict = await check(mint());
  assert.ok("token" in verdict);
  const { jti, ...claims } = verdict.token;
  assert.match(jti, /^[0-9a-f-]{36}$/);
  assert.deepEqual(claims, {
    iss: "signalbox:default",
    aud: "tool:stripe.create_refund",
    sub: "https://login.example|kim",
    iat: NOW / 1000,
    exp: NOW / 1000 + 30,
    ns: "default",
    run: "alice_7",
    action: "a5",
    attempt: 2,
    tool: TOOL,
    input: sha256Digest(BODY),
    digest: call.digest,
  });
});

test("ID-4: any library for JWTs checks it with the published key", async () => {
  const { payload, protectedHeader } = await jwtVerify(mint(), createLocalJWKSet(jwks as never), {
    issuer: "signalbox:default",
    audience: `tool:${TOOL}`,
    algorithms: ["EdDSA"],
    currentDate: new Date(NOW),
  });
  assert.equal(payload["action"], "a5");
  assert.deepEqual(protectedHeader, { alg: "EdDSA", kid: key.jwk.kid, typ: "JWT" });
});

test("ID-4: nobody is named as principal whom nobody verified", async () => {
  for (const principal of [null, { subject: "kim", verified: false }]) {
    const verdict = await check(mint({ principal }));
    assert.ok("token" in verdict);
    assert.equal(verdict.token.sub, "agent:alice");
  }
});

test("ID-4: a second use is refused, also when two come at once, and another attempt's token is another", async () => {
  const seen = new SeenTokens();
  const [first, second] = [mint(), mint()];
  assert.notEqual(first, second);
  const verdicts = await Promise.all([check(first, { seen }), check(first, { seen })]);
  assert.deepEqual(verdicts.map((verdict) => "token" in verdict), [true, false]);
  assert.equal(await code(first, { seen }), "token.used");
  assert.ok("token" in (await check(second, { seen })));
});

test("ID-4: for another tool, namespace or input, after its end, or with nothing: refused", async () => {
  assert.equal(await code(undefined), "token.missing");
  assert.equal(await code(""), "token.missing");
  assert.equal(await code(mint(), { tool: "stripe.delete" }), "token.tool");
  assert.equal(await code(mint(), { ns: "finance" }), "token.issuer");
  assert.equal(await code(mint(), { body: Buffer.from('{"charge_id":"ch_1","amount_usd":500}') }), "token.input");
  assert.ok("token" in (await check(mint(), { now: NOW + 34_999 })), "clocks differ a little");
  assert.equal(await code(mint(), { now: NOW + 35_000 }), "token.expired");
  assert.equal(await code(mint(), { now: NOW - 6_000 }), "token.not_yet");
});

test("ID-4: a refused token is not used up: the right call still passes", async () => {
  const seen = new SeenTokens();
  const token = mint();
  assert.equal(await code(token, { seen, body: Buffer.from("{}") }), "token.input");
  assert.ok("token" in (await check(token, { seen })));
});

test("ID-4: unsigned, altered, by another key or algorithm, written another way: refused", async () => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const token = mint();
  const [head, body = "", signature = ""] = token.split(".");
  const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as Record<string, unknown>;
  const altered = part({ ...claims, attempt: 3 });
  assert.equal(await code(`${head}.${altered}.${signature}`), "token.signature");
  assert.equal(await code(`${part({ alg: "none" })}.${body}.`), "token.malformed");
  assert.equal(await code(`${part({ alg: "none", kid: key.jwk.kid })}.${body}.${signature}`), "token.malformed");
  const hmac = part({ alg: "HS256", kid: key.jwk.kid });
  assert.equal(await code(`${hmac}.${body}.${createHmac("sha512", key.jwk.x).update(`${hmac}.${body}`).digest("base64url")}`), "token.malformed");
  const thief = newKey();
  assert.equal(await code(new ToolTokens(thief, NS).mint(call, NOW)), "token.key");
  const borrowed = part({ alg: "EdDSA", kid: key.jwk.kid, typ: "JWT" });
  const forged = thief.token(claims).split(".");
  assert.equal(await code(`${borrowed}.${forged[1]}.${forged[2]}`), "token.signature");
  assert.equal(await code(key.token({ ...claims, more: 1 })), "token.malformed", "claims that nobody knows");
  assert.equal(await code(key.token({ sub: "kim" })), "token.malformed");
  for (const other of [`${token}.`, ` ${token}`, token.replaceAll(".", ".."), `${head}.${body}.${signature}=`, token.slice(0, -1), "x".repeat(100_000)]) {
    assert.equal(await code(other), "token.malformed");
  }
  // the last letter of a signature holds two bits: other letters would be other texts of the same token
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const [last, start] = [letters.indexOf(token.at(-1) ?? ""), token.slice(0, -1)];
  assert.equal(await code(start + letters[last + 1]), "token.malformed");
});

test("what is remembered is bounded by what has not ended, and beyond its bound nothing is new", async () => {
  const seen = new SeenTokens(2_000);
  for (let i = 0; i < 10_000; i++) assert.equal(seen.use(`t${i}`, NOW + i + 10, NOW + i), true);
  assert.ok(seen.size < 2_000, `${seen.size}`);
  for (let i = 0; seen.size < 2_000; i++) seen.use(`u${i}`, NOW + 1e9, NOW + 20_000);
  assert.equal(await code(mint({}, NOW + 20_000), { seen, now: NOW + 20_000 }), "token.unremembered");
});

test("instances of a tool share what they have seen, where they are given such a store", async () => {
  const shared = new Set<string>();
  const seen: Seen = { use: async (id) => Promise.resolve(!shared.has(id) && Boolean(shared.add(id))) };
  const token = mint();
  assert.ok("token" in (await check(token, { seen })));
  assert.equal(await code(token, { seen }), "token.used");
});
