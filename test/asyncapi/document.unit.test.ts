import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { describe, it } from "node:test";
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import { asyncApiText } from "../../schemas/asyncapi/generate.ts";
import { messageOfEvent } from "../../schemas/asyncapi/messages.ts";
import { channels } from "../../schemas/asyncapi/channels.ts";
import { messagesOf, operations } from "../../schemas/asyncapi/operations.ts";
import { EVENT_TYPES } from "../../schemas/event.ts";
import { actionDocumentSchema } from "../../schemas/dispatch.ts";
import { type Actor, namespace, type RunId } from "../../schemas/ids.ts";
import { applyChangeSchema, applySchema, controlSchema, decisionSchema, dueSchema, erasureControlSchema, guardControlSchema, segmentsControlSchema, segmentsSignalSchema, reportSchema, signalSchema } from "../../schemas/inputs.ts";
import { proposalSchema } from "../../schemas/proposal.ts";
import { INPUT_KINDS, inputTransform, patterns, subjects } from "../../schemas/subjects.ts";
import { CHANGE_ACTOR, ERASER, permissionsFor } from "../../services/identity/permissions.ts";
import { isPlaneRole, NAMESPACE_ROLES } from "../../services/identity/roles.ts";
import { document, faultsOf, references, resolve } from "./document.ts";

const NS = namespace("default");
const NAMES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(["agent", "approver", "operator", "gateway", "actor"].map((name) => [name, "x"])),
  run: "x_1",
  aggregate: "x_1",
  tool: "crm.read",
  namespace: NS,
  kind: "run",
  partition: "17",
  share: "1",
  member: "0123456789ab",
  subject: "share.1",
  segment: "2",
  name: "x_1",
  type: "approval.requested",
  team: "support",
  timer: "t",
  hash: "0".repeat(64),
  input: "propose",
  from: "x_1",
  to: "ledger:team%2Ex%2E2026-01-31",
  signal: "lease",
  ledger: "team.x.2026-01-31",
};

/** What services do as the plane's own actor, and which aggregates it hears of. */
const AS_THE_PLANE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "gateway.receive.live": { kind: "tool" },
  "gateway.send.readInForce": { kind: "policy" },
  "gateway.send.apply": { operator: CHANGE_ACTOR },
  "gateway.receive.storedRejected": { actor: CHANGE_ACTOR },
  "coordinator.send.controlErasure": { operator: ERASER },
  "reveal.receive.live": { kind: "erasure" },
};

