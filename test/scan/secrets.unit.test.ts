import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { describe, test } from "node:test";
import { createAccount, createUser } from "@nats-io/jwt";
import fc from "fast-check";
import { sha256Digest } from "../../schemas/canonical.ts";
import { removedSchema } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { SECRET_REMOVED, secretFaults, secretsIn, textWithoutSecrets, withoutSecrets } from "../../services/policy/scan/index.ts";

/** Letters and digits that look made up, the same in every run. Written so that no scanner of repositories takes them for real. */
function made(length: number, alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", salt = 7): string {
  let state = salt;
  let text = "";
  while (text.length < length) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 1;
    text += alphabet[state % alphabet.length];
  }
  return text;
}

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const json = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwt = `${json({ alg: "EdDSA", kid: "k1" })}.${json({ sub: "user-7", exp: 1_900_000_000 })}.${made(86)}`;
const pem = generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }) as string;
const account = new TextDecoder().decode(createAccount().getSeed());
const user = new TextDecoder().decode(createUser().getSeed());
const creds = ["NATS USER JWT", "USER NKEY SEED"].map((what, index) => `-----BEGIN ${what}-----\n${index === 0 ? jwt : user}\n------END ${what}------\n`).join("\n");

/** By the rule that knows it: a text that holds it, and the secret itself. */
const KNOWN: readonly (readonly [rule: string, secret: string, text?: (secret: string) => string])[] = [
  ["private_key", pem.trim(), (secret) => `key:\n${secret}\nend`],
  ["private_key", pem.trim().replaceAll("\n", "\\n"), (secret) => `{"private_key":"${secret}"}`],
  ["nats_creds", creds],
  ["nkey_seed", account],
  ["nkey_seed", user],
  ["jwt", jwt, (secret) => `the cookie is session=${secret}; Path=/`],
  ["jwt", `${json({ alg: "none" })}.${json({ sub: "admin" })}.`],
  ["aws_access_key", `AKIA${made(16, BASE32)}`],
  ["aws_secret_key", made(40), (secret) => `aws_secret_access_key = ${secret}`],
  ["gcp_key", `AIza${made(35)}`],
  ["gcp_token", `ya29.${made(60)}`],
  ["azure_key", `${made(86)}==`, (secret) => `DefaultEndpointsProtocol=https;AccountName=x;AccountKey=${secret};`],
  ["github_token", `ghp_${made(36)}`],
  ["github_token", `github_pat_${made(22)}_${made(59)}`],
  ["gitlab_token", `glpat-${made(20)}`],
  ["slack_token", `xoxb-${made(12, "0123456789")}-${made(24)}`],
  ["slack_webhook", `T${made(9, BASE32)}/B${made(9, BASE32)}/${made(24)}`, (secret) => `https://hooks.slack.com/services/${secret}`],
  ["stripe_key", `sk_live_${made(24)}`],
  ["stripe_key", `rk_test_${made(24)}`],
  ["stripe_webhook", `whsec_${made(32)}`],
  ["model_key", `sk-proj-${made(48)}`],
  ["npm_token", `npm_${made(36)}`],
  ["sendgrid_key", `SG.${made(22)}.${made(43)}`],
  ["huggingface_token", `hf_${made(34)}`],
  ["vault_token", `hvs.${made(24)}`],
  ["telegram_token", `${made(9, "123456789")}:AA${made(33)}`],
  ["bearer", made(40), (secret) => `curl -H 'Authorization: Bearer ${secret}' https://api.dev`],
  ["basic_auth", Buffer.from("ada:lovelace1815").toString("base64"), (secret) => `Authorization: Basic ${secret}`],
  ["url_password", "tr0ub4dor", (secret) => `postgres://app:${secret}@db.internal:5432/app`],
  ["password", "correct9Horse", (secret) => `user: ada, password: "${secret}"`],
  ["password", "hunter2!!", (secret) => `DB_PASSWORD=${secret}\nDB_HOST=x`],
  ["password", "Gehe1m!nis", (secret) => `Ihr Passwort: ${secret}`],
  ["credential", made(32), (secret) => `client_secret=${secret}&grant_type=client_credentials`],
  ["credential", made(40), (secret) => `{"api_key": "${secret}"}`],
];

