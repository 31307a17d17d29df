/** A gateway that is to ask a tool what became of an attempt (EXEC-7): it claims nothing, calls nothing, and says what it heard. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { TOOL_HEADERS } from "../../schemas/dispatch.ts";
import type { ToolError } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { subjects } from "../../schemas/subjects.ts";
import { headers, type Msg } from "../../services/bus/connection.ts";
import { readHeaders } from "../../services/bus/headers.ts";
import { BuiltinAdapter, type BuiltinProbe } from "../../services/gateway/adapters/builtin.ts";
import { TOOL_QUEUE } from "../../services/identity/permissions.ts";
import { NS, type Plane, type SeenReport, startPlane } from "./plane.ts";

const PROBE = { timeout_ms: 30_000, tries: 3 };
const QUESTION = { action: "a3", attempt: 2, change: { probe: 1 } };
const said = ({ status, probe, output, error }: SeenReport) => ({ status, probe, ...(output !== undefined && { output }), ...(error && { error }) });

describe("EXEC-7: a question to a tool", { timeout: 60_000 }, () => {
  let plane: Plane;
  beforeEach(async () => {
    plane = await startPlane();
  });
  afterEach(() => plane.stop());

  /** Serves the question on the tool's own credential, and, to see that nobody comes, the call. */
  async function serve(answer: (message: Msg) => void): Promise<{ calls: number }> {
    const nc = await plane.server.connect("tool", "t1", undefined, { tool: "pay.out" });
    const seen = { calls: 0 };
    nc.subscribe(subjects.call(NS, "pay.out"), { queue: TOOL_QUEUE, callback: () => (seen.calls += 1) });
    nc.subscribe(subjects.probe(NS, "pay.out"), { queue: TOOL_QUEUE, callback: (_, message) => answer(message) });
    await nc.flush();
    return seen;
  }

  async function ask(given: Parameters<Plane["dispatch"]>[2] = QUESTION, output: Record<string, JsonValue> = {}): Promise<SeenReport> {
    const hash = await plane.applyTool({ name: "pay.out", effect: "write", adapter: { type: "nats" }, probe: PROBE, output });
    await plane.gateway("g1");
    await plane.dispatch("pay.out", hash, { ...given, timeoutMs: given.timeoutMs ?? 5_000 });
    return plane.report();
  }

  const saying = (effect: string | undefined, body: string, more: Readonly<Record<string, string>> = {}) => (message: Msg) => {
    const set = headers();
    set.set("content-type", "application/json");
    for (const [name, value] of Object.entries({ ...(effect !== undefined && { [TOOL_HEADERS.effect]: effect }), ...more })) set.set(name, value);
    message.respond(body, { headers: set });
  };

  test("is sent on a subject of its own with the call's headers and input; nothing is claimed and nothing called", async () => {
    const { promise, resolve } = Promise.withResolvers<Msg>();
    const seen = await serve((message) => {
      resolve(message);
      saying("done", '{"paid":true}')(message);
    });
    const report = await ask({ ...QUESTION, run: "alice_1", input: { amount: 7 } });
    assert.deepEqual(said(report), { status: "probed", probe: { number: 1, found: "done" }, output: { paid: true } });
    assert.equal(report.id, `a3.2.probe-1.${report.claim.nonce}`);
    assert.deepEqual([plane.seen.length, seen.calls], [1, 0]);
    const question = await promise;
    const sent = readHeaders(question).headers;
    assert.equal(Buffer.from(question.data).toString(), '{"amount":7}');
    assert.deepEqual([sent.get(TOOL_HEADERS.run), sent.get(TOOL_HEADERS.attempt), sent.get(TOOL_HEADERS.idempotencyKey)], ["alice_1", "2", "alice_1.a3"]);
    await plane.answer(report, "recorded");
    await plane.settled();
  });

  const answers: [string, ReturnType<typeof saying>, object][] = [
    ["`none`", saying("none", ""), { probe: { number: 1, found: "none" } }],
    ["`none` with a word", saying("none", "", { [TOOL_HEADERS.error]: "no such payment" }), { probe: { number: 1, found: "none" }, error: { code: "tool.failed", message: "no such payment", effect: "none" } }],
    ["`unknown`", saying("unknown", ""), { probe: { number: 1, found: "unknown" }, error: { code: "probe.unknown", message: "the tool cannot say what was done", effect: "unknown" } }],
    ["nothing of what was done", saying(undefined, '{"paid":true}'), { probe: { number: 1, found: "unknown" }, error: { code: "probe.unknown", message: "the tool cannot say what was done", effect: "unknown" } }],
    ["another word", saying("nothing", ""), { probe: { number: 1, found: "unknown" }, error: { code: "probe.unknown", message: "the tool cannot say what was done", effect: "unknown" } }],
    ["`done` with an error", saying("done", "", { [TOOL_HEADERS.error]: "the receipt is gone", [TOOL_HEADERS.errorCode]: "gone" }), { probe: { number: 1, found: "done" }, error: { code: "tool.gone", message: "the receipt is gone", effect: "done" } }],
  ];
  for (const [what, answer, expected] of answers) {
    test(`an answer of ${what} is reported as it is`, async () => {
      await serve(answer);
      assert.deepEqual(said(await ask()), { status: "probed", ...expected });
    });
  }

  test("an output that cannot be read was given all the same", async () => {
    await serve(saying("done", "no json"));
    const report = await ask();
    assert.deepEqual([report.probe?.found, report.error?.code, report.error?.effect], ["done", "output.unreadable", "done"]);
  });

  test("CORE-4: an output is sanitised and checked like that of a call; one that does not fit was given all the same", async () => {
    const again = await plane.applyTool({ name: "pay.in", effect: "write", probe: PROBE, output: { type: "object", required: ["paid"] } });
    const outputs: unknown[] = [{}, { paid: "sk_live_51H8abcdefghijklmnopqrstuvwxyz0123" }];
    const probes = new Map<string, BuiltinProbe>([["pay.in", () => ({ found: "done", output: outputs.shift() })]]);
    await plane.gateway("g2", { adapters: { builtin: new BuiltinAdapter(new Map(), probes) } });
    await plane.dispatch("pay.in", again, QUESTION);
    const junk = await plane.report();
    assert.deepEqual([junk.probe?.found, junk.error?.code, junk.error?.effect], ["done", "output.junk", "done"]);
    await plane.dispatch("pay.in", again, QUESTION);
    const clean = await plane.report(({ run }) => run !== junk.run);
    assert.equal(clean.removed?.length, 1);
    assert.ok(!JSON.stringify(clean.output).includes("sk_live"));
  });

  test("nobody there, no answer in time, and a tool that cannot be asked leave it unknown", async () => {
    const nobody = await ask();
    assert.deepEqual([nobody.probe?.found, nobody.error?.code], ["unknown", "tool.no_responders"]);
    await serve(() => undefined);
    const { dispatch } = await plane.dispatch("pay.out", await plane.applyTool({ name: "pay.out", effect: "write", adapter: { type: "nats" }, probe: PROBE }), { ...QUESTION, timeoutMs: 50 });
    const silent = await plane.report(({ run }) => run === dispatch.run);
    assert.deepEqual([silent.probe?.found, silent.error?.code], ["unknown", "tool.timeout"]);
    const hash = await plane.applyTool({ name: "pay.in", effect: "write" });
    await plane.dispatch("pay.in", hash, QUESTION);
    const undeclared = await plane.report();
    assert.deepEqual([undeclared.probe?.found, undeclared.error?.code], ["unknown", "probe.missing"]);
    const declared = await plane.applyTool({ name: "pay.by", effect: "write", probe: PROBE });
    await plane.dispatch("pay.by", declared, QUESTION);
    assert.equal((await plane.report()).error?.code, "tool.no_probe");
  });

  test("what breaks in the adapter leaves it unknown; a refusal of the answer ends it", async () => {
    const hash = await plane.applyTool({ name: "pay.in", effect: "write", probe: PROBE });
    const probes = new Map<string, BuiltinProbe>([["pay.in", () => { throw new Error("broken"); }]]);
    await plane.gateway("g1", { adapters: { builtin: new BuiltinAdapter(new Map(), probes) } });
    await plane.dispatch("pay.in", hash, QUESTION);
    const report = await plane.report();
    assert.deepEqual(report.error satisfies ToolError | undefined, { code: "adapter.failed", message: "broken", effect: "unknown" });
    await plane.answer(report, "refused");
    await plane.settled();
  });

  test("a question and the attempt that it is about are two things to a gateway that is given both", async () => {
    let calls = 0;
    let questions = 0;
    const builtin = new BuiltinAdapter(
      new Map([["pay.in", () => (++calls, { ok: true, output: 1 } as const)]]),
      new Map<string, BuiltinProbe>([["pay.in", () => (++questions, { found: "unknown", error: { code: "e", message: "m" } })]]),
    );
    const hash = await plane.applyTool({ name: "pay.in", effect: "write", probe: PROBE });
    plane.answerAll(({ status }) => (status === "started" ? "granted" : "recorded"));
    await plane.gateway("g1", { adapters: { builtin } });
    for (const probe of [undefined, 1, 1, 2]) await plane.dispatch("pay.in", hash, { run: "alice_1", attempt: 1, change: probe === undefined ? {} : { probe } });
    await plane.settled();
    assert.deepEqual([calls, questions], [1, 2]);
  });
});