describe("the AsyncAPI document (OPS-3)", () => {
  it("is the one that is checked in", async () => {
    const kept = await readFile(new URL("../../schemas/asyncapi.json", import.meta.url), "utf8");
    assert.equal(kept, asyncApiText(), "the wire has changed: run `node test/asyncapi/write.ts`, and read the difference as a client would");
  });

  it("is valid by the official schema of AsyncAPI 3.0", () => {
    const official = createRequire(import.meta.url)("@asyncapi/specs/schemas/3.0.0.json") as object;
    // it brings the meta-schema of JSON Schema with it
    const ajv = new Ajv({ strict: false, meta: false, validateSchema: false });
    (addFormats as unknown as (ajv: Ajv) => void)(ajv);
    const validate = ajv.compile(official);
    assert.ok(validate(JSON.parse(asyncApiText())), JSON.stringify(validate.errors?.slice(0, 5), undefined, 2));
    const seeded = { ...(JSON.parse(asyncApiText()) as object), channels: { bad: { adress: "x" } } };
    assert.ok(!validate(seeded), "the official schema finds a seeded fault");
  });

  it("refers only to what is there", () => {
    assert.deepEqual(references().filter((reference) => resolve(reference) === undefined), []);
  });

  it("has every event type, with data of its own, on journal, live tail and fan-out", () => {
    for (const type of EVENT_TYPES) {
      const name = messageOfEvent(type);
      assert.ok(document.components.messages[name], type);
      for (const channel of ["log", "live", "event"]) assert.ok(document.channels[channel]?.messages[name], `${type} on ${channel}`);
    }
  });

  it("has every kind of input and every kind of proposal", () => {
    for (const kind of INPUT_KINDS) assert.ok(document.channels[kind], kind);
    const kinds = proposalSchema.options.map((option) => option.shape.kind.value);
    for (const kind of kinds) {
      const name = `propose${kind.slice(0, 1).toUpperCase()}${kind.slice(1)}`;
      for (const channel of ["propose", "ask"]) assert.ok(document.channels[channel]?.messages[name], `${kind} on ${channel}`);
    }
  });

  it("has a channel for every subject that can be built", () => {
    const address = patternsOf(Object.values(document.channels).map((channel) => channel.address));
    const agent = "x" as Actor;
    const run = "x_1" as RunId;
    const built: Readonly<Record<keyof typeof subjects, string>> = {
      input: subjects.input(NS, "propose", agent, run),
      signal: subjects.signal(NS, run, "ledger:team%2Ex", "lease"),
      log: subjects.log(NS, "tool", "a.b"),
      live: subjects.live(NS, "run", run),
      event: subjects.event(NS, "action.denied", run),
      team: subjects.team(NS, "a team", "action.denied", run),
      out: subjects.out(NS, agent, run),
      ask: subjects.ask(NS, agent, run),
      rejected: subjects.rejected(NS, agent),
      grant: subjects.grant(NS, agent),
      dispatch: subjects.dispatch(NS, "a.b"),
      call: subjects.call(NS, "a.b"),
      probe: subjects.probe(NS, "a.b"),
      timer: subjects.timer(NS, run, "action:a2"),
      due: subjects.due(NS, run),
      document: subjects.document(NS, "0".repeat(64)),
      key: subjects.key(NS, "0".repeat(32)),
      reveal: subjects.reveal(NS, agent),
      query: subjects.query(NS, "status"),
      member: subjects.member(NS, "0123456789ab"),
      lease: subjects.lease(NS, 3),
    };
    for (const [builder, subject] of Object.entries(built)) assert.ok(address.some((fits) => fits.test(subject)), `${builder}: ${subject}`);
    for (const kind of INPUT_KINDS.filter((one) => one !== "signal")) {
      const subject = subjects.input(NS, kind, agent, run);
      assert.ok(address.some((fits) => fits.test(subject)), subject);
    }
    const stored = inputTransform(NS).dest.replaceAll(/\{\{[^}]*\}\}/g, "1");
    for (const subject of [stored, patterns.outStored(NS).replace(">", "x.x_1"), patterns.rejectedStored(NS).replace("*", "x")]) {
      assert.ok(address.some((fits) => fits.test(subject)), subject);
    }
  });

  it("names a parameter for every placeholder", () => {
    for (const [name, { address }] of Object.entries(channels)) {
      for (const [, parameter] of (address ?? "").matchAll(/\{([^}]*)\}/g)) assert.ok(document.components.parameters[parameter ?? ""], `${parameter} of ${name}`);
    }
  });

  it("has examples that fit their schemas, headers and bodies", () => {
    for (const { name, examples = [] } of Object.values(document.components.messages)) {
      for (const example of examples) {
        if ("payload" in example) assert.deepEqual(faultsOf(name, "payload", example.payload), [], name);
        if (example.headers !== undefined) assert.deepEqual(faultsOf(name, "headers", example.headers), [], name);
      }
    }
  });

  it("has examples of inputs that the plane itself would read", () => {
    const schemas = { decision: decisionSchema, report: reportSchema, control: controlSchema, apply: applySchema, change: applyChangeSchema, guardControl: guardControlSchema, erasureControl: erasureControlSchema, segmentsControl: segmentsControlSchema, due: dueSchema };
    for (const [name, { examples = [] }] of Object.entries(document.components.messages)) {
      const schema = name.startsWith("propose") ? proposalSchema : name === "signalOpen" || name === "signalSeal" ? segmentsSignalSchema : name.startsWith("signal") ? signalSchema : schemas[name as keyof typeof schemas];
      for (const { payload } of schema === undefined ? [] : examples) assert.ok(schema?.safeParse(payload).success, `${name}: ${JSON.stringify(payload)}`);
    }
    assert.ok(document.components.schemas["ActionDocument"], "the action document is described");
    assert.deepEqual(Object.keys(actionDocumentSchema.shape).sort(), Object.keys((document.components.schemas["ActionDocument"] as { properties: object }).properties).sort());
  });

  it("gives each role what the broker lets it do, and nothing else (CORE-1)", () => {
    for (const [id, operation] of Object.entries(operations)) {
      const { role, action, channel, consumes } = operation;
      if (consumes) continue;
      const { publish, subscribe } = permissionsFor(role, "x", [NS], { tool: "crm.read", team: "support" });
      const allowed = (action === "send" ? publish : subscribe).allow.map((entry) => entry.split(" ")[0] ?? "");
      const subject = filled(channels[channel]?.address ?? "", { question: role === "approver" ? "approvals" : "status", ...AS_THE_PLANE[id] });
      assert.ok(allowed.some((pattern) => fits(pattern, subject)), `${id}: ${subject} is not among ${allowed.join(", ")}`);
      assert.ok(messagesOf(operation).length > 0, `${id} says nothing`);
    }
  });

  it("leaves out nothing that a credential of a namespace may do", () => {
    for (const role of NAMESPACE_ROLES) {
      const { publish, subscribe } = permissionsFor(role, "x", [NS], { tool: "crm.read", team: "support" });
      const of = (action: string) =>
        Object.values(operations)
          .filter((operation) => operation.role === role && operation.action === action)
          .map(({ channel }) => channels[channel]?.address ?? "");
      for (const pattern of publish.allow) {
        // the same page, narrowed by a subject behind the stream's name, and the stream's own state
        if (/^\$JS\.API\.(DIRECT\.GET\.(JOURNAL|DOCUMENTS)_default(_\d+)?(\.>)?|STREAM\.INFO\.)/.test(pattern)) continue;
        assert.ok(of("send").some((address) => fits(pattern, filled(address, { question: "approvals" }))), `${role} may publish ${pattern}`);
      }
      for (const entry of subscribe.allow) {
        const pattern = entry.split(" ")[0] ?? "";
        if (pattern.startsWith("_INBOX") || pattern.startsWith("$SRV")) continue;
        assert.ok(of("receive").some((address) => fits(pattern, filled(address))), `${role} may subscribe to ${pattern}`);
      }
      assert.ok(!isPlaneRole(role));
    }
  });
});

function filled(address: string, more: Readonly<Record<string, string>> = {}): string {
  return address.replaceAll(/\{([a-z]+)\}/g, (_, name: string) => ({ ...NAMES, ...more })[name] ?? "x");
}

/** Whether a NATS pattern takes a subject. */
function fits(pattern: string, subject: string): boolean {
  const [want, have] = [pattern.split("."), subject.split(".")];
  if (want.at(-1) === ">") return have.length >= want.length && want.slice(0, -1).every((token, i) => token === "*" || token === have[i]);
  return want.length === have.length && want.every((token, i) => token === "*" || token === have[i]);
}

/** Placeholders as one token; those that stand for names with dots as several. */
function patternsOf(addresses: readonly (string | null)[]): RegExp[] {
  return addresses
    .filter((address) => address !== null)
    .map((address) => new RegExp(`^${address.replaceAll(/[.$]/g, "\\$&").replaceAll(/\{(tool|name|type|ledger)\}/g, ".+").replaceAll(/\{[a-z]+\}/g, "[^.]+")}$`));
}