describe("ID-4 GUARD-10: secrets are known by their form", () => {
  for (const [rule, secret, text = (bare: string) => `it is ${bare} as agreed`] of KNOWN) {
    test(`${rule}: ${secret.slice(0, 6).trim()}…`, () => {
      const value = { list: [text(secret)] };
      assert.deepEqual([...new Set(secretsIn(value).map(({ path }) => path))], ["/list/0"]);
      assert.ok(secretsIn(value).some((found) => found.rule === rule), JSON.stringify(secretsIn(value)));
      const clean = withoutSecrets(value);
      assert.ok(!JSON.stringify(clean.value).includes(secret.slice(0, 24)), JSON.stringify(clean.value));
      assert.match(JSON.stringify(clean.value), /\[secret removed\]/);
      assert.deepEqual(clean.removed.map(({ path, reason }) => [path, reason]), [["/list/0", "secret"]]);
      for (const entry of [...clean.removed, ...secretsIn(value)]) assert.ok(!JSON.stringify(entry).includes(secret.slice(0, 12)));
      assert.ok(!textWithoutSecrets(text(secret)).includes(secret));
    });
  }

  const harmless: JsonValue[] = [
    "AKIAIOSFODNN7EXAMPLE is the access key of the manual",
    "set `api_key: ${API_KEY}` and `password: <your password>`",
    "password = os.environ['DB_PASSWORD']; token = config.auth_token_v2",
    "The password must have 8 characters. Password: required. api_key: string",
    "postgres://user:password@localhost/db and https://example.com:8443/path@2",
    "-----BEGIN PRIVATE KEY----- is how such a file begins, -----END PRIVATE KEY----- how it ends",
    "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUXrq3J2j5\n-----END CERTIFICATE-----",
    { password: "", passwort: "********", api_key: "sk_live_…9f2c", secret_key: "vault:kv/stripe#key", private_key: "see keys/a.pem" },
    { password: { type: "string", minLength: 14 }, access_token: null, next_page_token: "CAUQAA1234567890abcd" },
    { sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", id: "5f0c1e9a-31ad-4c55-9a0e-1f2b3c4d5e6f" },
    "commit 9c1f22e4b1de0f7a6c5d4e3f2a1b0c9d8e7f6a5b by task-runner-2024-long-name-with-dashes",
    "sk-learn-compatible-estimators-for-time-series-data and risk-weighted-assets-of-the-group",
    "Bearer tokens are sent in the Authorization header; the bearer of this letter is known to us",
    { key_id: "key_11", jwks: { keys: [{ kty: "OKP", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] } },
    "pk_live_51H8abcdefGHIJKLmnop is publishable",
    "password reset: https://shop.dev/reset?mail=1",
    { passwordHash: "$2b$12$KIXQ1", tokenType: "Bearer", tokens: 812, secretary: "Ada Lovelace 1815" },
  ];
  for (const value of harmless) {
    test(`no secret: ${JSON.stringify(value).slice(0, 60)}`, () => {
      assert.deepEqual(secretsIn(value), []);
      assert.equal(withoutSecrets(value).value, value);
    });
  }

  test("a member whose name says so holds a secret, as do the items of its list", () => {
    const value = { user: { password: "c0rrectHorse" }, api_keys: [], db_password: ["Tr0ub4dor&3"], clientSecret: made(32) };
    assert.deepEqual(secretsIn(value).map(({ path, rule }) => `${path} ${rule}`), ["/user/password named", "/db_password/0 named", "/clientSecret named"]);
    assert.deepEqual(withoutSecrets(value).value, { user: { password: SECRET_REMOVED }, api_keys: [], db_password: [SECRET_REMOVED], clientSecret: SECRET_REMOVED });
  });

  test("a name may be a secret itself: neither path nor reason says it", () => {
    const token = `ghp_${made(36)}`;
    const value = { tokens: { [token]: { scope: jwt, note: "x" } } };
    assert.deepEqual(secretsIn(value).map(({ path, rule }) => `${path} ${rule}`), ["/tokens github_token", "/tokens/[secret removed]/scope jwt"]);
    const clean = withoutSecrets(value);
    assert.deepEqual(clean.value, { tokens: { [SECRET_REMOVED]: { scope: SECRET_REMOVED, note: "x" } } });
    for (const said of [clean.removed, clean.found, secretFaults(value)]) assert.ok(!JSON.stringify(said).includes(token));
  });

  test("written in base64, or with invisible characters within, it is taken out of outputs all the same", () => {
    const token = `ghp_${made(36)}`;
    const { value, removed } = withoutSecrets({ data: Buffer.from(`token: ${token}\n`).toString("base64"), text: [...token].join("\u200b"), fine: Buffer.from("a text that says nothing at all, at length").toString("base64") });
    assert.deepEqual(Object.entries(value as object).map(([key, text]) => `${key} ${text === SECRET_REMOVED}`), ["data true", "text true", "fine false"]);
    assert.deepEqual(removed.map(({ path }) => path), ["/data", "/text"]);
  });

  test("what was removed is listed with size and hash, once for each place", () => {
    const two = [`ghp_${made(36)}`, `ghp_${made(36, undefined, 8)}`];
    const { removed } = withoutSecrets({ text: `first ${two[0]}, then ${two[1]}` });
    assert.deepEqual(removed, [{ path: "/text", reason: "secret", bytes: 80, sha256: sha256Digest(two.join("")) }]);
    for (const entry of removed) removedSchema.parse(entry);
  });

  test("at the door each fault names code, place and rule, and nothing of the secret", () => {
    const [fault, ...more] = secretFaults({ kind: "note", id: "n1", text: `the key is ${jwt}` });
    assert.deepEqual(more, []);
    assert.deepEqual([fault?.code, fault?.path], ["secret.found", "/text"]);
    assert.match(fault?.message ?? "", /`jwt`/);
    assert.equal(secretFaults(Array.from({ length: 50 }, () => jwt)).length, 8);
  });

  test("property: what is left holds none, and looking again changes nothing", () => {
    const secret = fc.constantFrom(...KNOWN.map(([, bare, text]) => text?.(bare) ?? bare));
    const text = fc.array(fc.oneof(secret, fc.string({ maxLength: 20 }), fc.constantFrom(" ", "\n", "=", "\"", "-----BEGIN ", "password=", "eyJ")), { maxLength: 6 }).map((parts) => parts.join(" "));
    const value = fc.letrec<{ value: JsonValue }>((tie) => ({
      value: fc.oneof({ maxDepth: 3 }, text, fc.integer(), fc.constant(null), fc.array(tie("value"), { maxLength: 3 }), fc.dictionary(text, tie("value"), { maxKeys: 3 })),
    })).value;
    fc.assert(
      fc.property(value, (given) => {
        const once = withoutSecrets(given);
        assert.deepEqual(secretsIn(once.value).filter(({ rule }) => rule !== "named" && rule !== "password"), [], JSON.stringify(once.value));
        assert.deepEqual(withoutSecrets(once.value).value, once.value);
        for (const entry of once.removed) removedSchema.parse(entry);
      }),
      { numRuns: 500 },
    );
  });
});
