/** A tool that answers what became of a call (EXEC-7), served with the published client on a real server. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, afterEach, before, describe, test } from "node:test";
import { sha256Digest } from "../../schemas/canonical.ts";
import { TOOL_HEADERS } from "../../schemas/dispatch.ts";
import { actionId, namespace, runId, toolName } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { headers, type NatsConnection } from "../../services/bus/connection.ts";
import { readHeaders } from "../../services/bus/headers.ts";
import { type Box, type Call, type ProbeAnswer, type ProbeHandler, type ServedTool, ToolFailure, type ToolHandler, connect } from "../../services/client/index.ts";
import { signingKey } from "../../services/identity/signing-key.ts";
import { type TokenCall, ToolTokens } from "../../services/identity/tool-token.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

const NS = namespace("default");
const key = signingKey(generateKeyPairSync("ed25519").privateKey);
const BODY = Buffer.from('{"amount":48}');
const CALL: TokenCall = {
  run: runId("clerk_1"), action: actionId(3), attempt: 2, tool: toolName("pay.out"), body: BODY, digest: sha256Digest("the document"), principal: null, ttlMs: 30_000,
};
const mint = (use?: "probe") => new ToolTokens(key, NS).mint({ ...CALL, ...(use && { use }) });

describe("EXEC-7: a tool says what became of a call", { timeout: 60_000 }, () => {
  let server: TestServer;
  let gateway: NatsConnection;
  let box: Box;
  let served: ServedTool | undefined;

  before(async () => {
    server = await startTestServer();
    gateway = await server.connect("gateway", "g1");
    const { creds } = await server.issue("tool", "t1", "default", { tool: "pay.out" });
    box = await connect({ url: server.url, creds, env: {} });
  });
  after(async () => {
    await box.close();
    await server.stop();
  });
  afterEach(() => served?.stop());

  async function serve(probe: ProbeHandler<{ amount: number }> | undefined, call: ToolHandler = () => null, verify = false): Promise<void> {
    served = await box.tool("pay.out", call, { ...(probe && { probe }), ...(verify && { verifyTokens: { keys: [key.jwk] } }) });
    await box.flush();
  }

  async function send(subject: string, token?: string): Promise<{ effect: string; code: string; why: string; body: string }> {
    const set = headers();
    const said = {
      [TOOL_HEADERS.run]: CALL.run, [TOOL_HEADERS.action]: CALL.action, [TOOL_HEADERS.attempt]: "2", [TOOL_HEADERS.digest]: CALL.digest,
      [TOOL_HEADERS.idempotencyKey]: `${CALL.run}.${CALL.action}`, ...(token !== undefined && { [TOOL_HEADERS.token]: token }),
    };
    for (const [name, value] of Object.entries(said)) set.set(name, value);
    const answer = await gateway.request(subject, BODY, { headers: set, timeout: 5_000 });
    const of = (name: string) => readHeaders(answer).headers.get(name) ?? "";
    return { effect: of(TOOL_HEADERS.effect), code: of(TOOL_HEADERS.errorCode), why: of(TOOL_HEADERS.error), body: answer.string() };
  }
  const ask = (token?: string) => send(subjects.probe(NS, "pay.out"), token);

  test("its handler is given the call's input and key, and what it finds is the answer", async () => {
    const asked: [unknown, Call][] = [];
    const answers: ProbeAnswer[] = [{ found: "done", output: { paid: true } }, { found: "none", message: "no such\r\npayment" }, { found: "none" }, { found: "unknown" }];
    await serve((input, call) => (asked.push([input, call]), answers.shift() as ProbeAnswer));
    assert.deepEqual(await ask(), { effect: "done", code: "", why: "", body: '{"paid":true}' });
    assert.deepEqual(await ask(), { effect: "none", code: "probe.none", why: "no such payment", body: "" });
    assert.deepEqual(await ask(), { effect: "none", code: "", why: "", body: "" });
    assert.deepEqual(await ask(), { effect: "unknown", code: "", why: "", body: "" });
    assert.deepEqual([asked[0]?.[0], asked[0]?.[1].idempotencyKey, asked[0]?.[1].attempt], [{ amount: 48 }, "clerk_1.a3", 2]);
  });

  test("what it throws, and what JSON cannot say, says nothing of what was done", async () => {
    const throws: (() => ProbeAnswer)[] = [
      () => { throw new Error("boom"); },
      () => { throw new ToolFailure({ code: "x", message: "none, he says", effect: "none" }); },
      () => ({ found: "done", output: 1n as never }),
    ];
    await serve(() => (throws.shift() as () => ProbeAnswer)());
    assert.equal((await ask()).effect, "unknown");
    assert.equal((await ask()).effect, "unknown");
    assert.equal((await ask()).effect, "unknown");
  });

  test("a tool without the handler is not asked, and takes no question for a call", async () => {
    let calls = 0;
    await serve(undefined, () => void calls++);
    await assert.rejects(ask(), /503/);
    assert.equal(calls, 0);
  });

  test("`none` is never said while the call is still being carried out, not even when it began while the handler looked", async () => {
    const looking = Promise.withResolvers<void>();
    const look = Promise.withResolvers<ProbeAnswer>();
    const begun = Promise.withResolvers<void>();
    const end = Promise.withResolvers<null>();
    let handlers = 0;
    await serve(
      () => (handlers++, looking.resolve(), look.promise),
      () => (begun.resolve(), end.promise),
    );
    const early = ask();
    await looking.promise;
    const call = send(subjects.call(NS, "pay.out"));
    await begun.promise;
    look.resolve({ found: "none" });
    assert.deepEqual([(await early).effect, handlers], ["unknown", 1]);
    assert.deepEqual([(await ask()).effect, handlers], ["unknown", 1], "not asked while it is known to be at work");
    end.resolve(null);
    await call;
    assert.deepEqual([(await ask()).effect, handlers], ["none", 2]);
  });

  test("ID-4: a question needs a token of its own, which opens no call; that of a call opens no question", async () => {
    let calls = 0;
    let questions = 0;
    await serve(() => (questions++, { found: "none" }), () => void calls++, true);
    assert.deepEqual([await ask(mint("probe")).then(({ effect }) => effect), questions], ["none", 1]);
    assert.equal((await send(subjects.call(NS, "pay.out"), mint("probe"))).code, "token.tool");
    for (const token of [undefined, mint()]) assert.equal((await ask(token)).effect, "unknown");
    assert.deepEqual([calls, questions], [0, 1]);
    await send(subjects.call(NS, "pay.out"), mint());
    assert.equal(calls, 1);
  });
});
