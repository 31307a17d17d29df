/** What is looked up for an output, for a change of documents and for a document that is applied (laws 2 and 10, POL-6). */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunState } from "../../machines/state.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { type Digest, actor } from "../../schemas/ids.ts";
import { reason } from "../../schemas/reason.ts";
import type { Arrival } from "../../services/coordinator/arrival.ts";
import { type FactSources, type Lookups, appliedFacts, documentReference } from "../../services/coordinator/facts.ts";
import { changeToolFacts, editedChangeFacts } from "../../services/registry/change.ts";
import { documents, policySet } from "../registry/in-force.ts";
import { NS, arrives, checked, reports, scene } from "./scene.ts";
import { stateOf, gather, gathered, needed, dispatched, changePolicy, NONE, type Wish } from "./facts-alone.ts";

test("law 2: an output is checked against the tool as it was approved, and marks who is given it", async () => {
  const of = await scene();
  const lane = await dispatched(of, "t.strict");
  const approved = stateOf(lane).actions.get("a2" as never)?.context.documents.tool as Digest;
  const codes = (arrival: Arrival, wish: Wish = {}, own = lane) => gathered("output", of, own, arrival, wish).faults.map(({ code, message }) => (code.startsWith("document") || code === "tool.unknown" ? `${code}: ${message}` : code));
  const succeeded = (output?: unknown, more: object = {}) => reports("gw", "clerk_1", "r", "succeeded", { ...(output !== undefined && { output }), ...more });
  const fits = gathered("output", of, lane, succeeded({ text: "x" }));
  assert.deepEqual([fits.faults, fits.marks, "guard" in fits, fits.engine.length > 0], [[], { tainted: false, labels: [], cleanses: false }, false, true]);
  const compiled: unknown[] = [];
  const validators = { outputFaults: (...args: unknown[]) => (compiled.push(args[0]), []) } as unknown as FactSources["validators"];
  gather(of, lane, succeeded({ text: "x" }), { sources: { validators } });
  assert.deepEqual(compiled, [approved], "compiled once for each version");
  const closed = { marksUnder: () => [], open: () => assert.fail("nothing is marked") } as unknown as FactSources["personal"];
  assert.deepEqual(gathered("output", of, lane, succeeded({ text: "x" }), { sources: { personal: closed } }).faults, []);
  assert.equal(codes(succeeded({ text: 7 })).length, 1);
  assert.equal(codes(succeeded()).length, 1, "nothing is null, and null does not fit");
  assert.equal(codes(succeeded({ text: 7 }, { status: "probed", probe: { number: 1, found: "done" } })).length, 1);
  for (const more of [
    { status: "probed", probe: { number: 1, found: "done" }, error: { code: "x", message: "x", effect: "done" } },
    { status: "probed", probe: { number: 1, found: "none" } },
    { status: "failed", error: { code: "x", message: "x", effect: "none" } },
    { status: "in_doubt" },
  ]) assert.deepEqual(gather(of, lane, succeeded({ text: 7 }, more)), NONE);
  const resolve = (more: object) => arrives("control", "op", "clerk_1", { verb: "resolve", id: "v", action: "a2", ...more });
  assert.equal(codes(resolve({ outcome: "succeeded", output: { text: 7 } })).length, 1);
  assert.deepEqual([gather(of, lane, resolve({ outcome: "succeeded" })), gather(of, lane, resolve({ outcome: "failed", output: { text: 7 } }))], [NONE, NONE]);
  const scan = { engine: "e 1", findings: [{ kind: "instructions", path: "/text", rule: "r" }] };
  assert.equal(gathered("output", of, lane, succeeded({ text: "x" }, { scan })).marks?.tainted, true);

  assert.deepEqual(codes(arrives("report", "gw", "clerk_1", { id: "r", action: "a99", attempt: 1, claim: { gateway: "gw", nonce: "12345678" }, status: "succeeded", output: {} })), ["tool.unknown: the action has no tool"]);
  of.stop("tool:t.strict");
  assert.equal(gathered("output", of, lane, succeeded({ text: "x" })).guard?.scope, "tool:t.strict", "claim and result in one");
  const old = await dispatched(await scene(), "t.strict", "1");
  const plain = gathered("output", of, old, succeeded({ text: "x" }));
  assert.deepEqual([plain.marks, plain.guard], [undefined, undefined]);

  // another version is in force by now
  const later = await scene();
  const own = await dispatched(later, "t.write");
  later.turn(own, [reports("gw", "clerk_1", "c", "started")]);
  later.stop("tool:t.write");
  assert.equal(gathered("output", later, own, succeeded({})).guard, undefined, "what was begun comes to its end");
  const empty = await scene();
  Object.defineProperty(empty.sources.registry, "toolVersion", { value: () => undefined });
  assert.deepEqual(needed(() => gather(empty, lane, succeeded({ text: "x" }))), { document: approved });
  assert.deepEqual(gathered("output", empty, lane, succeeded({ text: "x" }), { fetched: () => null }).faults.map(({ code, message }) => [code, message]), [["tool.unknown", "the tool that was approved cannot be read any more"]]);
});

