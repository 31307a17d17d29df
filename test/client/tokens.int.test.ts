/** A tool that checks what it is called with, on a real server: calls of its plane's gateway, and calls of somebody else. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, afterEach, before, describe, test } from "node:test";
import { sha256Digest } from "../../schemas/canonical.ts";
import { TOOL_HEADERS } from "../../schemas/dispatch.ts";
import { actionId, namespace, runId, toolName } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { headers, type NatsConnection } from "../../services/bus/connection.ts";
import { readHeaders } from "../../services/bus/headers.ts";
import { type Box, type Call, type ServedTool, type ToolOptions, connect } from "../../services/client/index.ts";
import { type SigningKey, signingKey } from "../../services/identity/signing-key.ts";
import { type TokenCall, ToolTokens } from "../../services/identity/tool-token.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

const NS = namespace("default");
const newKey = () => signingKey(generateKeyPairSync("ed25519").privateKey);
const key = newKey();
const jwks = (...keys: SigningKey[]) => ({ keys: keys.map(({ jwk }) => jwk) });
const BODY = Buffer.from('{"amount":48,"to":"acct_7"}');
const CALL: TokenCall = {
  run: runId("clerk_1"),
  action: actionId(3),
  attempt: 1,
  tool: toolName("pay.out"),
  body: BODY,
  digest: sha256Digest("the document"),
  principal: { issuer: "https://id.test", subject: "kim", verified: true },
  ttlMs: 30_000,
};

describe("ID-4: a tool that verifies tokens carries out what its plane's gateway calls it for, once", { timeout: 60_000 }, () => {
  let server: TestServer;
  let gateway: NatsConnection;
  let box: Box;
  let folder: string;
  let served: ServedTool | undefined;
  const done: Call[] = [];

  before(async () => {
    server = await startTestServer();
    gateway = await server.connect("gateway", "g1");
    const { creds } = await server.issue("tool", "t1", "default", { tool: "pay.out" });
    box = await connect({ url: server.url, creds, env: {} });
    folder = await mkdtemp(join(tmpdir(), "keys-"));
  });
  after(async () => {
    await box.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });
  afterEach(async () => {
    await served?.stop();
    done.length = 0;
  });

  async function serve(verifyTokens: NonNullable<ToolOptions["verifyTokens"]>): Promise<void> {
    served = await box.tool("pay.out", (_, call) => void done.push(call), { verifyTokens });
    await box.flush();
  }

  interface Sent {
    readonly token?: string | undefined;
    readonly body?: Uint8Array;
    readonly change?: Readonly<Record<string, string>>;
  }

  /** What the tool answered: `done`, or the code of its refusal, which always says that nothing was done. */
  async function call({ token, body = BODY, change = {} }: Sent): Promise<string> {
    const set = headers();
    const said = {
      [TOOL_HEADERS.run]: CALL.run,
      [TOOL_HEADERS.action]: CALL.action,
      [TOOL_HEADERS.attempt]: String(CALL.attempt),
      [TOOL_HEADERS.digest]: CALL.digest,
      [TOOL_HEADERS.idempotencyKey]: `${CALL.run}.${CALL.action}`,
      ...(token !== undefined && { [TOOL_HEADERS.token]: token }),
      ...change,
    };
    for (const [name, value] of Object.entries(said)) set.set(name, value);
    const answer = readHeaders(await gateway.request(subjects.call(NS, "pay.out"), body, { headers: set, timeout: 5_000 })).headers;
    const code = answer.get(TOOL_HEADERS.errorCode);
    if (code === undefined) return "done";
    assert.equal(answer.get(TOOL_HEADERS.effect), "none");
    if (token) assert.ok(![...answer.values()].some((value) => value.includes(token)), "no answer holds the token");
    return code;
  }

  const mint = (more: Partial<TokenCall> = {}, by = key, now?: number) => new ToolTokens(by, NS).mint({ ...CALL, ...more }, now);

  test("a call with its token is carried out, and the handler sees on whose behalf", async () => {
    await serve(jwks(key));
    assert.equal(await call({ token: mint() }), "done");
    assert.equal(done[0]?.token?.sub, "https://id.test|kim");
    assert.equal(done[0]?.token?.action, "a3");
  });

  test("a second use of a token is refused, also when both come at once; another attempt brings another token", async () => {
    await serve(jwks(key));
    const token = mint();
    assert.deepEqual((await Promise.all([call({ token }), call({ token }), call({ token })])).toSorted(), ["done", "token.used", "token.used"]);
    assert.equal(await call({ token: mint() }), "done");
    assert.equal(done.length, 2);
  });

  const other = namespace("finance");
  const refused: [what: string, code: string, sent: () => Sent][] = [
    ["no token", "token.missing", () => ({})],
    ["an altered body", "token.input", () => ({ token: mint(), body: Buffer.from('{"amount":4800,"to":"acct_7"}') })],
    ["another tool's token", "token.tool", () => ({ token: mint({ tool: toolName("pay.in") }) })],
    ["another namespace's token", "token.issuer", () => ({ token: new ToolTokens(key, other).mint(CALL) })],
    ["an expired token", "token.expired", () => ({ token: mint({ ttlMs: 1_000 }, key, Date.now() - 60_000) })],
    ["a token of the future", "token.not_yet", () => ({ token: mint({}, key, Date.now() + 60_000) })],
    ["a token signed by a forged key", "token.key", () => ({ token: mint({}, newKey()) })],
    ["a forged key under the plane's name", "token.signature", () => ({ token: mint({}, { ...forgedUnder(key) }) })],
    ["a token without signature", "token.malformed", () => ({ token: unsigned(mint()) })],
    ["no token at all but some text", "token.malformed", () => ({ token: "open sesame" })],
    ["a header that names another run", "token.headers", () => ({ token: mint(), change: { [TOOL_HEADERS.run]: "clerk_2" } })],
    ["a header that names another attempt", "token.headers", () => ({ token: mint(), change: { [TOOL_HEADERS.attempt]: "2" } })],
    ["another idempotency key", "token.headers", () => ({ token: mint(), change: { [TOOL_HEADERS.idempotencyKey]: "clerk_1.a99" } })],
    ["another document", "token.headers", () => ({ token: mint(), change: { [TOOL_HEADERS.digest]: sha256Digest("another") } })],
  ];
  for (const [what, code, sent] of refused) {
    test(`${what} is refused before the handler sees it: ${code}`, async () => {
      await serve(jwks(key));
      assert.equal(await call(sent()), code);
      assert.deepEqual(done, []);
    });
  }

  test("keys come from a file or a server, and a new key is fetched when a token names one", async () => {
    const path = join(folder, "keys.json");
    await writeFile(path, JSON.stringify(jwks(key)));
    for (const keys of [path, pathToFileURL(path)]) {
      await serve(keys);
      assert.equal(await call({ token: mint() }), "done");
      await served?.stop();
    }
    const next = newKey();
    let held = jwks(key);
    const web = await listening(() => JSON.stringify(held));
    await serve({ keys: new URL(`http://127.0.0.1:${(web.address() as AddressInfo).port}/keys`) });
    assert.equal(await call({ token: mint() }), "done");
    held = jwks(key, next);
    assert.equal(await call({ token: mint({}, next) }), "done");
    // whoever sends forged keys must not make it fetch with every call
    const third = newKey();
    held = jwks(key, next, third);
    assert.equal(await call({ token: mint({}, third) }), "token.key");
    web.close();
  });

  test("a tool whose keys cannot be read does not begin to serve", async () => {
    await assert.rejects(serve(join(folder, "none.json")), /the plane's keys cannot be read from `.*none\.json`/);
    await writeFile(join(folder, "strange.json"), "{}");
    await assert.rejects(serve(pathToFileURL(join(folder, "strange.json"))), /cannot be read/);
  });

  test("instances that share what they have seen refuse a token that another one was called with", async () => {
    const used = new Set<string>();
    const seen = { use: (id: string) => !used.has(id) && used.add(id) !== undefined };
    await serve({ keys: jwks(key), seen });
    const token = mint();
    assert.equal(await call({ token }), "done");
    await served?.stop();
    await serve({ keys: jwks(key), seen });
    assert.equal(await call({ token }), "token.used");
  });
});

/** A key of one's own that says it is the plane's. */
function forgedUnder({ jwk }: SigningKey): SigningKey {
  const own = newKey();
  return {
    jwk,
    token: (claims) => {
      const [, body = ""] = own.token(claims).split(".");
      const [head = "", , signature = ""] = signedAs(own, jwk.kid, body);
      return `${head}.${body}.${signature}`;
    },
  };
}

/** The parts of a token over this body whose header names another key than signed it. */
function signedAs(own: SigningKey, kid: string, body: string): string[] {
  const head = Buffer.from(JSON.stringify({ alg: "EdDSA", kid, typ: "JWT" })).toString("base64url");
  const [, , signature = ""] = own.token({}).split(".");
  return [head, body, signature];
}

function unsigned(token: string): string {
  const [, body = ""] = token.split(".");
  return `${Buffer.from(JSON.stringify({ alg: "none", typ: "JWT" })).toString("base64url")}.${body}.`;
}

async function listening(answer: () => string): Promise<Server> {
  const web = createServer((_, response) => response.end(answer()));
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  return web;
}
