/** A change of documents is carried out to its end, whoever dies in the middle of it (POL-6, EXEC-8). */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { actor, type Digest, type RunId, runId, toolName } from "../../schemas/ids.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { patterns, streamName, subjects } from "../../schemas/subjects.ts";
import { decodeEvent } from "../../services/bus/commit.ts";
import { Documents } from "../../services/bus/documents.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import type { AdapterRequest } from "../../services/gateway/adapters/adapter.ts";
import { RegistryAdapter } from "../../services/gateway/adapters/registry.ts";
import { Gateway } from "../../services/gateway/gateway.ts";
import { BUILT_IN_DEFINITION } from "../../services/registry/built-in.ts";
import { parseDocuments } from "../../services/registry/parse.ts";
import { childCoordinator } from "../coordinator/children.ts";
import { startTestPlane, type TestPlane } from "../harness/plane.ts";

const TOOLS = 80;
const tools = (version: number) =>
  Array.from({ length: TOOLS }, (_, i) => `name: many.t${i}\ndescription: version ${version}\neffect: read\nadapter: nats\ninput: {}\noutput: {}\n`).join("---\n");
type Named = { readonly kind: string; readonly name: string; readonly document: Digest };

let plane: TestPlane;
let auditor: NatsConnection;
let stored: (text: string) => Promise<Named[]>;
const gateways: Gateway[] = [];

before(async () => {
  plane = await startTestPlane();
  auditor = await plane.server.connect("auditor", "onlooker");
  const coordinator = await plane.server.connect("coordinator", "store");
  const documents = new Documents(coordinator, new Publisher(coordinator), plane.ns);
  stored = async (text) => {
    const parsed = parseDocuments(text, "many.yaml");
    assert.deepEqual(parsed.faults, []);
    return Promise.all(parsed.documents.map(async ({ kind, name, bytes }) => ({ kind, name, document: await documents.put(bytes, "application/json") })));
  };
});
after(async () => {
  await Promise.all(gateways.map((gateway) => gateway.stop(0).catch(() => undefined)));
  await plane.stop();
});

async function gateway(name: string): Promise<NatsConnection> {
  const nc = await plane.server.connect("gateway", name);
  const life = new Gateway({ nc, ns: plane.ns, name: actor(name) });
  await life.start();
  gateways.push(life);
  return nc;
}

async function change(id: string, documents: readonly Named[]): Promise<RunId> {
  const run = runId(`signalbox-registry_${id}`);
  await (await plane.operator("changer")).send("apply", run, { id, documents });
  return run;
}

/** Resolves when so many tools have come into force, from now on. */
async function halfway(count: number): Promise<() => Promise<void>> {
  const live = auditor.subscribe(patterns.liveOfKind(plane.ns, "tool"), { max: count });
  await auditor.flush();
  return async () => {
    for await (const _ of live);
  };
}

/** What the run ended with. The claim of a gateway that died is given up only after the tool's time-out. */
async function ended(run: RunId): Promise<{ types: string[]; outcomes: string[] }> {
  const live = auditor.subscribe(subjects.live(plane.ns, "run", run));
  await auditor.flush();
  try {
    const events = await plane.events(run);
    if (!events.some(({ body }) => body.type === "run.completed")) {
      for await (const message of live) if (decodeEvent({ subject: message.subject, seq: 0, time: 0, headers: new Map(), data: message.data }).body.type === "run.completed") break;
    }
  } finally {
    live.unsubscribe();
  }
  const events = await plane.events(run);
  const output = events.find(({ body }) => body.type === "action.succeeded")?.body.data["output"] as { documents: { outcome: string }[] };
  return { types: events.map(({ body }) => body.type), outcomes: output.documents.map(({ outcome }) => outcome) };
}

/** Versions that every one of the tools has had. */
async function versions(): Promise<number[]> {
  const counts = new Map<string, number>();
  for await (const message of new StreamReader(auditor, streamName("JOURNAL", plane.ns)).read({ subject: patterns.logOfKind(plane.ns, "tool") })) {
    const { run } = decodeEvent(message).body;
    if (run.startsWith("many.")) counts.set(run, (counts.get(run) ?? 0) + 1);
  }
  assert.equal(counts.size, TOOLS);
  return [...new Set(counts.values())];
}

