/** Traces of a whole plane to a real collector, and of a reader that is stopped, deleted and started again. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pino } from "pino";
import { startReader } from "../../services/projection/reader.ts";
import { type RunningServices, type ServicesOptions, startServices } from "../../services/main.ts";
import { startTraces } from "../../services/telemetry/traces.ts";
import { tracesUrl } from "../../services/telemetry/url.ts";
import { DEMO_DOCUMENTS, type TestPlane, startTestPlane } from "../harness/plane.ts";
import { type TestServer, startTestServer } from "../harness/server.ts";
import { JournalWriter, NS, proposed, started } from "../projection/journal.ts";
import { type Collector, startCollector } from "./collector.ts";
import { Kept, plain } from "./journal.ts";

const PARENT = { trace: "4bf92f3577b34da6a3ce929d0e0e4736", span: "00f067aa0ba902b7" };
const SECRET = "s3cret-4711";

describe("a plane with a collector", () => {
  let plane: TestPlane;
  let collector: Collector;
  let services: RunningServices;
  const start = (more: Partial<ServicesOptions>) =>
    startServices({
      url: plane.server.url,
      keys: plane.server.keys,
      namespaces: plane.server.namespaces,
      roles: ["reader", "coordinator", "gateway"],
      dataDir: plane.server.dataDir,
      version: "1.2.3",
      log: pino({ level: "silent" }),
      ...more,
    });
  before(async () => {
    plane = await startTestPlane();
    collector = await startCollector();
    services = await start({ tracesUrl: tracesUrl({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint }) });
    await plane.apply(...DEMO_DOCUMENTS);
  });
  after(async () => {
    await services?.stop();
    await collector?.stop();
    await plane?.stop();
  });

  it("OBS-1 traces: a run arrives as OTLP, below its caller, with its actions, and without a word of anybody", async () => {
    const agent = await plane.agent("refund-assistant");
    const run = "refund-assistant_traced";
    const heard = agent.answer(run, ({ id, final }) => id === "s" && final);
    await agent.send("propose", run, { kind: "start", id: "s", agent: { name: "refund-assistant" }, goal: `help ${SECRET}` }, {
      headers: { traceparent: `00-${PARENT.trace}-${PARENT.span}-01` },
    });
    await heard;
    const read = await agent.propose(run, { kind: "tool", id: "r", tool: "zendesk.read_ticket", input: { ticket_id: "T-1001" }, why: SECRET });
    assert.equal(read.status, "succeeded");
    await agent.propose(run, { kind: "tool", id: "d", tool: "crm.delete_customer", input: { customer_id: "cus_1" }, why: SECRET });
    await agent.propose(run, { kind: "tool", id: "x", tool: "stripe.create_refund", input: { charge_id: SECRET, [SECRET]: SECRET } });
    await agent.propose(run, { kind: "note", id: "n", text: SECRET });
    await agent.propose(run, { kind: "finish", id: "f", output: { said: SECRET } });
    await plane.event(run, "run.completed");
    const { follower } = services.readers.get(plane.ns)!;
    assert.ok(await follower.current(5_000));
    await services.stop(); // and what is ended is sent
    const spans = await collector.until((sent) => sent.some(({ name }) => name === "invoke_agent refund-assistant"));
    assert.deepEqual(spans.map(({ name, status }) => [name, status.code]), [
      ["execute_tool zendesk.read_ticket", 0],
      ["execute_tool crm.delete_customer", 2],
      ["execute_tool stripe.create_refund", 2],
      ["invoke_agent refund-assistant", 0],
    ]);
    const whole = spans.at(-1)!;
    assert.deepEqual([whole.traceId, whole.parentSpanId], [PARENT.trace, PARENT.span]);
    for (const span of spans.slice(0, -1)) assert.deepEqual([span.traceId, span.parentSpanId], [PARENT.trace, whole.spanId]);
    const attribute = (index: number, key: string) => spans[index]?.attributes.find((one) => one.key === key)?.value;
    assert.deepEqual(attribute(0, "signalbox.decision"), { stringValue: "allow" });
    assert.deepEqual(attribute(1, "error.type"), { stringValue: "denied.policy" });
    assert.match(JSON.stringify(attribute(1, "signalbox.policies")), /agents-never-delete-customers/);

    const sent = collector.requests.map(({ body }) => body).join("\n");
    assert.deepEqual([...new Set(collector.requests.map(({ path, type }) => `${path} ${type}`))], ["/v1/traces application/json"]);
    assert.match(sent, /"service.name","value":\{"stringValue":"signalbox"/);
    assert.doesNotMatch(sent, new RegExp(SECRET));
    const words = texts(read.output).filter((text) => text.length > 5);
    assert.ok(words.length > 0);
    for (const word of words) assert.ok(!sent.includes(JSON.stringify(word).slice(1, -1)), word);
  });

  it("a collector that is away costs the plane nothing", async () => {
    process.env["OTEL_EXPORTER_OTLP_TIMEOUT"] = "500"; // or its retries keep this process up for ten seconds
    services = await start({ tracesUrl: "http://127.0.0.1:9/v1/traces" });
    const agent = await plane.agent("refund-assistant");
    const run = "refund-assistant_away";
    await agent.propose(run, { kind: "start", id: "s", agent: { name: "refund-assistant" }, goal: "help" });
    await agent.propose(run, { kind: "finish", id: "f" });
    assert.ok(await services.readers.get(plane.ns)!.follower.current(5_000));
    assert.equal(services.readers.get(plane.ns)!.index.run(run)?.state, "completed");
  });
});

describe("a reader with traces", () => {
  let server: TestServer;
  let writer: JournalWriter;
  before(async () => {
    server = await startTestServer();
    writer = new JournalWriter(await server.connect("coordinator", "c1"));
  });
  after(async () => {
    writer.close();
    await server.stop();
  });

  /** One life of a reader, and the spans that it gave out. */
  async function life(name: string, during: () => Promise<unknown>) {
    const nc = await server.connect("reader", name);
    const exporter = new Kept();
    const traces = startTraces({ url: "http://127.0.0.1:9/v1/traces", version: "0", exporter });
    const reader = await startReader({ nc, ns: NS, dataDir: server.dataDir, onward: [(from) => traces.follow(nc, NS, from)] });
    await during();
    assert.ok(await reader.follower.current(5_000));
    await reader.stop();
    await traces.stop();
    return exporter.spans.map(plain);
  }
  const ends = (action: string) => ({ type: "action.verified" as const, data: { action, attempt: 1 } });

  it("OBS-1 traces: what ended is sent once, over restarts and a new index; what is open goes on as the same span", async () => {
    const first = await life("r1", async () => {
      await writer.commit("run", "refunds_1", [started()]);
      await writer.commit("run", "refunds_1", [proposed("a2", "one"), ends("a2")]);
      await writer.commit("run", "refunds_1", [proposed("a4", "two")]);
    });
    assert.deepEqual(first.map(({ name }) => name), ["execute_tool one"]);
    // in between, nobody reads
    await writer.commit("run", "refunds_1", [ends("a4")]);
    const second = await life("r2", () => writer.commit("run", "refunds_1", [proposed("a6", "three")]));
    assert.deepEqual(second.map(({ name }) => name), ["execute_tool two"]);
    await rm(join(server.dataDir, "index"), { recursive: true });
    const third = await life("r3", () => writer.commit("run", "refunds_1", [ends("a6"), { type: "run.completed", to: "completed" }]));
    assert.deepEqual(third.map(({ name }) => name), ["execute_tool three", "invoke_agent refunds"]);
    const run = third.at(-1)!;
    for (const { parent, context } of [...first, ...second, third[0]!]) {
      assert.equal(parent, run.context.spanId);
      assert.equal(context.traceId, run.context.traceId);
    }
  });
});

/** Every text in a value, keys aside. */
function texts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(texts) : [];
}