test("law 2: an output that is a document is fetched and looked at; what is no reference is an output like any other", async () => {
  const of = await scene();
  const lane = await dispatched(of, "t.strict");
  const digest = sha256Digest("stored");
  const output = { $doc: digest, bytes: 7 };
  const succeeded = reports("gw", "clerk_1", "r", "succeeded", { output });
  const faults = (bytes: string | null) => gathered("output", of, lane, succeeded, { fetched: (asked) => (asked === digest ? (bytes === null ? null : Buffer.from(bytes)) : undefined) }).faults.map(({ code, message }) => [code, message]);
  assert.deepEqual(needed(() => gather(of, lane, succeeded)), { document: digest });
  assert.deepEqual([faults(null), faults("{")], [[["document.missing", `the output's document \`${digest}\` cannot be had`]], [["document.unreadable", "the output's document is not JSON"]]]);
  assert.deepEqual([faults('{"text":"x"}'), faults('{"text":7}').length], [[], 1]);
  for (const [value, expected] of [
    [output, digest], [{ $doc: digest }, digest], [{ $doc: digest, bytes: 7, more: 1 }, undefined], [{ $doc: "sha256:x" }, undefined], [{ $doc: 7 }, undefined], [null, undefined], ["$doc", undefined], [[digest], undefined], [{}, undefined],
  ] as const) assert.equal(documentReference(value as never), expected);
});

test("law 10: of an output what is personal is opened for its schema, and nothing plain is said of what is a document", async () => {
  const of = await scene();
  const lane = await dispatched(of, "t.strict");
  const opened: unknown[] = [];
  const result = { plain: { text: "plain" } as object, faults: [] as object[] };
  const under: unknown[] = [];
  const personal = {
    marksUnder: (...args: unknown[]) => (under.push(args.slice(0, 2)), [{}]),
    open: (state: RunState, value: unknown) => (opened.push([state.run, value]), result),
    any: true,
  } as unknown as FactSources["personal"];
  const succeeded = (output: object) => reports("gw", "clerk_1", "r", "succeeded", { output });
  const found = () => gathered("output", of, lane, succeeded({ text: { $sealed: "x" } }), { sources: { personal } });
  assert.deepEqual(found().faults, []);
  assert.deepEqual(opened, [["clerk_1", { text: { $sealed: "x" } }]]);
  assert.deepEqual(under, [[stateOf(lane).actions.get("a2" as never)?.context.documents, "clerk"]]);
  result.plain = { text: 7 };
  assert.equal(found().faults.length, 1);
  result.faults = [reason("personal.damaged", "no")];
  assert.deepEqual(found().faults.map(({ code }) => code), ["personal.damaged"]);
  // its labels are those of what it says plainly; of a document, which is not looked into, all that it may have
  const tool = of.sources.registry.tool("t.strict")?.value;
  const labelled = { ...tool, output: { type: "object" }, labels: [{ label: "pii", path: "/text" }] };
  Object.defineProperty(of.sources.registry, "toolVersion", { value: () => labelled });
  const validators = { outputFaults: () => [] } as unknown as FactSources["validators"];
  const labels = (output: object, plain: object) => {
    Object.assign(result, { plain, faults: [] });
    return gathered("output", of, lane, succeeded(output), { sources: { personal, validators }, fetched: () => Buffer.from("{}") }).marks?.labels;
  };
  assert.deepEqual([labels({ other: "x" }, { text: "x" }), labels({ text: "x" }, { other: "x" })], [["pii"], []]);
  assert.deepEqual(labels({ $doc: sha256Digest("stored") }, { other: "x" }), ["pii"]);
});

