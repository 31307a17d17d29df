/** What everybody says to a plane goes into its journal, and where a contract lets it into traces, but into no log. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { TOOL_HEADERS } from "../../schemas/dispatch.ts";
import { headers } from "../../services/bus/connection.ts";
import type { RunningServices } from "../../services/main.ts";
import type { TestPlane } from "../harness/plane.ts";
import type { Collector, SentSpan } from "./collector.ts";
import { type LoudPlane, startLoudPlane } from "./loud-plane.ts";

const AGENT = "clerk";
/** Has no form that a scanner knows: nothing takes it out on the way. */
const WORD = "qzanzibar";
const MAIL = "kim.larsen@corp.dk";

describe("a plane that logs everything it can", () => {
  let plane: TestPlane;
  let services: RunningServices;
  let collector: Collector;
  let loud: LoudPlane;
  before(async () => {
    loud = await startLoudPlane();
    ({ plane, services, collector } = loud);
    const input = { type: "object", properties: { n: { type: "integer" } } };
    const tool = (name: string, effect: string) => ({ name, description: name, effect, adapter: { type: "nats" }, timeout_ms: 5000, trusted: true, clearance: ["pii"], input, output: { type: "object" } });
    const contract = (name: string, logging: object) => ({ agent: { name, owner: "o", team: "t", purpose: "p" }, tools: { allowlist: [{ name: "shop.read" }, { name: "shop.pay", requires_approval: true }] }, logging });
    await plane.applyValues(
      [tool("shop.read", "read"), tool("shop.pay", "write"), contract(AGENT, { trace_level: "full" }), contract("silent", { trace_level: "none" })],
      '@id("all") permit (principal, action, resource);',
    );
    for (const name of ["shop.read", "shop.pay"]) await serve(name);
  });
  after(async () => {
    await loud?.stop();
  });

  async function serve(name: string): Promise<void> {
    const nc = await plane.server.connect("tool", name.replace(".", "-"), "default", { tool: name });
    nc.subscribe(`signalbox.default.call.${name}`, {
      queue: "q",
      callback: (_error, message) => {
        if (!message.string().includes("fail")) return void message.respond(JSON.stringify({ said: `${WORD} given`, mail: MAIL }));
        const said = headers();
        said.set(TOOL_HEADERS.errorCode, "tool.broken");
        said.set(TOOL_HEADERS.error, `${WORD} and ${MAIL} broke it`);
        said.set(TOOL_HEADERS.effect, "none");
        message.respond("", { headers: said });
      },
    });
    await nc.flush();
  }

  it("AUD-3 no log line at any level holds what was said, however wrong it was; traces hold what the contract allows", async () => {
    const [agent, silent, approver, operator] = [await plane.agent(AGENT), await plane.agent("silent"), await plane.approver("ann"), await plane.operator("op")];
    const words = `${WORD} ${MAIL}`;
    const run = `${AGENT}_1`;
    await agent.propose(run, { kind: "start", id: "s", agent: { name: AGENT }, goal: words, context: { words } });
    assert.equal((await agent.propose(run, { kind: "tool", id: "r", tool: "shop.read", input: { n: 1, words: WORD, [MAIL]: 1 }, why: words })).status, "succeeded");
    assert.equal((await agent.propose(run, { kind: "tool", id: "f", tool: "shop.read", input: { words: "fail", more: words } }, ({ final, status }) => final || status === "failed")).status, "failed");
    assert.equal((await agent.propose(run, { kind: "tool", id: "x", tool: "shop.read", input: { n: words } })).status, "rejected");
    await agent.propose(run, { kind: "note", id: "n", text: words });
    // what cannot be read, or is none of the sender's business
    await agent.hear("propose", run, { kind: WORD, id: "k", words } as never);
    await agent.hear("propose", run, { kind: "tool", id: "r", tool: "shop.read", input: { other: words } });
    for (const broken of [`{"words":"${words}"`, words, `{"kind":"note","id":"${MAIL}","text":"${words}"}`]) await agent.send("propose", run, broken);
    await agent.propose(run, { kind: "tool", id: "p", tool: "shop.pay", input: { n: 2, words: WORD } }, ({ status }) => status === "pending");
    assert.ok(agent.rejections.length >= 3, JSON.stringify(agent.rejections));
    const { request, digest } = (await plane.event(run, "approval.requested")).body.data as { request: string; digest: string };
    await approver.send("decide", run, { id: "late", request: words, decision: "approve", digest, reason: words });
    await approver.send("decide", run, { id: "no", request, decision: "refuse", digest, reason: words });
    await operator.send("control", run, { id: "pause", verb: "pause", reason: words });
    await operator.send("control", run, { id: "on", verb: "resume", reason: words });
    await agent.propose(run, { kind: "finish", id: "end", output: { words } });
    await silent.propose("silent_1", { kind: "start", id: "s", agent: { name: "silent" }, goal: words });
    await silent.propose("silent_1", { kind: "tool", id: "r", tool: "shop.read", input: { n: 1, words } });
    await silent.propose("silent_1", { kind: "fail", id: "end", error: { words } });
    await Promise.all([plane.event(run, "run.completed"), plane.event("silent_1", "run.failed")]);
    assert.ok(await services.readers.get(plane.ns)?.follower.current(5_000));
    await services.stop();
    await collector.until((sent) => sent.some(({ name }) => name === `invoke_agent ${AGENT}`));

    assert.match(loud.log(), /"level":/, "something was logged");
    assert.doesNotMatch(loud.log(), new RegExp(`${WORD}|kim\\.larsen`));
    const spans = collector.spans();
    const told = (span: SentSpan, key: string) => (span.attributes.find((one) => one.key === key)?.value as { stringValue?: string } | undefined)?.stringValue;
    const payloads = spans.map((span) => [span.name, ...["arguments", "result"].map((what) => told(span, `gen_ai.tool.call.${what}`))]);
    const gave = JSON.stringify({ said: `${WORD} given`, mail: "[redacted: email]" });
    const sorted = (text: string | undefined) => {
      const value: unknown = text && JSON.parse(text);
      return typeof value === "object" && value !== null ? Object.fromEntries(Object.entries(value).sort()) : value;
    };
    assert.deepEqual(payloads.map(([name, input, output]) => [name, sorted(input), sorted(output)]), [
      ["execute_tool shop.read", { "[redacted: email]": 1, n: 1, words: WORD }, sorted(gave)],
      ["execute_tool shop.read", "[redacted: pii]", undefined],
      ["execute_tool shop.read", "[redacted: pii]", undefined],
      ["execute_tool shop.pay", "[redacted: pii]", undefined],
      [`invoke_agent ${AGENT}`, undefined, undefined],
    ]);
    assert.doesNotMatch(collector.requests.map(({ body }) => body).join("\n"), /silent|kim\.larsen/);
  });
});