test("POL-6: a coordinator that is killed in the middle of a change: the next one brings the rest into force, each once", { timeout: 60_000 }, async () => {
  await gateway("g1");
  const { kill } = await childCoordinator(plane);
  const half = await halfway(TOOLS / 4);
  const run = await change("killed-coordinator", await stored(tools(1)));
  await half();
  await kill();
  const owner = await plane.coordinator();
  const { types, outcomes } = await ended(run);
  assert.equal(types.filter((type) => type === "action.succeeded").length, 1);
  assert.equal(outcomes.length, TOOLS);
  assert.deepEqual(await versions(), [1]);
  await owner.stop();
});

test("POL-6: a gateway that dies in the middle of a change: another finds what is in force, and brings the rest", { timeout: 90_000 }, async () => {
  await plane.coordinator();
  await Promise.all(gateways.splice(0).map((life) => life.stop(0)));
  const dying = await gateway("g2");
  const half = await halfway(TOOLS / 4);
  const run = await change("killed-gateway", await stored(tools(2)));
  await half();
  await dying.close();
  await gateway("g3");
  const { types, outcomes } = await ended(run);
  assert.ok(types.includes("action.retrying"));
  assert.ok(outcomes.filter((outcome) => outcome === "in_force").length >= TOOLS / 4);
  assert.deepEqual(await versions(), [2]);
});

test("POL-6: what the plane refuses in the middle is reported with what is in force by then, and nothing is tried behind it", { timeout: 30_000 }, async () => {
  const nc = await plane.server.connect("gateway", "g4");
  const adapter = new RegistryAdapter(nc);
  const call = (documents: readonly Named[], attempt: number) => adapter.call(request({ documents: documents as unknown as JsonValue }, attempt), new AbortController().signal);
  const [tool] = await stored("name: late.tool\ndescription: d\neffect: read\nadapter: nats\ninput: {}\noutput: {}\n");
  const [agent] = await stored("agent: { name: late, owner: o, team: t, purpose: p }\n");
  assert.ok(tool !== undefined && agent !== undefined);
  const missing = { ...agent, document: `sha256:${"0".repeat(64)}` as Digest };
  const nothing = await call([{ ...missing, kind: "tool", name: "gone.tool" }, agent], 1);
  assert.ok(!nothing.ok);
  assert.deepEqual([nothing.error.code, nothing.error.effect], ["change.refused", "none"]);
  const some = await call([missing, tool], 2);
  assert.ok(!some.ok);
  assert.deepEqual([some.error.code, some.error.effect], ["change.refused", "done"]);
  assert.match(some.error.message, /^agent `late`: document\.missing: .*; 1 of 2 documents are in force$/);
  const rest = await call([agent, tool], 3);
  assert.ok(rest.ok);
  const { documents } = rest.output as { documents: { name: string; outcome: string; version: number }[] };
  assert.deepEqual(documents.map(({ name, outcome, version }) => `${name} ${outcome} ${version}`), ["late.tool in_force 1", "late applied 1"]);
});

test("POL-6: the plane's own tool is executed for its own adapter's input only", async () => {
  const adapter = new RegistryAdapter(await plane.server.connect("gateway", "g5"));
  const result = await adapter.call(request({ documents: "everything" }, 1), new AbortController().signal);
  assert.ok(!result.ok);
  assert.deepEqual([result.error.code, result.error.effect], ["change.invalid", "none"]);
});

function request(input: JsonValue, attempt: number): AdapterRequest {
  return {
    ns: plane.ns,
    run: runId("signalbox-registry_by-hand"),
    action: "a2" as AdapterRequest["action"],
    attempt,
    tool: toolName("signalbox.apply"),
    input,
    inputBytes: new Uint8Array(),
    digest: `sha256:${"0".repeat(64)}` as Digest,
    deadline: "",
    timeoutMs: 15_000,
    idempotencyKey: "k",
    traceparent: undefined,
    definition: BUILT_IN_DEFINITION.value,
  };
}
