import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { canonicalText, sha256Digest } from "../../schemas/canonical.ts";
import { TOOL_HEADERS } from "../../schemas/dispatch.ts";
import { actionId, runId, toolName } from "../../schemas/ids.ts";
import { MAX_BODY_BYTES } from "../../schemas/limits.ts";
import { subjects } from "../../schemas/subjects.ts";
import { toolSchema } from "../../schemas/tool.ts";
import { encode } from "../../services/bus/codec.ts";
import { headers, type Msg, type NatsConnection } from "../../services/bus/connection.ts";
import { readHeaders } from "../../services/bus/headers.ts";
import type { AdapterRequest } from "../../services/gateway/adapters/adapter.ts";
import { NatsAdapter } from "../../services/gateway/adapters/nats.ts";
import { TOOL_QUEUE } from "../../services/identity/permissions.ts";
import { NS, type Plane, type SeenReport, startPlane } from "./plane.ts";

describe("OPS-3 OPS-4: a tool is any NATS client that answers requests", { timeout: 60_000 }, () => {
  let plane: Plane;
  beforeEach(async () => {
    plane = await startPlane();
  });
  afterEach(() => plane.stop());

  /** Serves a tool on its own credential. */
  async function serve(tool: string, answer: (message: Msg) => void): Promise<void> {
    const nc = await plane.server.connect("tool", "t1", undefined, { tool });
    nc.subscribe(subjects.call(NS, tool), { queue: TOOL_QUEUE, callback: (_, message) => answer(message) });
    await nc.flush();
  }

  /** Applies the tool, lets one dispatch of it be claimed and granted, and gives back how it ended. */
  async function call(tool: string, given: Parameters<Plane["dispatch"]>[2] = {}): Promise<SeenReport> {
    const hash = await plane.applyTool({ name: tool, effect: "write", adapter: { type: "nats" } });
    await plane.gateway("g1");
    await plane.dispatch(tool, hash, given);
    await plane.answer(await plane.report(), "granted");
    return plane.report();
  }

  test("it is sent the approved input's bytes, and in headers whose call it is", async () => {
    const { promise, resolve } = Promise.withResolvers<Msg>();
    await serve("pay.out", (message) => {
      resolve(message);
      message.respond(JSON.stringify({ paid: true }));
    });
    const input = { z: 1, a: "é" };
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const before = Date.now();
    const ended = await call("pay.out", { run: "alice_1", action: "a3", attempt: 2, input, change: { traceparent } });
    assert.equal(ended.status, "succeeded");
    assert.deepEqual(ended.output, { paid: true });

    const request = await promise;
    assert.equal(Buffer.from(request.data).toString(), canonicalText(input));
    const sent = readHeaders(request).headers;
    assert.equal(sent.get(TOOL_HEADERS.run), "alice_1");
    assert.equal(sent.get(TOOL_HEADERS.action), "a3");
    assert.equal(sent.get(TOOL_HEADERS.attempt), "2");
    assert.match(sent.get(TOOL_HEADERS.digest) ?? "", /^sha256:[0-9a-f]{64}$/);
    assert.equal(sent.get(TOOL_HEADERS.idempotencyKey), "alice_1.a3");
    assert.equal(sent.get(TOOL_HEADERS.traceparent), traceparent);
    const deadline = sent.get(TOOL_HEADERS.deadline) ?? "";
    assert.equal(new Date(deadline).toISOString(), deadline);
    assert.ok(Date.parse(deadline) >= before + 30_000 && Date.parse(deadline) <= Date.now() + 30_000);
  });

  test("it may answer in MessagePack", async () => {
    await serve("pay.out", (message) => {
      const set = headers();
      set.set("content-type", "application/msgpack");
      message.respond(encode({ paid: true }), { headers: set });
    });
    assert.deepEqual((await call("pay.out")).output, { paid: true });
  });

  test("CORE-4: an answer larger than a body may be becomes a document", async () => {
    const output = { text: "x".repeat(2 * MAX_BODY_BYTES) };
    await serve("pay.out", (message) => void message.respond(JSON.stringify(output)));
    const text = canonicalText(output);
    assert.deepEqual((await call("pay.out")).output, { $doc: sha256Digest(text), bytes: text.length });
  });

  test("EXEC-7: while the gateway is cut off from the server nothing is called, and nothing is kept to be called later", async () => {
    let calls = 0;
    const nc = await plane.server.connect("gateway", "g1");
    const adapter = new NatsAdapter(nc);
    const lost = firstStatus(nc, "disconnect");
    const back = firstStatus(nc, "reconnect");
    await plane.server.kill();
    await lost;
    const result = await adapter.call(REQUEST);
    assert.deepEqual(result, { ok: false, error: { code: "gateway.disconnected", message: "the gateway is not connected", effect: "none" } });

    await plane.server.restart();
    await serve("pay.out", (message) => {
      calls++;
      message.respond("{}");
    });
    await back;
    assert.deepEqual(await adapter.call(REQUEST), { ok: true, output: {} });
    assert.equal(calls, 1);
  });

  test("EXEC-7: when nobody serves it, nothing was done", async () => {
    const { error } = await call("pay.out");
    assert.deepEqual(error, { code: "tool.no_responders", message: "nobody serves `pay.out`", effect: "none" });
  });

  test("EXEC-7: when it does not answer in time, nobody knows what was done", async () => {
    await serve("pay.out", () => undefined);
    const { error } = await call("pay.out", { timeoutMs: 50 });
    assert.equal(error?.code, "tool.timeout");
    assert.equal(error.effect, "unknown");
  });

  const errors: [string, Record<string, string>, { code: string; message: string; effect: string }][] = [
    [
      "its error says what it did",
      { [TOOL_HEADERS.errorCode]: "404", [TOOL_HEADERS.error]: "no such charge", [TOOL_HEADERS.effect]: "none" },
      { code: "tool.404", message: "no such charge", effect: "none" },
    ],
    [
      "an error after the effect is said to be one",
      { [TOOL_HEADERS.errorCode]: "500", [TOOL_HEADERS.error]: "receipt lost", [TOOL_HEADERS.effect]: "done" },
      { code: "tool.500", message: "receipt lost", effect: "done" },
    ],
    [
      "an error that does not say what it did is unknown",
      { [TOOL_HEADERS.errorCode]: "500", [TOOL_HEADERS.error]: "boom" },
      { code: "tool.500", message: "boom", effect: "unknown" },
    ],
    [
      "an effect that does not exist is unknown",
      { [TOOL_HEADERS.errorCode]: "a b", [TOOL_HEADERS.effect]: "probably none" },
      { code: "tool.a_b", message: "the tool gave no reason", effect: "unknown" },
    ],
  ];
  for (const [rule, set, expected] of errors) {
    test(`EXEC-7: ${rule}`, async () => {
      await serve("pay.out", (message) => {
        const given = headers();
        for (const [name, value] of Object.entries(set)) given.set(name, value);
        message.respond("{}", { headers: given });
      });
      const ended = await call("pay.out");
      assert.equal(ended.status, "failed");
      assert.deepEqual(ended.error, expected);
    });
  }

  for (const [what, body] of [
    ["no JSON", "<html>"],
    ["an object with a key twice", '{"paid":true,"paid":false}'],
    ["an object with a prototype key", '{"__proto__":{"paid":true}}'],
  ] as const) {
    test(`CORE-4: an answer that is ${what} is no success, and the effect is done`, async () => {
      await serve("pay.out", (message) => void message.respond(body));
      const ended = await call("pay.out");
      assert.equal(ended.status, "failed");
      assert.equal(ended.error?.code, "output.unreadable");
      assert.equal(ended.error.effect, "done");
    });
  }
});

const REQUEST: AdapterRequest = {
  ns: NS,
  run: runId("alice_1"),
  action: actionId(3),
  attempt: 1,
  tool: toolName("pay.out"),
  input: {},
  inputBytes: Buffer.from("{}"),
  digest: sha256Digest("{}"),
  deadline: "2026-01-31T09:30:00.000Z",
  timeoutMs: 5_000,
  idempotencyKey: "alice_1.a3",
  traceparent: undefined,
  definition: toolSchema.parse({
    name: "pay.out",
    description: "pays",
    input: {},
    output: {},
    effect: "write",
    adapter: { type: "nats" },
  }),
};

async function firstStatus(nc: NatsConnection, type: string): Promise<void> {
  for await (const status of nc.status()) if (status.type === type) return;
}