test("POL-6: a change of documents is looked at once, with all that it names, and is stopped as any other run", async () => {
  const of = await scene();
  const [changed] = of.store(...documents(JSON.stringify({ agent: { name: "clerk", owner: "o", team: "team", purpose: "other" }, budgets: {}, tools: { allowlist: [] } })));
  assert.ok(changed);
  const run = "signalbox-registry_1";
  const apply = (id = "a") => arrives("apply", "op", run, { id, documents: [changed] });
  const lane = await of.lane(run);
  assert.deepEqual(needed(() => gather(of, lane, apply())), { document: changed.document });
  const fetched = (digest: Digest) => of.bytes(digest);
  const found = gathered("change", of, lane, apply(), { fetched });
  assert.deepEqual([found.start.principal?.subject, found.start.guard, found.tool.guard, "guard" in found.start], ["op", undefined, undefined, false]);
  lane.documents.set(changed.document, of.bytes(changed.document));
  of.turn(lane, [apply()]);
  assert.deepEqual(gather(of, lane, apply("b"), { fetched }), NONE);
  for (const scope of ["agent:signalbox-registry", "principal:corp|op"]) {
    const stopped = await scene();
    stopped.stop(scope);
    const held = gathered("change", stopped, await stopped.lane(run), apply(), { fetched });
    const expected = scope.startsWith("agent") ? [scope, scope] : [held.start.guard?.scope, held.start.guard?.scope];
    assert.deepEqual([held.start.guard?.scope, held.tool.guard?.scope], expected);
  }
});

test("POL-6: whoever decides on a change rests on the policies in force; a change is judged again as one, and is not edited", async () => {
  const of = await scene();
  const [changed] = of.store(policySet(`@id("all") permit (principal, action, resource);\n@id("more") permit (principal, action, resource);\n`));
  assert.ok(changed);
  const run = "signalbox-registry_1";
  const lane = await of.lane(run);
  lane.documents.set(changed.document, of.bytes(changed.document));
  of.turn(lane, [arrives("apply", "op", run, { id: "a", documents: [changed] })]);
  const [id, approval] = [...stateOf(lane).approvals][0] ?? assert.fail("nobody is asked");
  const decides = (decision: string, more: object = {}) => arrives("decide", "ann", run, { id: `d${decision}`, request: id, decision, digest: approval.context.digest, ...more }, 4);
  const fetched = (digest: Digest) => of.bytes(digest);
  const now = gathered("current", of, lane, decides("approve"), { fetched });
  assert.deepEqual([now.documents.policy, Object.keys(now.documents).toSorted(), now.again], [of.sources.registry.policy()?.digest, ["contract", "policy", "tool"], undefined]);
  const edited = gathered("current", of, lane, decides("edit", { input: {} }), { fetched });
  assert.deepEqual(edited.again, editedChangeFacts(of.sources.registry));
  await changePolicy(of);
  const { again } = gathered("current", of, lane, decides("approve"), { fetched });
  const principal = stateOf(lane).envelope?.principal ?? assert.fail("nobody proposes it");
  const looked = (who: typeof principal | null) => changeToolFacts({ registry: of.sources.registry, document: of.bytes }, NS, { documents: [changed] }, who);
  assert.deepEqual(again, looked(principal));
  assert.notDeepEqual(again, looked(null));
  of.stop("all");
  assert.equal(gathered("current", of, lane, decides("approve"), { fetched }).again?.guard?.scope, "all");
});

test("POL-6: a document that is applied is compiled here, by who applies it; a change was agreed upon before", async () => {
  const of = await scene();
  const [tool, policy] = of.store(...documents(JSON.stringify({ name: "t.new", description: "d", effect: "read", adapter: "nats", timeout_ms: 5000, input: { type: "object" }, output: { type: "object" } })), policySet(`@id("x") permit (principal, action, resource);\n`));
  assert.ok(tool && policy);
  const lookups = (fetched: Lookups["fetched"]): Lookups => ({ ...of.sources, fetched });
  const facts = (by: string, kind: "tool" | "policy", name: string, document: Digest, fetched: Lookups["fetched"] = of.bytes) =>
    appliedFacts(lookups(fetched), NS, kind, name, { actor: by, id: "a", hash: document, time: "", traceparent: undefined, document } as never);
  const applied = (...args: Parameters<typeof facts>) => {
    const found = facts(...args);
    assert.equal(found.kind, "applied");
    return found.faults;
  };
  assert.deepEqual(applied("op", "tool", "t.new", tool.document), []);
  assert.ok(applied("op", "tool", "t.other", tool.document).length > 0);
  assert.deepEqual(applied("op", "tool", "t.new", tool.document, () => null), [reason("document.missing", `document \`${tool.document}\` is not stored`, { help: "store it first" })]);
  assert.deepEqual(needed(() => applied("op", "tool", "t.new", tool.document, () => undefined)), { document: tool.document });
  // who judges is changed by review, and the plane's own gateway carries that out
  assert.ok(applied("op", "policy", "default", policy.document).length > applied("signalbox-gateway", "policy", "default", policy.document).length);
});
